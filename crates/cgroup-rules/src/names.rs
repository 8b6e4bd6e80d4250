//! What a cgroup may be called: the kernel takes nearly anything, and shows it as it is.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result};
use lesson::{Claim, Lab, Step, cause};
use ns_core::cgroup::{Cgroup, Want};
use ns_core::janitor::TemporaryDirectory;
use ns_core::{Fact, Named, Outcome, Value};

use crate::inner::A_DOMAIN_CONTROLLER;
use crate::{A_PLACE, find, inner, stander};

pub(crate) const NEWLINE: Claim = Claim::holds(
    "newline",
    "Besides a slash, a name may not have a newline, since /proc/PID/cgroup has lines: EINVAL.",
)
.cause("a newline")
.notes(&[32])
.needs(&[A_PLACE]);
pub(crate) const LONG: Claim = Claim::holds(
    "long",
    "A cgroup's name may be longer than 255 bytes, where other filesystems say ENAMETOOLONG.",
)
.cause("cgroupfs")
.notes(&[32])
.needs(&[A_PLACE]);
pub(crate) const RAW: Claim = Claim::holds(
    "raw",
    "/proc/PID/cgroup gives a name byte by byte: a terminal that shows it obeys the escape sequence in it.",
)
.cause("an escape sequence in the name")
.notes(&[32])
.needs(&[A_PLACE]);
pub(crate) const COLLISION: Claim = Claim::holds(
    "collision",
    "A child called memory.max keeps memory from being enabled: its file has no place any more, EEXIST.",
)
.cause("a child called like the controller's file")
.notes(&[32, 33])
.needs(&[A_DOMAIN_CONTROLLER]);

/// Bold and back: harmless, should it get through.
const ESCAPE: &str = "\u{1b}[1m\u{1b}[0m";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if lab.can_ask(&[NEWLINE, LONG, RAW])? {
        what_is_taken(lab)?;
    }
    if lab.can_ask(&[COLLISION])? {
        collision(lab)?;
    }
    Ok(())
}

fn what_is_taken(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Make cgroups of strange names, and one whose name has an escape sequence with a member in it.",
        calls: &["mkdir(\"…/a\\nb\")", "read(\"/proc/PID/cgroup\")"],
        by_hand: &[
            "mkdir new; mkdir new/$'a\\nb' new/cgroup.procs; mkdir new/$'\\e[1m' new/memory.max; ls -b new",
            "mkdir new/$(printf %256s | tr ' ' n); mkdir /tmp/$(printf %256s | tr ' ' n)",
            "sleep 93 & echo $! > new/$'\\e[1m'/cgroup.procs; grep ^0:: /proc/$!/cgroup | cat -v",
        ],
    })?;
    let place = find(Want::AnyV2)?;
    let fresh = || -> Result<(Cgroup, Cgroup)> {
        let top = place.create("top")?;
        // One below, so that no controller has put its files there.
        let new = top.child(&"new".parse()?)?;
        Ok((top, new))
    };
    let mkdir = |name: &[u8]| -> Result<Outcome> {
        let (_top, new) = fresh()?;
        make(new.path(), name)
    };
    let made = |name: &str| -> Result<Fact> {
        Ok(Fact::outside(format!("mkdir \"{}\"", name.escape_default()), mkdir(name.as_bytes())?))
    };
    lab.claim(NEWLINE)
        .without(made("a b")?)
        .with(made(cause("a\nb", "a b"))?)
        .shows(|answer| *answer == "EINVAL")?;
    let plain = TemporaryDirectory::new("plain")?;
    let of_256_bytes = |directory: &Path| -> Result<Fact> {
        Ok(Fact::outside("mkdir, 256 bytes", make(directory, &[b'n'; 256])?))
    };
    let (_top, new) = fresh()?;
    lab.claim(LONG)
        .without(of_256_bytes(plain.path())?)
        .with(of_256_bytes(cause(new.path(), plain.path()))?)
        .shows(|answer| *answer == "OK")?;
    let shown = |name: &str| -> Result<Fact> {
        let (_top, new) = fresh()?;
        make(new.path(), name.as_bytes())?;
        let member = stander("member")?;
        // Not by join(): the arm without the cause has a member too.
        let path = new.path().join(name).join("cgroup.procs");
        std::fs::write(&path, member.pid().to_string()).context("echo PID > …/cgroup.procs")?;
        let text = std::fs::read(format!("/proc/{}/cgroup", member.pid())).context("cat /proc/PID/cgroup")?;
        Ok(Fact::outside("/proc/PID/cgroup has a byte 27", text.contains(&0x1b)))
    };
    lab.claim(RAW).without(shown("bold")?).with(shown(cause(ESCAPE, "bold"))?).shows(|raw| *raw == "yes")?;

    let long = (vec![b'n'; 256], vec![b'n'; 3000]);
    let names: [(&str, &[u8]); 16] = [
        ("a space: \"a b\"", b"a b"),
        ("a hyphen in front: -rf", b"-rf"),
        ("three dots", b"..."),
        ("an escape sequence", ESCAPE.as_bytes()),
        ("bytes that are no UTF-8", b"\xff\xfe"),
        ("256 bytes", &long.0),
        ("3000 bytes", &long.1),
        ("a newline inside", b"a\nb"),
        ("nothing", b""),
        (".", b"."),
        ("..", b".."),
        ("a slash, nothing before it there: a/b", b"a/b"),
        ("cgroup.procs", b"cgroup.procs"),
        ("cgroup.nonsense", b"cgroup.nonsense"),
        ("memory.max, without that controller", b"memory.max"),
        ("tasks, a file of v1", b"tasks"),
    ];
    let mut rows = Vec::new();
    for (what, name) in names {
        rows.push(vec![Value::from(what), mkdir(name)?.into()]);
    }
    lab.table("What the kernel answers to mkdir in a cgroup", &["name", "answer"], rows)
}

fn collision(lab: &mut Lab) -> Result<()> {
    let (controller, place) = inner::domain_controller()?;
    let file = format!("{controller}.max");
    lab.step(Step {
        goal: "Give a grandchild the name of a file that a controller would put there, and enable the controller.",
        calls: &["mkdir(\"…/top/child/memory.max\")", "write(\"…/top/cgroup.subtree_control\", \"+memory\")"],
        by_hand: &[
            "mkdir -p clash/child/memory.max; echo +memory > clash/cgroup.subtree_control",
            "rmdir clash/child/memory.max; echo +memory > clash/cgroup.subtree_control",
        ],
    })?;
    let enable = |name: &str| -> Result<Fact> {
        let top = place.create("top")?;
        let child = top.child(&"child".parse()?)?;
        make(child.path(), name.as_bytes())?;
        let answer = Outcome::of(top.enable(&controller))?;
        Ok(Fact::outside(format!("echo +{controller} > top/cgroup.subtree_control"), answer))
    };
    lab.claim(COLLISION)
        .without(enable("lab")?)
        .with(enable(cause(&file, "lab"))?)
        .shows(|answer| *answer == "EEXIST")?;
    Ok(())
}

/// mkdir(2) of any name, below what a guard removes.
fn make(directory: &Path, name: &[u8]) -> Result<Outcome> {
    let mut path = OsString::from(directory);
    path.push("/");
    path.push(OsStr::from_bytes(name));
    Ok(Outcome::of(std::fs::create_dir(path).named(|| "mkdir(…)".into()))?)
}
