//! The owners of a directory's files, as seen inside.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Completion, Failed};

use crate::plain::{self, Directory, mounts, program, rootfs, run, said};

const OWNERS: &str = "stat -c %u:%g /etc/root /etc/mail; touch /etc/mail /new; stat -c %u:%g /etc/mail /new";
const NOBODY: &str = "65534:65534";

/// A root filesystem with a file of root and one of user 8, with `base` added to all owners. Only root can create it.
fn with_owners(name: &str, base: u32) -> Result<Directory, Completion> {
    let rootfs = rootfs(name);
    if fs::metadata(&rootfs.0).unwrap().uid() != 0 {
        return Err(Completion::ignored_with("needs root, who alone can make files of other users: sudo"));
    }
    for (file, owner) in [("etc/root", 0), ("etc/mail", 8), ("etc", 0), (".", 0)] {
        if !rootfs.at(file).exists() {
            fs::write(rootfs.at(file), "").unwrap();
        }
        chown(rootfs.at(file), Some(base + owner), Some(base + owner)).unwrap();
    }
    Ok(rootfs)
}

fn shown(rootfs: &Directory, options: &[&str]) -> Output {
    let path = rootfs.0.to_str().unwrap();
    run(options.iter().copied().chain([path, "sh", "-c", OWNERS]))
}

pub(crate) fn a_range_of_ids_shows_the_owners_mapped() -> Result<Completion, Failed> {
    let rootfs = match with_owners("mapped", 0) {
        Ok(rootfs) => rootfs,
        Err(skipped) => return Ok(skipped),
    };
    let before = mounts();
    let output = shown(&rootfs, &["--user", "0:100000:65536"]);
    assert_eq!(said(&output), "0:0\n8:8\n8:8\n0:0");
    assert!(output.stderr.is_empty(), "{output:?}");
    // The container's user 8 is 100008 outside. On disk, the file still belongs to user 8.
    assert_eq!(fs::metadata(rootfs.at("etc/mail")).unwrap().uid(), 8);
    assert_eq!(mounts(), before);
    // The control: without an idmapped mount, the owners are not mapped.
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
    Ok(Completion::Completed)
}

pub(crate) fn what_belongs_to_the_range_already_is_left_as_it_is() -> Result<Completion, Failed> {
    let rootfs = match with_owners("moved", 100_000) {
        Ok(rootfs) => rootfs,
        Err(skipped) => return Ok(skipped),
    };
    assert_eq!(said(&shown(&rootfs, &["--user", "0:100000:65536"])), "0:0\n8:8\n8:8\n0:0");
    Ok(Completion::Completed)
}

/// Runs a program as user 64321. In a new mount namespace, /etc/subuid gives this user a range. `more` are options of
/// setpriv(1), or a program that executes it.
fn as_a_user_with_a_range(more: &str, program: &str, arguments: &[&str]) -> Output {
    let here = Directory::new("user");
    plain::copy_program(program, &here.at("program"));
    let script = format!(
        "cd {0} && cp /etc/passwd /etc/group . && echo some:x:64321:64321::/:/bin/sh >>passwd && \
         echo some:600000:65536 >sub && for file in passwd group; do mount --bind $file /etc/$file; done && \
         mount --bind sub /etc/subuid && mount --bind sub /etc/subgid && \
         exec setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all {more} ./program \"$@\"",
        here.0.display()
    );
    Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

pub(crate) fn an_ordinary_user_cannot_have_them_mapped() -> Result<Completion, Failed> {
    let rootfs = match with_owners("root's", 0) {
        Ok(rootfs) => rootfs,
        Err(skipped) => return Ok(skipped),
    };
    if let Some(skipped) = without_newuidmap() {
        return Ok(skipped);
    }
    let path = rootfs.0.to_str().unwrap();
    let arguments = ["run", "--user", "auto", path, "stat", "-c", "%u:%g", "/etc/root", "/etc/mail"];
    let output = as_a_user_with_a_range("", &program(), &arguments);
    assert_eq!(said(&output), format!("{NOBODY}\n{NOBODY}"));
    let line = String::from_utf8_lossy(&output.stderr);
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("only root may map their owners"), "{line}");
    // A root filesystem with the user's own IDs needs no mapping: the user owns root's files, and user 8's files belong to
    // the eighth ID of the range.
    for (file, owner) in [("etc/root", 64321), ("etc/mail", 600_007), ("etc", 64321), (".", 64321)] {
        chown(rootfs.at(file), Some(owner), Some(owner)).unwrap();
    }
    let output = as_a_user_with_a_range("", &program(), &["run", "--user", "auto", path, "sh", "-c", OWNERS]);
    assert_eq!(said(&output), "0:0\n8:8\n8:8\n0:0");
    assert!(output.stderr.is_empty(), "{output:?}");
    Ok(Completion::Completed)
}

