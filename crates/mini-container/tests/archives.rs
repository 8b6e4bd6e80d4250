//! Root filesystems from archives: what is unpacked, and what is refused.

mod plain;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use plain::{Directory, refused, rootfs, run, said};
use tar::{Builder, EntryType, Header};

/// An entry of an archive: kind, name, link or content.
type Made<'a> = (EntryType, &'a str, &'a str);

/// An archive with these entries.
fn archive(path: &Path, entries: &[Made<'_>]) {
    let mut builder = Builder::new(File::create(path).unwrap());
    for (kind, name, text) in entries {
        append(&mut builder, *kind, name, text);
    }
    builder.finish().unwrap();
}

fn append(builder: &mut Builder<impl Write>, kind: EntryType, name: &str, text: &str) {
    let mut header = Header::new_gnu();
    // As it stands: the crate itself refuses to write such names.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
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

/// The root filesystem of the tests as an archive.
fn whole(work: &Directory) -> PathBuf {
    let rootfs = rootfs("archived");
    let path = work.at("rootfs.tar");
    let mut builder = Builder::new(File::create(&path).unwrap());
    builder.follow_symlinks(false);
    builder.append_dir_all(".", &rootfs.0).unwrap();
    builder.finish().unwrap();
    path
}

#[test]
fn an_archive_is_a_root_filesystem() {
    let work = Directory::new("whole");
    let path = whole(&work);
    assert_eq!(
        said(&run([path.to_str().unwrap(), "sh", "-c", "touch /new; ls -d /new; echo $$"])),
        "/new\n2"
    );
}

#[test]
fn hostile_archives_are_refused() {
    let work = Directory::new("hostile");
    let path = work.at("hostile.tar");
    let cases: &[(&[Made<'_>], &str)] = &[
        (&[(EntryType::Regular, "../../evil", "x")], "../../evil leads out"),
        (&[(EntryType::Regular, "a/../../evil", "x")], "leads out"),
        (&[(EntryType::Regular, "/evil", "x")], "/evil leads out"),
        (&[(EntryType::Link, "evil", "/etc/passwd")], "/etc/passwd leads out"),
        (&[(EntryType::Link, "evil", "../../etc/passwd")], "leads out"),
        (&[(EntryType::Block, "evil", "")], "evil is a device"),
        (&[(EntryType::Char, "dev/evil", "")], "dev/evil is a device"),
        (&[(EntryType::Regular, "e\u{1b}[2J/../x", "")], "\\u{1b}[2J"),
    ];
    for (entries, word) in cases {
        archive(&path, entries);
        refused(&run([path.to_str().unwrap(), "true"]), 125, &[word]);
    }
}

#[test]
fn what_is_written_through_a_link_stays_inside() {
    let work = Directory::new("through");
    let outside = work.at("outside");
    fs::create_dir(&outside).unwrap();
    let path = whole(&work);
    let mut base = fs::read(&path).unwrap();
    // Appended in the place of the two blocks of zeros at the end.
    while base.ends_with(&[0; 512]) {
        base.truncate(base.len() - 512);
    }
    fs::write(&path, &base).unwrap();
    let mut builder = Builder::new(fs::OpenOptions::new().append(true).open(&path).unwrap());
    append(&mut builder, EntryType::Symlink, "door", outside.to_str().unwrap());
    append(&mut builder, EntryType::Regular, "door/evil", "x");
    append(&mut builder, EntryType::Symlink, "up", "../../../../../../../tmp");
    append(&mut builder, EntryType::Regular, "up/inside", "x");
    builder.finish().unwrap();
    let output = run([path.to_str().unwrap(), "ls", "/tmp"]);
    assert!(fs::read_dir(&outside).unwrap().next().is_none(), "nothing came out");
    // A link to nowhere inside is an error; one that climbs ends at the root.
    refused(&output, 125, &["door"]);
}

#[test]
fn damaged_archives_are_refused() {
    let work = Directory::new("damaged");
    let path = whole(&work);
    let bytes = fs::read(&path).unwrap();
    for length in [bytes.len() / 2, bytes.len() / 2 / 512 * 512, bytes.len() - 512, 700] {
        fs::write(&path, &bytes[..length]).unwrap();
        refused(&run([path.to_str().unwrap(), "true"]), 125, &["cut short", "get it again"]);
    }
    let mut broken = bytes.clone();
    broken[600..700].fill(0xff);
    broken[148..156].fill(b'7');
    fs::write(&path, &broken).unwrap();
    refused(&run([path.to_str().unwrap(), "true"]), 125, &["damaged"]);
    for (start, word) in
        [(&b"\x1f\x8b"[..], "gunzip"), (b"hello", "neither a directory nor a tar"), (b"", "neither")]
    {
        fs::write(&path, start).unwrap();
        refused(&run([path.to_str().unwrap(), "true"]), 125, &[word]);
    }
}

#[test]
fn an_image_has_its_layers_applied() {
    let work = Directory::new("image");
    let base = fs::read(whole(&work)).unwrap();
    let second = work.at("second.tar");
    archive(
        &second,
        &[
            (EntryType::Directory, "etc", ""),
            (EntryType::Regular, "etc/one", "1"),
            (EntryType::Regular, "etc/two", "2"),
            (EntryType::Directory, "srv", ""),
            (EntryType::Regular, "srv/below", "x"),
        ],
    );
    let third = work.at("third.tar");
    archive(
        &third,
        &[
            (EntryType::Regular, "etc/.wh.one", ""),
            (EntryType::Regular, "etc/three", "3"),
            (EntryType::Regular, "srv/above", "y"),
            (EntryType::Regular, "srv/.wh..wh..opq", ""),
        ],
    );
    let image = |layers: &[(&str, &[u8])], manifest: &str| {
        let path = work.at("image.tar");
        let mut builder = Builder::new(File::create(&path).unwrap());
        for (name, bytes) in layers.iter().copied().chain([("manifest.json", manifest.as_bytes())]) {
            let mut header = Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, bytes).unwrap();
        }
        builder.finish().unwrap();
        path
    };
    let (second, third) = (fs::read(second).unwrap(), fs::read(third).unwrap());
    // Not in order: the manifest says which comes first.
    let layers: &[(&str, &[u8])] =
        &[("c/layer.tar", &third), ("a/layer.tar", &base), ("b/layer.tar", &second)];
    let path = image(layers, r#"[{"Layers": ["a/layer.tar", "b/layer.tar", "c/layer.tar"]}]"#);
    assert_eq!(
        said(&run([path.to_str().unwrap(), "ls", "/etc", "/srv"])),
        "/etc:\nthree\ntwo\n\n/srv:\nabove"
    );
    for (manifest, word) in [
        (r#"[{"Layers": ["nosuch"]}]"#, "a layer is missing"),
        ("{", "no JSON"),
        (r#"[{"Layers": []}, {"Layers": []}]"#, "2 images"),
    ] {
        refused(&run([image(layers, manifest).to_str().unwrap(), "true"]), 125, &[word]);
    }
    for name in [".wh.", ".wh..", ".wh..."] {
        let hostile = work.at("hostile.tar");
        archive(&hostile, &[(EntryType::Regular, name, "")]);
        let layers: &[(&str, &[u8])] = &[("a", &fs::read(&hostile).unwrap())];
        refused(
            &run([image(layers, r#"[{"Layers": ["a"]}]"#).to_str().unwrap(), "true"]),
            125,
            &["removes no file"],
        );
    }
}
