//! Whose the files of a directory are, inside.

mod plain;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use plain::{Directory, mounts, program, rootfs, run, said};

const OWNERS: &str = "stat -c %u:%g /etc/root /etc/mail; touch /etc/mail /new; stat -c %u:%g /etc/mail /new";
const NOBODY: &str = "65534:65534";

/// A root filesystem with a file of root's and one of user 8's, all moved up by `base`. `None` if only root may.
fn with_owners(name: &str, base: u32) -> Option<Directory> {
    let rootfs = rootfs(name);
    if fs::metadata(&rootfs.0).unwrap().uid() != 0 {
        skip("files of other users can be made by root alone");
        return None;
    }
    for (file, owner) in [("etc/root", 0), ("etc/mail", 8), ("etc", 0), (".", 0)] {
        if !rootfs.at(file).exists() {
            fs::write(rootfs.at(file), "").unwrap();
        }
        chown(rootfs.at(file), Some(base + owner), Some(base + owner)).unwrap();
    }
    Some(rootfs)
}

/// Past the test's own output, which nobody reads while all is well.
fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "skip: {why}");
}

fn shown(rootfs: &Directory, options: &[&str]) -> Output {
    let path = rootfs.0.to_str().unwrap();
    run(options.iter().copied().chain([path, "sh", "-c", OWNERS]))
}

#[test]
fn a_range_of_ids_shows_the_owners_mapped() {
    let Some(rootfs) = with_owners("mapped", 0) else { return };
    let before = mounts();
    let output = shown(&rootfs, &["--user", "0:100000:65536"]);
    assert_eq!(said(&output), "0:0\n8:8\n8:8\n0:0");
    assert!(output.stderr.is_empty(), "{output:?}");
    // The container's user 8 is 100008 outside: on the disk the file is still that of user 8.
    assert_eq!(fs::metadata(rootfs.at("etc/mail")).unwrap().uid(), 8);
    assert_eq!(mounts(), before);
    // The control: without a map to show them through, nobody but root is anybody.
    let own = run([rootfs.0.to_str().unwrap(), "stat", "-c", "%u:%g", "/etc/root", "/etc/mail"]);
    assert_eq!(said(&own), format!("0:0\n{NOBODY}"));
    let one = run([
        "--user",
        "0:1000:1",
        rootfs.0.to_str().unwrap(),
        "stat",
        "-c",
        "%u:%g",
        "/etc/root",
        "/etc/mail",
    ]);
    assert_eq!(said(&one), format!("0:0\n{NOBODY}"), "a map of one ID has room for root alone");
    assert_eq!(
        said(&shown(&rootfs, &["--user", "auto"])),
        "0:0\n8:8\n8:8\n0:0",
        "root's IDs stand for themselves"
    );
}

#[test]
fn what_belongs_to_the_range_already_is_left_as_it_is() {
    let Some(rootfs) = with_owners("moved", 100_000) else { return };
    assert_eq!(said(&shown(&rootfs, &["--user", "0:100000:65536"])), "0:0\n8:8\n8:8\n0:0");
}

/// As user 64321, whom /etc/subuid gives a range in a mount namespace of this command's own.
fn as_a_user_with_a_range(program: &str, arguments: &[&str]) -> Output {
    let here = Directory::new("user");
    plain::copy_program(program, &here.at("program"));
    let script = format!(
        "cd {0} && cp /etc/passwd /etc/group . && echo some:x:64321:64321::/:/bin/sh >>passwd && \
         echo some:600000:65536 >sub && for file in passwd group; do mount --bind $file /etc/$file; done && \
         mount --bind sub /etc/subuid && mount --bind sub /etc/subgid && \
         exec setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all ./program \"$@\"",
        here.0.display()
    );
    Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn an_ordinary_user_cannot_have_them_mapped() {
    let Some(rootfs) = with_owners("root's", 0) else { return };
    let has_files = ["/etc/subuid", "/etc/subgid"].iter().all(|it| Path::new(it).exists());
    if !has_files || Command::new("newuidmap").stdin(Stdio::null()).output().is_err() {
        return skip("without newuidmap an ordinary user has one ID; apt install uidmap");
    }
    let path = rootfs.0.to_str().unwrap();
    let arguments = ["run", "--user", "auto", path, "stat", "-c", "%u:%g", "/etc/root", "/etc/mail"];
    let output = as_a_user_with_a_range(&program(), &arguments);
    assert_eq!(said(&output), format!("{NOBODY}\n{NOBODY}"));
    let line = String::from_utf8_lossy(&output.stderr);
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("only root may have them mapped"), "{line}");
    // Their own, made with the same IDs, needs no mapping: root's files are the user's, and user 8's the eighth of the range.
    for (file, owner) in [("etc/root", 64321), ("etc/mail", 600_007), ("etc", 64321), (".", 64321)] {
        chown(rootfs.at(file), Some(owner), Some(owner)).unwrap();
    }
    let output = as_a_user_with_a_range(&program(), &["run", "--user", "auto", path, "sh", "-c", OWNERS]);
    assert_eq!(said(&output), "0:0\n8:8\n8:8\n0:0");
    assert!(output.stderr.is_empty(), "{output:?}");
}
