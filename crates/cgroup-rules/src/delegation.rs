//! Delegation: what an ordinary user may do in a cgroup that root has given to him, and what not.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lesson::{Claim, Lab, Need, Step, cause};
use ns_core::cgroup::{Cgroup, Place, Want};
use ns_core::probe::Missing;
use ns_core::{Capability, Child, Fact, Named, Namespaces, Outcome, Value, process};

use crate::{A_PLACE, find, put, stander};

/// The user to whom root gives. It needs no entry in /etc/passwd.
pub(crate) const USER: u32 = 1000;

/// Who gives a cgroup away, and then acts as somebody else.
const NEEDS: &[Need] =
    &[A_PLACE, Need::Capability(Capability::CAP_CHOWN), Need::Capability(Capability::CAP_SETUID), A_USER];
/// Root of a user namespace has the capabilities, and maybe nobody to become.
pub(crate) const A_USER: Need = Need::Probe(|| {
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        me.saw("setresuid(1000)", Outcome::of(process::become_user(USER))?)
    })?;
    let missing = Missing::new("a second user here", "run as root of the machine: sudo …");
    Ok((child.hear()?.value != *"OK").then_some(missing))
});

pub(crate) const MKDIR: Claim =
    Claim::holds("delegated-mkdir", "Whoever owns the directory of a cgroup may make cgroups in it.")
        .cause("chown USER of the directory")
        .more(&[108])
        .needs(NEEDS);
pub(crate) const PROCS: Claim = Claim::holds(
    "delegated-procs",
    "To move a process inside, the owner needs the cgroup.procs of the common ancestor as well.",
)
.cause("chown USER cgroup.procs")
.more(&[108])
.needs(NEEDS);
pub(crate) const SUBTREE_CONTROL: Claim = Claim::holds(
    "delegated-controllers",
    "To hand controllers down, the owner needs cgroup.subtree_control: a third file to be given.",
)
.cause("chown USER cgroup.subtree_control")
.more(&[108])
.needs(NEEDS);
pub(crate) const LIMITS: Claim = Claim::holds(
    "delegated-limits",
    "The limits of the delegated cgroup stay root's: EACCES. Those of the cgroups below are the owner's.",
)
.cause("a limit of the delegated cgroup itself")
.more(&[108])
.needs(NEEDS);
pub(crate) const ANCESTOR: Claim = Claim::holds(
    "common-ancestor",
    "No process comes in from outside, not even the owner's: EACCES, by the common ancestor's cgroup.procs.",
)
.cause("a source outside of what is delegated")
.more(&[108])
.needs(NEEDS);
pub(crate) const OPENER: Claim = Claim::holds(
    "opener",
    "Who opened cgroup.procs is asked, not who writes: what a user opened helps root no further.",
)
.cause("a user who opened the file")
.more(&[108])
.needs(NEEDS);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if !lab.can_ask(&[MKDIR, PROCS, SUBTREE_CONTROL, LIMITS, ANCESTOR, OPENER])? {
        return Ok(());
    }
    let place = find(Want::AnyV2)?;
    lab.step(Step {
        goal: "Give a cgroup to a user, file by file, and let the user try what each is good for.",
        calls: &["chown(\"…/given\", 1000)", "setresuid(1000)", "mkdir(\"…/given/child\")"],
        by_hand: &[
            "cd $own; cat /sys/kernel/cgroup/delegate; mkdir given; chown 1000 given",
            "as='setpriv --reuid 1000 --clear-groups bash -c'; $as 'mkdir given/child'",
            "sleep 95 & echo $! > given/cgroup.procs; $as \"echo $! > given/child/cgroup.procs\"",
            "chown 1000 given/cgroup.procs; $as \"echo $! > given/child/cgroup.procs\"",
            "$as 'echo > given/cgroup.subtree_control'; $as 'echo 1 > given/cgroup.max.depth'",
        ],
    })?;
    if let Ok(files) = std::fs::read_to_string("/sys/kernel/cgroup/delegate") {
        // The files that exist: those of a controller come with it.
        let files = files.lines().filter(|file| file.starts_with("cgroup."));
        lab.saw(Fact::outside("cat /sys/kernel/cgroup/delegate", Value::from(files.collect::<Vec<_>>())))?;
    }
    let make = |files: &[&str]| -> Result<Fact> {
        let given = give(&place, files)?;
        as_user("mkdir given/child", given.path().join("child"), |path| {
            std::fs::create_dir(path).named(|| "mkdir(given/child)".into())
        })
    };
    lab.claim(MKDIR).without(make(&[])?).with(make(cause(&["."], &[]))?).shows(|it| *it == "OK")?;

    let move_inside = |files: &[&str]| -> Result<Fact> {
        let (given, [_, to]) = give_with_children(&place, files)?;
        let member = child_of_the_user()?;
        put(&given, &member)?;
        let pid = member.pid();
        as_user("echo PID > given/b/cgroup.procs", to.path().join("cgroup.procs"), move |path| {
            write(path, &pid.to_string())
        })
    };
    lab.claim(PROCS)
        .without(move_inside(&["."])?)
        .with(move_inside(cause(&[".", "cgroup.procs"], &["."]))?)
        .shows(|answer| *answer == "OK")?;
    let control = |files: &[&str]| -> Result<Fact> {
        let given = give(&place, files)?;
        as_user("echo > given/cgroup.subtree_control", given.path().join("cgroup.subtree_control"), |path| {
            write(path, "")
        })
    };
    let (two, three) = (&[".", "cgroup.procs"][..], &[".", "cgroup.procs", "cgroup.subtree_control"][..]);
    lab.claim(SUBTREE_CONTROL)
        .without(control(two)?)
        .with(control(cause(three, two))?)
        .shows(|answer| *answer == "OK")?;
    let limit = |of: &'static str| -> Result<Fact> {
        let (given, _children) = give_with_children(&place, three)?;
        let file = given.path().join(of).join("cgroup.max.depth");
        as_user(&format!("echo 1 > given/{of}/cgroup.max.depth"), file, |path| write(path, "1"))
    };
    lab.claim(LIMITS).without(limit("a")?).with(limit(cause(".", "a"))?).shows(|it| *it == "EACCES")?;

    lab.step(Step {
        goal: "Let the user move a process of his own from one delegated cgroup to another, and in from outside.",
        calls: &["write(\"…/given/b/cgroup.procs\", \"PID\")"],
        by_hand: &[
            "$as 'mkdir given/a given/b'; sleep 94 & echo $! > given/a/cgroup.procs",
            "$as \"echo $! > given/b/cgroup.procs\"; cat given/b/cgroup.procs; mkdir out; echo $! > out/cgroup.procs",
            "$as \"echo $! > given/b/cgroup.procs\"",
        ],
    })?;
    let move_in = |from_outside: bool| -> Result<Fact> {
        let (_given, [from, to]) = give_with_children(&place, three)?;
        let outside = place.create("outside")?;
        let member = child_of_the_user()?;
        put(if from_outside { &outside } else { &from }, &member)?;
        let pid = member.pid();
        as_user("echo PID > given/b/cgroup.procs", to.path().join("cgroup.procs"), move |path| {
            write(path, &pid.to_string())
        })
    };
    lab.claim(ANCESTOR)
        .without(move_in(false)?)
        .with(move_in(cause(true, false))?)
        .shows(|answer| *answer == "EACCES")?;
    let write_what_was_opened = |opener: u32| -> Result<Fact> {
        let (_given, [_, to]) = give_with_children(&place, three)?;
        let outside = place.create("outside")?;
        let member = child_of_the_user()?;
        put(&outside, &member)?;
        let (file, pid) = (to.path().join("cgroup.procs"), member.pid());
        let mut root = Child::spawn("root", Namespaces::NONE, move |me| {
            let opened = process::with_effective_user(opener, || open(&file))?;
            let answer = (&opened).write_all(format!("{pid}\n").as_bytes());
            me.saw("write(fd, \"PID\"), by root", Outcome::of(answer.named(|| "write(fd)".into()))?)
        })?;
        Ok(root.hear()?)
    };
    lab.claim(OPENER)
        .without(write_what_was_opened(0)?)
        .with(write_what_was_opened(cause(USER, 0))?)
        .shows(|answer| *answer == "EACCES")?;
    Ok(())
}

