//! A root filesystem from an archive: tar(5), or an image ([`layers`]).
//!
//! It is unpacked into memory in the container's mount namespace, and removed with it. The unpacker has the privileges of
//! the container's root, which has none outside. Still, archives are not trusted: [`entry`](super::entry) checks each
//! file, and [`bytes`](super::bytes) limits the size.

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

/// The results of unpacking an archive.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    /// Files whose owner has no ID in the container.
    pub(crate) unmapped: u32,
    /// Devices that were left out.
    pub(crate) devices: u32,
    /// The image's configuration of the command.
    pub(crate) config: Config,
}

/// What is to be unpacked.
#[derive(Clone, Copy)]
pub(crate) enum Packed<'a> {
    /// An archive.
    Archive(&'a File),
    /// An image as a directory: a layout.
    Layout(BorrowedFd<'a>),
}

/// Unpacks the archive or layout at `path` into `directory`, and calls `report` regularly as a sign of progress.
///
/// # Errors
/// [`Error::Input`], in one line, for a file that is no archive, is cut short, or contains a forbidden entry.
pub(super) fn unpack(
    packed: Packed<'_>,
    path: &Path,
    directory: BorrowedFd<'_>,
    report: impl FnMut() -> Result<()>,
) -> Result<Unpacked> {
    let report = RefCell::new(report);
    let report = || (report.borrow_mut())();
    let name = ns_core::printable(&path.to_string_lossy());
    let room = room(directory)?;
    let (bytes, image) = match packed {
        Packed::Archive(file) => {
            let bytes = Bytes::open(name, file, room, &report)?;
            let image = layers::of(&bytes)?;
            (bytes, image)
        }
        Packed::Layout(layout) => {
            let bytes = Bytes::of_layout(name, room, &report);
            let image = layers::of_layout(&bytes, layout)?;
            (bytes, Some(image))
        }
    };
    let mut unpacker = Unpacker::new(&bytes, directory, image.is_some());
    let whole = || Image { layers: vec![Layer { part: WHOLE, digest: None }], config: Config::default() };
    let Image { layers, config } = image.unwrap_or_else(whole);
    for layer in layers {
        apply(&bytes, &layer, &mut unpacker)?;
    }
    if let Some(directory) = &config.directory {
        unpacker.make_directory(directory)?;
    }
    Ok(Unpacked { unmapped: unpacker.unmapped, devices: unpacker.devices, config })
}

fn apply(bytes: &Bytes<'_>, layer: &Layer, unpacker: &mut Unpacker<'_>) -> Result<()> {
    let damaged = |error| bytes.damaged(&error);
    let mut stream = bytes.stream(&layer.part)?;
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
        unpacker.add(&mut entry).map_err(|error| named(&bytes.name, error))?;
        // Reads the rest of the entry, so that it does not count as the header of the next one.
        std::io::copy(&mut entry, &mut std::io::sink()).map_err(damaged)?;
        bytes.report_if_due()?;
        if number % 512 == 0 {
            unpacker.must_have_room(0, "its many files")?;
        }
    }
    bytes.expect_content();
    // To the end of the stream, since the checksum of gzip is there.
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

/// Adds the archive's name to an error: a call on a file of the archive would read like one on a file of the host.
fn named(archive: &str, error: Error) -> Error {
    match error {
        Error::Call { call, errno } if !call.contains(archive) => {
            Error::Call { call: format!("unpack {archive}: {call}"), errno }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::time::{Duration, Instant};

    use ns_core::mount::Tree;
    use rustix::fs::{MemfdFlags, memfd_create};
    use tar::{Builder, Header};

    use super::*;

    /// The error of unpacking an archive with these files on a small filesystem.
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
        // It is not attached, so it is gone when it is closed.
        let small = Tree::new_filesystem("tmpfs", &[option], &[]).unwrap();
        unpack(Packed::Archive(&file), Path::new("archive.tar"), small.as_fd(), || Ok(()))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn who_follows_links_for_long_shows_signs_of_life() {
        // Each link leads down a deep directory and up again, through the previous link: it takes milliseconds to follow.
        let (down, up) = (vec!["d"; 800].join("/"), vec![".."; 800].join("/"));
        let mut builder = Builder::new(Vec::new());
        let mut directory = Header::new_gnu();
        directory.set_entry_type(tar::EntryType::Directory);
        directory.set_mode(0o755);
        directory.set_size(0);
        builder.append_data(&mut directory, &down, &b""[..]).unwrap();
        let mut link = Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_mode(0o777);
        link.set_size(0);
        builder.append_link(&mut link, "l0", ".").unwrap();
        for number in 1..38 {
            let target = format!("l{}/{down}/{up}", number - 1);
            builder.append_link(&mut link, format!("l{number}"), target).unwrap();
        }
        // Fewer entries than the check for room counts, each in a directory that only it names.
        for number in 0..500 {
            let name = format!("l37/{number}/{}", vec!["x"; 25].join("/"));
            builder.append_data(&mut directory, name, &b""[..]).unwrap();
        }
        let mut file = File::from(memfd_create("archive", MemfdFlags::CLOEXEC).unwrap());
        file.write_all(&builder.into_inner().unwrap()).unwrap();

        let target = std::env::temp_dir().join(format!("mini-container-test-{}-links", std::process::id()));
        std::fs::create_dir(&target).unwrap();
        let directory = File::open(&target).unwrap();
        let (mut signs, mut last, mut longest) = (0, Instant::now(), Duration::ZERO);
        let mut quiet_until_now = || {
            longest = longest.max(last.elapsed());
            last = Instant::now();
            longest
        };
        let unpacked = unpack(Packed::Archive(&file), Path::new("links.tar"), directory.as_fd(), || {
            quiet_until_now();
            signs += 1;
            // Three signs are enough.
            if signs < 3 { Ok(()) } else { Err(Error::Input("enough".into())) }
        });
        let longest = quiet_until_now();
        std::fs::remove_dir_all(&target).unwrap();
        let why = unpacked.unwrap_err().to_string();
        assert!(
            why == "enough" && longest < Duration::from_secs(8),
            "{why}: {signs} signs, quiet for {longest:?}"
        );
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

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(100))]

        #[test]
        fn any_archive_is_unpacked_or_refused(
            entries in proptest::collection::vec(
                (proptest::sample::select(b"0123456789gxLKSV\0".to_vec()), "(\\.\\./|/|\\.wh\\.|[ab]/?){0,4}", "[ab./]{0,6}", 0_u64..600),
                0..6,
            ),
            damage in proptest::collection::vec((proptest::prelude::any::<usize>(), proptest::prelude::any::<u8>()), 0..4),
            packed: bool,
        ) {
            if !ns_core::process::is_capable(ns_core::Capability::CAP_SYS_ADMIN) {
                return Ok(());
            }
            let mut builder = Builder::new(Vec::new());
            for (kind, name, link, size) in entries {
                let mut header = Header::new_gnu();
                header.set_entry_type(tar::EntryType::new(kind));
                header.set_mode(0o755);
                header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
                header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
                header.set_size(size);
                header.set_cksum();
                let content = std::io::Read::take(std::io::repeat(b'x'), size);
                builder.append(&header, content).unwrap();
            }
            let mut bytes = builder.into_inner().unwrap();
            for (at, byte) in damage {
                let length = bytes.len();
                bytes[at % length] = byte;
            }
            if packed {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&bytes).unwrap();
                bytes = encoder.finish().unwrap();
            }
            let mut file = File::from(memfd_create("archive", MemfdFlags::CLOEXEC).unwrap());
            file.write_all(&bytes).unwrap();
            let small = Tree::new_filesystem("tmpfs", &[("size", "1m"), ("nr_inodes", "100")], &[]).unwrap();
            if let Err(error) = unpack(Packed::Archive(&file), Path::new("archive.tar"), small.as_fd(), || Ok(())) {
                let line = error.to_string();
                proptest::prop_assert!(line.contains("archive.tar") && line.len() < 1000, "{:?}", line);
            }
        }
    }
}
