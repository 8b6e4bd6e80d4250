//! The names of cgroups: the kernel accepts nearly any name, and shows it unchanged.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use lesson::{Claim, Lab, Requirement, Step, first, hand, outside};
use ns_core::cgroup::{Cgroup, CgroupParent, CgroupRequest};
use ns_core::cleanup::TemporaryDirectory;
use ns_core::probe::Unmet;
use ns_core::{Fact, Named, Outcome, Value};

use crate::cgroups::{A_PARENT, start_idle, with_child};
use crate::inner::{A_DOMAIN_CONTROLLER, domain_controller};

const NEWLINE: Claim =
    Claim::holds("newline", "The name of a cgroup cannot have a newline: mkdir() fails with EINVAL.")
        .factor("a newline")
        .arms("a space", "a newline")
        .notes(&[32])
        .requires(&[A_PARENT]);
const LONG: Claim = Claim::holds(
    "long",
    "The name of a cgroup can have 256 bytes, where a usual filesystem answers ENAMETOOLONG.",
)
.factor("cgroupfs")
.arms("filesystem", "cgroupfs")
.notes(&[32])
.requires(&[A_PARENT, Requirement::Probe(a_directory)]);
const RAW: Claim = Claim::holds(
    "raw",
    "/proc/PID/cgroup shows the bytes of a cgroup's name unchanged, even an escape sequence.",
)
.factor("an escape sequence in the name")
.arms("plain name", "escape sequence")
.notes(&[32])
.requires(&[A_PARENT]);

/// Bold on and off: harmless if it reaches a terminal.
const ESCAPE: &str = "\u{1b}[1m\u{1b}[0m";

pub(crate) const MAKE_STRANGE_NAMES: Step = Step {
    title: "Create cgroups with unusual names. Read the path of a member where the name has an escape sequence.",
    calls: &["mkdir(\"…/a\\nb\")", "read(\"/proc/PID/cgroup\")"],
    by_hand: &[
        hand("mkdir new; mkdir new/$'a\\nb' new/cgroup.procs; mkdir new/$'\\e[1m' && echo OK")
            .as_root()
            .prints("EINVAL\nEEXIST\nOK")
            .in_the_same_shell(),
        hand("mkdir new/$(printf %256s | tr ' ' n) && echo OK; mkdir /tmp/$(printf %256s | tr ' ' n)")
            .as_root()
            .prints("OK\nENAMETOOLONG"),
        hand("sleep 60 & echo $! > new/$'\\e[1m'/cgroup.procs; grep ^0:: /proc/$!/cgroup | cat -v")
            .as_root()
            .prints("0::/…/new/^[[1m"),
    ],
    claims: &[NEWLINE, LONG, RAW],
    run: |lab| {
        lab.compare(NEWLINE, "a b", "a\nb", |name| {
            let answer = mkdir_in_new(name.as_bytes())?;
            Ok(Fact::outside(format!("mkdir \"{}\"", name.escape_default()), answer))
        })?
        .shows(first().is("EINVAL"))?;
        lab.compare(LONG, false, true, |in_a_cgroup| {
            let answer = if in_a_cgroup {
                mkdir_in_new(&[b'n'; 256])?
            } else {
                mkdir(TemporaryDirectory::new("plain")?.path(), &[b'n'; 256])?
            };
            Ok(Fact::outside("mkdir, 256 bytes", answer))
        })?
        .shows(first().from("ENAMETOOLONG").to("OK"))?;
        lab.compare(RAW, "bold", ESCAPE, read_path_of_a_member)?
            .shows(outside("/proc/PID/cgroup has a byte 27").is("yes"))?;
        show_names(lab)
    },
};

const COLLISION: Claim = Claim::holds(
    "collision",
    "+CONTROLLER fails with EEXIST where a grandchild has the name of a file of the controller.",
)
.factor("a grandchild named like the controller's file")
.arms("another name", "the same name")
.notes(&[32, 33])
.requires(&[A_DOMAIN_CONTROLLER]);

