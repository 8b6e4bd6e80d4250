//! Archives and images that `mini-container run` unpacks: into a filesystem in memory, mounted nowhere. It takes
//! CAP_SYS_ADMIN: root, or `unshare -Ur`.
//!
//! The first byte says what becomes of the rest: 1 puts right the checksums of the headers, which chance does not; 2
//! ends it as an archive ends; 4 compresses it by gzip, and 8 by zstd.
#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/mini-container/src/run"]
mod run {
    mod archive;
    mod bytes;
    mod entry;
    mod layers;
    mod layout;
    mod packer;
    mod place;
    mod zstd;

    use std::cell::RefCell;
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::{AsFd, OwnedFd};
    use std::path::Path;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use ns_core::mount::Tree;
    use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create, mkdirat, openat};

    pub(crate) fn unpack(data: &[u8]) {
        let Some((how, data)) = data.split_first() else { return };
        let mut data = data.to_vec();
        if how & 1 != 0 {
            data.chunks_exact_mut(512).filter(|it| it[257..262] == *b"ustar").for_each(check);
        }
        if how & 2 != 0 {
            data.resize(data.len().next_multiple_of(512) + 1024, 0);
        }
        if how & 4 != 0 {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&data).unwrap();
            data = encoder.finish().unwrap();
        }
        if how & 8 != 0 {
            data = ruzstd::encoding::compress_to_vec(
                data.as_slice(),
                ruzstd::encoding::CompressionLevel::Fastest,
            );
        }
        let mut file = File::from(memfd_create("archive", MemfdFlags::CLOEXEC).unwrap());
        file.write_all(&data).unwrap();
        let directory = directory();
        if let Err(error) = archive::unpack(archive::Packed::Archive(&file), Path::new("archive"), directory.as_fd(), || Ok(())) {
            let line = error.to_string();
            assert!(line.contains("archive"), "it is named: {line:?}");
            assert!(line.len() < 2000, "{} bytes: {line:?}", line.len());
        }
    }

    /// An empty directory in memory. To make a filesystem takes long, so that several cases share one.
    fn directory() -> OwnedFd {
        const CASES: u32 = 256;
        thread_local!(static SHARED: RefCell<Option<(Tree, u32)>> = const { RefCell::new(None) });
        SHARED.with_borrow_mut(|shared| {
            let options = [("size", "64m"), ("nr_inodes", "20000")];
            let fresh = || (Tree::new_filesystem("tmpfs", &options, &[]).unwrap(), 0);
            let (tree, number) = shared.take().filter(|(_, number)| *number < CASES).unwrap_or_else(fresh);
            let name = number.to_string();
            mkdirat(&tree, &name, Mode::RWXU).unwrap();
            let directory = openat(&tree, &name, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
            *shared = Some((tree, number + 1));
            directory
        })
    }

    /// Writes the checksum of a header, as tar(5) has it.
    fn check(header: &mut [u8]) {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

fuzz_target!(|data: &[u8]| run::unpack(data));