/// A cgroup of which these files are the user's; `.` is its directory.
fn give(place: &Place, files: &[&str]) -> Result<Cgroup> {
    let given = place.create("given")?;
    for file in files {
        own(&given.path().join(file), USER)?;
    }
    Ok(given)
}

/// The same, with two children that are the user's, as those are that he makes himself.
pub(crate) fn give_with_children(place: &Place, files: &[&str]) -> Result<(Cgroup, [Cgroup; 2])> {
    let given = give(place, files)?;
    let children = [given.child(&"a".parse()?)?, given.child(&"b".parse()?)?];
    for child in &children {
        own(child.path(), USER)?;
        for entry in std::fs::read_dir(child.path()).context("ls given/…")? {
            own(&entry.context("ls given/…")?.path(), USER)?;
        }
    }
    Ok((given, children))
}

pub(crate) fn own(path: &Path, user: u32) -> Result<()> {
    std::os::unix::fs::chown(path, Some(user), None).with_context(|| format!("chown {}", path.display()))
}

/// A process that belongs to the user.
pub(crate) fn child_of_the_user() -> Result<Child> {
    let mut child = Child::spawn("member", Namespaces::NONE, |me| {
        process::become_user(USER)?;
        me.saw("it is the user's", true)?;
        me.stay()
    })?;
    child.hear()?;
    Ok(child)
}

/// What the kernel answers to the user. Named by `what`, since only the user of both arms knows the paths.
pub(crate) fn as_user(
    what: &str,
    path: PathBuf,
    attempt: impl FnOnce(&Path) -> ns_core::Result<()>,
) -> Result<Fact> {
    let what = what.to_string();
    let mut user = Child::spawn("user", Namespaces::NONE, move |me| {
        process::become_user(USER)?;
        me.saw(what, Outcome::of(attempt(&path))?)
    })?;
    Ok(user.hear()?)
}

fn open(path: &Path) -> ns_core::Result<File> {
    OpenOptions::new().write(true).open(path).named(|| "open(…)".into())
}

/// One write(2) of a line, as echo has it.
pub(crate) fn write(path: &Path, text: &str) -> ns_core::Result<()> {
    (&open(path)?).write_all(format!("{text}\n").as_bytes()).named(|| "write(…)".into())
}

/// A process that is root's.
pub(crate) fn child_of_root() -> Result<Child> {
    Ok(stander("member")?)
}
