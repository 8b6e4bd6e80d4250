//! Root filesystems from archives: archives that are unpacked, and archives that are refused.

mod plain;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use plain::tarred::{Made, append, archive, gzip, header, longer, tarred, whole, zstd};
use plain::{Directory, PATIENCE, PROGRAM, mounts, refused, run, said};
use tar::{Builder, EntryType};

#[test]
fn an_archive_is_a_root_filesystem() {
    let work = Directory::new("whole");
    let path = whole(&work);
    let script = "touch /new; ls -d /new; echo $$";
    assert_eq!(said(&run([path.to_str().unwrap(), "sh", "-c", script])), "/new\n2");
    // Also compressed in two parts, as by pigz(1): they are one stream.
    let bytes = fs::read(&path).unwrap();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for packed in [
        gzip(&bytes),
        [gzip(first), gzip(second)].concat(),
        zstd(&bytes),
        [zstd(first), zstd(second)].concat(),
    ] {
        let path = work.at("rootfs.tar.packed");
        fs::write(&path, packed).unwrap();
        assert_eq!(said(&run([path.to_str().unwrap(), "sh", "-c", script])), "/new\n2");
    }
}

#[test]
fn hostile_archives_are_refused() {
    let work = Directory::new("hostile");
    let path = work.at("hostile.tar");
    let before = mounts();
    let cases: &[(&[Made<'_>], &str)] = &[
        (&[(EntryType::Regular, "../../evil", "x")], "../../evil leads out"),
        (&[(EntryType::Regular, "a/../../evil", "x")], "leads out"),
        (&[(EntryType::Regular, "..", "x")], "leads out"),
        (&[(EntryType::Regular, "/evil", "x")], "/evil leads out"),
        (&[(EntryType::Symlink, "../evil", "x")], "leads out"),
        (&[(EntryType::Directory, "../evil", "")], "leads out"),
        (&[(EntryType::Link, "evil", "/etc/passwd")], "/etc/passwd leads out"),
        (&[(EntryType::Link, "evil", "../../etc/passwd")], "leads out"),
        (&[(EntryType::Link, "evil", "etc/passwd")], "No such file"),
        (&[(EntryType::Link, "evil", "")], "No such file"),
        (&[(EntryType::Link, "evil", "evil")], "No such file"),
        (&[(EntryType::Symlink, "evil", "")], "No such file"),
        (&[(EntryType::Symlink, "a", "a"), (EntryType::Regular, "a/b", "x")], "Too many symbolic links"),
        (&[(EntryType::Regular, "a", "x"), (EntryType::Regular, "a/b", "x")], "Not a directory"),
        // A magic link of procfs leads outside without a path.
        (&[(EntryType::Symlink, "a", "/proc/self/root"), (EntryType::Regular, "a/b", "x")], "unpack a"),
        (&[(EntryType::new(b'9'), "evil", "")], "unknown kind '9'"),
        (&[(EntryType::Regular, "e\u{1b}[2J/../x", "")], "\\u{1b}[2J"),
        // A name whose display differs from its bytes.
        (&[(EntryType::Regular, "e\u{202e}gnp/../x", "")], "e\\u{202e}gnp"),
        (
            &[(EntryType::new(b'9'), "e\u{2066}\u{200b}vil", "")],
            "e\\u{2066}\\u{200b}vil is of the unknown kind",
        ),
    ];
    for (entries, word) in cases {
        archive(&path, entries);
        refused(&run([path.to_str().unwrap(), "true"]), 125, &["hostile.tar", word]);
        let packed = work.at("hostile.tar.gz");
        fs::write(&packed, gzip(&fs::read(&path).unwrap())).unwrap();
        refused(&run([packed.to_str().unwrap(), "true"]), 125, &["hostile.tar.gz", word]);
    }
    assert_eq!(mounts(), before);
}

#[test]
fn devices_are_left_out_and_counted() {
    let work = Directory::new("devices");
    let path = work.at("devices.tar");
    let base = fs::read(whole(&work)).unwrap();
    let entries: &[Made<'_>] = &[
        (EntryType::Char, "dev/null", ""),
        (EntryType::Char, "dev/evil", ""),
        (EntryType::Block, "tmp/disk", ""),
        // What was there before is gone, as it is where the device is created.
        (EntryType::Regular, "tmp/file", "x"),
        (EntryType::Block, "tmp/file", ""),
        (EntryType::Fifo, "tmp/pipe", ""),
    ];
    fs::write(&path, longer(base, entries)).unwrap();
    let output = run([
        path.to_str().unwrap(),
        "sh",
        "-c",
        "ls /tmp; stat -c %t:%T /dev/null; ls /dev/evil 2>/dev/null",
    ]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "pipe\n1:3\n");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("devices of ROOTFS that are left out: 4;"), "{told}");
}

#[test]
fn a_name_is_as_long_as_the_kernel_takes_it() {
    let work = Directory::new("long");
    let path = work.at("long.tar");
    for (name, word) in [("x/".repeat(2500), "File name too long"), ("x".repeat(300), "File name too long")] {
        let mut builder = Builder::new(fs::File::create(&path).unwrap());
        let mut empty = header(EntryType::Regular);
        empty.set_size(0);
        builder.append_data(&mut empty, &name, &b""[..]).unwrap();
        builder.finish().unwrap();
        let output = run([path.to_str().unwrap(), "true"]);
        refused(&output, 125, &["…", word]);
        assert!(output.stderr.len() < 400, "the line is short: {output:?}");
    }
    // A name that would fill memory: many megabytes, compressed to a few kilobytes.
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    let mut long = header(EntryType::GNULongName);
    long.set_size(8 << 20);
    long.set_cksum();
    builder.append(&long, std::io::Read::take(std::io::repeat(b'x'), 8 << 20)).unwrap();
    append(&mut builder, EntryType::Regular, b"x", "");
    fs::write(&path, builder.into_inner().unwrap().finish().unwrap()).unwrap();
    refused(&run([path.to_str().unwrap(), "true"]), 125, &["a name of more than a megabyte"]);
}

#[test]
fn what_is_written_through_a_link_stays_inside() {
    let work = Directory::new("through");
    let outside = work.at("outside");
    fs::create_dir(&outside).unwrap();
    let base = fs::read(whole(&work)).unwrap();
    let path = work.at("through.tar");
    let outside_name = outside.to_str().unwrap();
    let entries: &[Made<'_>] = &[
        // A link to nowhere inside is an error.
        (EntryType::Symlink, "door", outside_name),
        (EntryType::Regular, "door/evil", "x"),
    ];
    fs::write(&path, longer(base.clone(), entries)).unwrap();
    refused(&run([path.to_str().unwrap(), "ls", "/tmp"]), 125, &["door"]);
    // A link with many `..` ends at the root.
    let entries: &[Made<'_>] = &[
        (EntryType::Symlink, "up", "../../../../../../../tmp"),
        (EntryType::Regular, "up/inside", "x"),
        // A file that replaces a link is created at its name, and not at its target.
        (EntryType::Symlink, "tmp/file", "/etc/target"),
        (EntryType::Regular, "tmp/file", "content"),
        (EntryType::Symlink, "tmp/directory", "/etc"),
        (EntryType::Directory, "tmp/directory", ""),
        (EntryType::Regular, "tmp/directory/in", "x"),
    ];
    fs::write(&path, longer(base, entries)).unwrap();
    let script = "ls /tmp /etc; cat /tmp/file";
    let listed = said(&run([path.to_str().unwrap(), "sh", "-c", script]));
    assert_eq!(listed, "/etc:\n\n/tmp:\ndirectory\nfile\ninside\ncontent");
    assert!(fs::read_dir(&outside).unwrap().next().is_none(), "nothing came out");
}

#[test]
fn of_two_files_of_one_name_the_later_stays() {
    let work = Directory::new("twice");
    let path = work.at("twice.tar");
    let entries: &[Made<'_>] = &[
        (EntryType::Regular, "tmp/a", "first"),
        (EntryType::Regular, "tmp/a", "second"),
        (EntryType::Regular, "tmp/b", "x"),
        (EntryType::Directory, "tmp/b", ""),
        (EntryType::Regular, "tmp/b/in", "x"),
        (EntryType::Directory, "tmp/c/in", ""),
        (EntryType::Regular, "tmp/c", "file"),
        (EntryType::Link, "tmp/d", "tmp/a"),
        (EntryType::Directory, "tmp", ""),
        (EntryType::Regular, ".wh.tmp", "no image, so no whiteout"),
    ];
    fs::write(&path, longer(fs::read(whole(&work)).unwrap(), entries)).unwrap();
    let script = "cd /tmp; ls; ls b; cat a c d";
    assert_eq!(said(&run([path.to_str().unwrap(), "sh", "-c", script])), "a\nb\nc\nd\nin\nsecondfilesecond");
}

#[test]
fn names_may_be_any_bytes() {
    let work = Directory::new("bytes");
    let path = work.at("bytes.tar");
    let base = longer(fs::read(whole(&work)).unwrap(), &[]);
    let mut builder = Builder::new(Vec::new());
    append(&mut builder, EntryType::Regular, b"tmp/\xff\n\xfe", "x");
    let mut end = longer(base, &[]);
    while end.ends_with(&[0; 512]) {
        end.truncate(end.len() - 512);
    }
    end.extend(builder.into_inner().unwrap());
    fs::write(&path, end).unwrap();
    let output = run([path.to_str().unwrap(), "ls", "-N", "/tmp"]);
    assert_eq!(output.stdout, b"\xff\n\xfe\n", "{output:?}");
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
    let packed = gzip(&bytes);
    // The last eight bytes are its checksum and its length.
    for length in [30, packed.len() / 2, packed.len() - 8, packed.len() - 1] {
        fs::write(&path, &packed[..length]).unwrap();
        refused(&run([path.to_str().unwrap(), "true"]), 125, &["cut short", "get it again"]);
    }
    let zipped = zstd(&bytes);
    // The last four bytes are its checksum.
    for length in [30, zipped.len() / 2, zipped.len() - 4, zipped.len() - 1] {
        fs::write(&path, &zipped[..length]).unwrap();
        refused(&run([path.to_str().unwrap(), "true"]), 125, &["cut short", "get it again"]);
    }
    let mut broken = zipped.clone();
    broken[zipped.len() - 1] ^= 1;
    fs::write(&path, &broken).unwrap();
    refused(&run([path.to_str().unwrap(), "true"]), 125, &["another checksum", "get it again"]);
    let mut broken = packed.clone();
    let middle = broken.len() / 2;
    broken[middle..middle + 8].fill(0xff);
    fs::write(&path, &broken).unwrap();
    refused(&run([path.to_str().unwrap(), "true"]), 125, &["damaged or cut short"]);
    let mut broken = bytes.clone();
    broken[600..700].fill(0xff);
    broken[148..156].fill(b'7');
    fs::write(&path, &broken).unwrap();
    refused(&run([path.to_str().unwrap(), "true"]), 125, &["damaged"]);
}

#[test]
fn what_is_no_archive_is_told() {
    let work = Directory::new("none");
    let path = work.at("none");
    let text = gzip(b"hello");
    for (start, word) in [
        (&b"\xfd7zXZ\0"[..], "xz -d "),
        (b"\x28\xb5\x2f\xfd", "cut short"),
        (b"\x28\xb5\x2f\xfd\0\xf8\0", "a zstd window of 2097152 MiB"),
        (b"BZh9", "bzip2 -d "),
        (&text, "neither a directory nor a tar archive; if it is the command: mini-container run -- "),
        (b"\x1f\x8b", "cut short"),
        (b"hello", "neither a directory nor a tar"),
        (b"", "neither a directory nor a tar"),
        (&[0; 10_240], "neither a directory nor a tar"),
    ] {
        fs::write(&path, start).unwrap();
        refused(&run([path.to_str().unwrap(), "true"]), 125, &[word]);
    }
}

#[test]
fn a_sparse_file_keeps_its_holes() {
    let work = Directory::new("sparse");
    let path = whole(&work);
    let tree = work.at("tree");
    fs::create_dir_all(tree.join("tmp")).unwrap();
    let file = fs::File::create(tree.join("tmp/file")).unwrap();
    file.set_len(64 << 20).unwrap();
    (&file).write_all(b"start").unwrap();
    let make = |format: &str, how: &str| {
        let to = work.at("sparse.tar");
        fs::copy(&path, &to).unwrap();
        let tar = Command::new("tar")
            .args([format, "--sparse", "-C", tree.to_str().unwrap(), how, to.to_str().unwrap(), "tmp/file"])
            .output()
            .unwrap();
        assert!(tar.status.success(), "{tar:?}");
        to
    };
    let output = run([make("--format=gnu", "-rf").to_str().unwrap(), "stat", "-c", "%s %b", "/tmp/file"]);
    let text = said(&output);
    let (size, blocks) = text.split_once(' ').unwrap();
    assert_eq!(size, "67108864");
    assert!(blocks.parse::<u64>().unwrap() < 1000, "{blocks} blocks");
    refused(
        &run([make("--format=posix", "-cf").to_str().unwrap(), "true"]),
        125,
        &["sparse", "tar --format=gnu"],
    );
}

#[test]
fn what_memory_has_no_room_for_is_refused_at_once() {
    let work = Directory::new("room");
    let path = work.at("huge.tar.gz");
    // The content is shorter than its header says. Memory must not be filled before this is noticed.
    let mut huge = header(EntryType::Regular);
    huge.as_old_mut().name[..8].copy_from_slice(b"tmp/huge");
    huge.set_size(1 << 40);
    huge.set_cksum();
    let mut bytes = tarred(&[(EntryType::Directory, "etc", "")]);
    bytes.truncate(512);
    bytes.extend(huge.as_bytes());
    bytes.extend([0; 4096]);
    fs::write(&path, gzip(&bytes)).unwrap();
    let began = Instant::now();
    refused(
        &run([path.to_str().unwrap(), "true"]),
        125,
        &["no space for tmp/huge", "into memory", "into a directory, and give that"],
    );
    assert!(began.elapsed() < PATIENCE / 2);
}

#[test]
fn who_waits_for_an_archive_can_end_it() {
    let work = Directory::new("waits");
    let path = work.at("slow.tar.gz");
    // Many zeros, under a name that no image has: reading them takes a while.
    let mut builder = Builder::new(GzEncoder::new(fs::File::create(&path).unwrap(), Compression::fast()));
    let mut large = header(EntryType::Regular);
    large.set_size(64 << 20);
    for number in 0..2 {
        let zeros = std::io::Read::take(std::io::repeat(0), 64 << 20);
        builder.append_data(&mut large, Path::new(&format!("{number}")), zeros).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap();
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let mut child = Command::new(PROGRAM)
            .args(["run", path.to_str().unwrap(), "true"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        // After the launcher has blocked its signals, it forwards them or ends.
        let late = Instant::now() + PATIENCE;
        let blocked = || {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
            status.lines().any(|line| line.starts_with("SigBlk:") && !line.ends_with("0000"))
        };
        while !blocked() {
            assert!(Instant::now() < late, "it never gets there");
            std::thread::sleep(Duration::from_millis(5));
        }
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().code(), Some(status), "{signal}");
    }
}