pub(crate) const COLLIDE: Step = Step {
    title: "Give a grandchild the name of a file of a controller, and enable the controller for children.",
    calls: &["mkdir(\"…/top/child/memory.max\")", "write(\"…/top/cgroup.subtree_control\", \"+memory\")"],
    by_hand: &[hand("f=$(ls $domain.*max | head -n 1); mkdir -p clash/child/$f; echo +$domain > clash/cgroup.subtree_control").as_root().prints("EEXIST").in_the_same_shell(), hand("rmdir clash/child/$f; echo +$domain > clash/cgroup.subtree_control; ls -d clash/child/$f").as_root().prints("clash/child/…"), ],
    claims: &[COLLISION],
    run: |lab| {
        let domain = domain_controller()?;
        let file = domain.file()?;
        lab.saw(Fact::outside("file of the controller", Value::Name(file.clone())))?;
        lab.compare(COLLISION, "lab", file.as_str(), |name| {
            let (top, child) = with_child(&domain.parent)?;
            ensure!(mkdir(child.path(), name.as_bytes())? == Outcome::Done, "mkdir top/child/{name}");
            let answer = Outcome::of(top.enable(&domain.name))?;
            Ok(Fact::outside(format!("echo +{} > top/cgroup.subtree_control", domain.name), answer))
        })?
        .shows(first().is("EEXIST"))
    },
};

fn a_directory() -> ns_core::Result<Option<Unmet>> {
    let refused = TemporaryDirectory::new("probe").err();
    Ok(refused.map(|error| Unmet::new(error.to_string(), "set TMPDIR to a directory that you may write to")))
}

/// Creates a cgroup and its child. The child has no files of controllers.
fn make_new() -> Result<(Cgroup, Cgroup)> {
    let top = CgroupParent::require(CgroupRequest::AnyV2)?.create("top")?;
    let new = top.child(&"new".parse()?)?;
    Ok((top, new))
}

fn mkdir_in_new(name: &[u8]) -> Result<Outcome> {
    let (_top, new) = make_new()?;
    mkdir(new.path(), name)
}

/// mkdir(2) with any name. The guard of the parent removes it.
fn mkdir(directory: &Path, name: &[u8]) -> Result<Outcome> {
    let mut path = OsString::from(directory);
    path.push("/");
    path.push(OsStr::from_bytes(name));
    Ok(Outcome::of(std::fs::create_dir(path).named(|| "mkdir(…)".into()))?)
}

fn read_path_of_a_member(name: &str) -> Result<Fact> {
    let (_top, new) = make_new()?;
    mkdir(new.path(), name.as_bytes())?;
    let member = start_idle("member")?;
    let procs = new.path().join(name).join("cgroup.procs");
    std::fs::write(&procs, member.pid().to_string()).context("echo PID > …/cgroup.procs")?;
    let text = std::fs::read(format!("/proc/{}/cgroup", member.pid())).context("cat /proc/PID/cgroup")?;
    Ok(Fact::outside("/proc/PID/cgroup has a byte 27", text.contains(&0x1b)))
}

fn show_names(lab: &mut Lab) -> Result<()> {
    let long = (vec![b'n'; 256], vec![b'n'; 3000]);
    let names: [(&str, &[u8]); 16] = [
        ("a space: \"a b\"", b"a b"),
        ("a leading hyphen: -rf", b"-rf"),
        ("three dots", b"..."),
        ("an escape sequence", ESCAPE.as_bytes()),
        ("bytes that are not UTF-8", b"\xff\xfe"),
        ("256 bytes", &long.0),
        ("3000 bytes", &long.1),
        ("a newline inside", b"a\nb"),
        ("an empty name", b""),
        (".", b"."),
        ("..", b".."),
        ("a slash, where a does not exist: a/b", b"a/b"),
        ("cgroup.procs", b"cgroup.procs"),
        ("cgroup.nonsense", b"cgroup.nonsense"),
        ("memory.max, without that controller", b"memory.max"),
        ("tasks, a file of v1", b"tasks"),
    ];
    let mut rows = Vec::new();
    for (what, name) in names {
        rows.push(vec![Value::from(what), mkdir_in_new(name)?.into()]);
    }
    lab.table("What the kernel answers to mkdir in a cgroup", &["name", "answer"], rows)
}
