//! Archives for the tests, also some that no tool would write.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header, HeaderMode};

use super::{Directory, rootfs};

/// An entry of an archive: kind, name, link or content.
pub(crate) type Made<'a> = (EntryType, &'a str, &'a str);

/// The root filesystem of the tests as an archive.
pub(crate) fn whole(work: &Directory) -> PathBuf {
    let rootfs = rootfs("archived");
    let path = work.at("rootfs.tar");
    let mut builder = Builder::new(File::create(&path).unwrap());
    builder.follow_symlinks(false);
    // The owner is root, whoever runs the test.
    builder.mode(HeaderMode::Deterministic);
    builder.append_dir_all(".", &rootfs.0).unwrap();
    builder.finish().unwrap();
    path
}

/// An archive with these entries.
pub(crate) fn archive(path: &Path, entries: &[Made<'_>]) {
    fs::write(path, tarred(entries)).unwrap();
}

/// The bytes of an archive.
pub(crate) fn tarred(entries: &[Made<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, text) in entries {
        append(&mut builder, *kind, name.as_bytes(), text);
    }
    builder.into_inner().unwrap()
}

/// `base` with these entries at its end.
pub(crate) fn longer(mut base: Vec<u8>, entries: &[Made<'_>]) -> Vec<u8> {
    // In place of the two blocks of zeros.
    while base.ends_with(&[0; 512]) {
        base.truncate(base.len() - 512);
    }
    base.extend(tarred(entries));
    base
}

pub(crate) fn append(builder: &mut Builder<impl Write>, kind: EntryType, name: &[u8], text: &str) {
    let mut header = header(kind);
    // Written directly, since the crate refuses to write such names.
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    let mut content = "";
    if kind == EntryType::Regular {
        content = text;
    } else {
        header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
    }
    header.set_size(content.len() as u64);
    header.set_cksum();
    builder.append(&header, content.as_bytes()).unwrap();
}

pub(crate) fn header(kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Plain files in this order, as in an image.
pub(crate) fn files(path: &Path, files: &[(&str, &[u8])]) {
    let mut builder = Builder::new(File::create(path).unwrap());
    for (name, bytes) in files {
        let mut header = header(EntryType::Regular);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.finish().unwrap();
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