fn without_newuidmap() -> Option<Completion> {
    let has_files = ["/etc/subuid", "/etc/subgid"].iter().all(|it| Path::new(it).exists());
    let has_program = Command::new("newuidmap").stdin(Stdio::null()).output().is_ok();
    let why = "newuidmap is missing, without which an ordinary user has one ID: apt install uidmap";
    (!has_files || !has_program).then(|| Completion::ignored_with(why))
}

pub(crate) fn no_new_privs_is_told_to_whom_it_keeps_from_a_range() -> Result<Completion, Failed> {
    let rootfs = match with_owners("no-new-privs", 64_321) {
        Ok(rootfs) => rootfs,
        Err(skipped) => return Ok(skipped),
    };
    if let Some(skipped) = without_newuidmap() {
        return Ok(skipped);
    }
    let asked = ["run", "--user", "auto", rootfs.0.to_str().unwrap(), "cat", "/proc/self/uid_map"];
    let shown = |more: &str| as_a_user_with_a_range(more, &program(), &asked);
    let output = shown("--no-new-privs");
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    let line = String::from_utf8_lossy(&output.stderr);
    assert_eq!(line.lines().count(), 1, "{line}");
    for part in ["newuidmap", "no_new_privs", "set-user-ID", "a terminal without", "leave --user out"] {
        assert!(line.contains(part), "{line}");
    }
    assert!(output.stdout.is_empty(), "{output:?}");
    // The control: the same without it.
    let output = shown("");
    assert!(said(&output).contains("600000"), "{output:?}");
    // If newuidmap is missing, the error says so.
    let output = shown("env PATH=/nowhere");
    let line = String::from_utf8_lossy(&output.stderr);
    assert!(line.contains("newuidmap is missing; to get it: sudo apt install uidmap"), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    // The remedy works.
    let own = ["run", rootfs.0.to_str().unwrap(), "cat", "/proc/self/uid_map"];
    let output = as_a_user_with_a_range("--no-new-privs", &program(), &own);
    assert_eq!(said(&output).split_whitespace().collect::<Vec<_>>(), ["0", "64321", "1"]);
    Ok(Completion::Completed)
}

pub(crate) fn an_ordinary_user_has_the_same_container() -> Result<Completion, Failed> {
    let rootfs = rootfs("ordinary");
    if !nix::unistd::geteuid().is_root() {
        return Ok(Completion::ignored_with("needs root: for an ordinary user every other test is this one"));
    }
    // A copy of the program that every user can reach.
    let program = rootfs.at("program");
    plain::copy_program(plain::PROGRAM, &program);
    let output = Command::new("setpriv")
        .args(["--reuid", "64321", "--regid", "64321", "--clear-groups"])
        .arg(&program)
        .arg("run")
        .arg(&rootfs.0)
        .args(["sh", "-c", "id -u; touch /new; ls -d /new; cat /proc/self/uid_map | tr -s ' '"])
        .current_dir(Path::new("/"))
        .output()
        .unwrap();
    assert_eq!(said(&output), "0\n/new\n 0 64321 1");
    Ok(Completion::Completed)
}
