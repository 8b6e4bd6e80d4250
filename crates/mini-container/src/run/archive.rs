//! A root filesystem from an archive: tar(5), or an image ([`layers`]).
//!
//! It is unpacked into memory, in the container's mount namespace: gone with it, and with the rights of its root, who
//! is nobody outside. An archive is not to be trusted all the same: what becomes of each file is in
//! [`entry`](super::entry), and how much may come out in [`bytes`](super::bytes).

use std::cell::RefCell;
use std::fs::File;
use std::io::BufReader;
use std::os::fd::BorrowedFd;
use std::path::Path;

use ns_core::{Error, Result};
use tar::Archive;

use super::bytes::{Bytes, WHOLE};
use super::entry::{Unpacker, room};
use super::layers::{self, Config, Image, Layer};

/// What there is to say about an archive that was unpacked.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    /// Files whose owner has no ID in the container.
    pub(crate) unmapped: u32,
    /// What an image says of how it is to be run.
    pub(crate) config: Config,
}

/// Unpacks the archive `file` into `directory`, and calls `tell` now and then, so that whoever waits knows that we live.
///
/// # Errors
/// [`Error::Input`], in one line, for what is no archive, is cut short, or holds what it must not.
pub(super) fn unpack(
    file: &File,
    path: &Path,
    directory: BorrowedFd<'_>,
    tell: impl FnMut() -> Result<()>,
) -> Result<Unpacked> {
    let tell = RefCell::new(tell);
    let tell = || (tell.borrow_mut())();
    let name = ns_core::fact::printable(&path.to_string_lossy());
    let bytes = Bytes::open(name, file, room(directory)?, &tell)?;
    let image = layers::of(&bytes)?;
    let mut unpacker = Unpacker::new(&bytes.name, directory, image.is_some());
    let whole = || Image { layers: vec![Layer { part: WHOLE, digest: None }], config: Config::default() };
    let Image { layers, config } = image.unwrap_or_else(whole);
    for layer in layers {
        apply(&bytes, &layer, &mut unpacker)?;
    }
    if let Some(directory) = &config.directory {
        unpacker.make_directory(directory)?;
    }
    Ok(Unpacked { unmapped: unpacker.unmapped, config })
}

fn apply(bytes: &Bytes<'_>, layer: &Layer, unpacker: &mut Unpacker<'_>) -> Result<()> {
    let damaged = |error| bytes.damaged(&error);
    let mut stream = bytes.stream(layer.part)?;
    if layer.digest.is_some() {
        stream = stream.digested();
    }
    let mut archive = Archive::new(BufReader::with_capacity(1 << 16, stream));
    unpacker.begin_layer();
    let mut entries = archive.entries().map_err(damaged)?;
    for number in 0_u64.. {
        bytes.expect_header();
        let Some(entry) = entries.next() else { break };
        bytes.expect_content();
        let mut entry = entry.map_err(damaged)?;
        unpacker.add(&mut entry, bytes)?;
        // What it has not taken: not to be counted as the next one's header.
        std::io::copy(&mut entry, &mut std::io::sink()).map_err(damaged)?;
        if number % 512 == 0 {
            bytes.tell()?;
            unpacker.must_have_room(0, "its many files")?;
        }
    }
    bytes.expect_content();
    // To the very end, behind the last file: there is the checksum of what is compressed.
    let found = archive.into_inner().into_inner().finish().map_err(damaged)?;
    if found == layer.digest {
        return Ok(());
    }
    let short = |digest: Option<&str>| digest.unwrap_or_default().chars().take(12).collect::<String>();
    Err(Error::Input(format!(
        "{}: a damaged image: a layer has the digest {}…, where {}… is expected; save it again",
        bytes.name,
        short(found.as_deref()),
        short(layer.digest.as_deref())
    )))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use ns_core::mount::Tree;
    use rustix::fs::{MemfdFlags, memfd_create};
    use tar::{Builder, Header};

    use super::*;

    /// What comes of an archive with these files on a filesystem that has this little space.
    fn unpack_where(option: (&str, &str), files: u32, size: u64) -> String {
        let mut builder = Builder::new(Vec::new());
        for number in 0..files {
            let mut header = Header::new_gnu();
            header.set_size(size);
            header.set_mode(0o644);
            let content = std::io::Read::take(std::io::repeat(b'x'), size);
            builder.append_data(&mut header, format!("etc/{number}"), content).unwrap();
        }
        let mut file = File::from(memfd_create("archive", MemfdFlags::CLOEXEC).unwrap());
        file.write_all(&builder.into_inner().unwrap()).unwrap();
        // Mounted nowhere, so nothing is left of it.
        let small = Tree::new_filesystem("tmpfs", &[option], &[]).unwrap();
        unpack(&file, Path::new("archive.tar"), small.as_fd(), || Ok(())).unwrap_err().to_string()
    }

    #[test]
    fn a_full_filesystem_is_one_line_with_the_remedy() {
        if !ns_core::process::is_capable(ns_core::Capability::CAP_SYS_ADMIN) {
            eprintln!("skip: no filesystem can be made here; try as root");
            return;
        }
        for full in [unpack_where(("size", "1m"), 3, 600 << 10), unpack_where(("nr_inodes", "8"), 20, 0)] {
            assert!(full.starts_with("archive.tar: no space for etc/"), "{full}");
            assert!(full.ends_with("unpack it into a directory, and give that"), "{full}");
        }
    }
}
