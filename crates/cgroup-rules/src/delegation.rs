//! Delegation: what an ordinary user may do in a cgroup that root has delegated.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lesson::{Claim, Requirement, Step, first, hand};
use ns_core::cgroup::{Cgroup, CgroupParent, CgroupRequest};
use ns_core::probe::Unmet;
use ns_core::{Capability, Child, Fact, Named, Namespaces, Outcome, Value, process};

use crate::cgroups::A_PARENT;

/// The user to whom root delegates. It needs no entry in /etc/passwd.
pub(crate) const USER: u32 = 1000;

/// Root in a user namespace has the capabilities, but the namespace may map no second user.
pub(crate) const A_USER: Requirement = Requirement::Probe(|| {
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        me.report("setresuid(1000)", Outcome::of(process::become_user(USER))?)
    })?;
    let unmet = Unmet::new("a second user here", "run as root of the machine: sudo …");
    Ok((child.fact()?.value != *"OK").then_some(unmet))
});
/// What it takes to delegate a cgroup, and to act as another user.
const NEEDS: &[Requirement] = &[
    A_PARENT,
    Requirement::Capability(Capability::CAP_CHOWN),
    Requirement::Capability(Capability::CAP_SETUID),
    A_USER,
];

/// What is delegated: the directory, and the files that cgroup-v2.rst lists ("Model of Delegation").
const DIRECTORY: &[&str] = &["."];
const DIRECTORY_AND_PROCS: &[&str] = &[".", "cgroup.procs"];
const ALL: &[&str] = &[".", "cgroup.procs", "cgroup.subtree_control"];

const MKDIR: Claim = Claim::holds(
    "delegated-mkdir",
    "A user that owns the directory of a cgroup can create child cgroups in it.",
)
.factor("chown USER of the directory")
.arms("not owned", "directory owned")
.more(&[108])
.requires(NEEDS);
const PROCS: Claim = Claim::holds(
    "delegated-procs",
    "To move a process, a user also needs write access to cgroup.procs of the common ancestor, else EACCES.",
)
.factor("chown USER cgroup.procs")
.arms("directory", "and cgroup.procs")
.more(&[108])
.requires(NEEDS);
const SUBTREE_CONTROL: Claim = Claim::holds(
    "delegated-controllers",
    "To enable controllers for children, a user also needs write access to cgroup.subtree_control, else EACCES.",
)
.factor("chown USER cgroup.subtree_control").arms("not owned", "owned")
.more(&[108])
.requires(NEEDS);
const LIMITS: Claim = Claim::holds(
    "delegated-limits",
    "The owner cannot write cgroup.max.depth of the delegated cgroup itself: EACCES. In a child it can.",
)
.factor("a limit of the delegated cgroup itself")
.arms("of a child", "of itself")
.more(&[108])
.requires(NEEDS);

pub(crate) const GIVE: Step = Step {
    title: "Delegate a cgroup to a user, file by file, and let the user try each file.",
    calls: &["chown(\"…/given\", 1000)", "setresuid(1000)", "mkdir(\"…/given/child\")"],
    by_hand: &[
        hand("cd $own; grep ^cgroup /sys/kernel/cgroup/delegate; mkdir given; chown 1000 given")
            .as_root()
            .prints("cgroup.procs\ncgroup.threads\ncgroup.subtree_control")
            .in_the_same_shell(),
        hand("as='setpriv --reuid 1000 --clear-groups bash -c'; $as 'mkdir given/child'")
            .as_root()
            .prints(""),
        hand("sleep 60 & echo $! > given/cgroup.procs; $as \"echo $! > given/child/cgroup.procs\"")
            .as_root()
            .prints("EACCES"),
        hand("chown 1000 given/cgroup.procs; $as \"echo $! > given/child/cgroup.procs\"")
            .as_root()
            .prints(""),
        hand("$as 'echo > given/cgroup.subtree_control'; $as 'echo 1 > given/cgroup.max.depth'")
            .as_root()
            .prints("EACCES\nEACCES"),
    ],
    claims: &[MKDIR, PROCS, SUBTREE_CONTROL, LIMITS],
    run: |lab| {
        if let Ok(files) = fs::read_to_string("/sys/kernel/cgroup/delegate") {
            // Only the files that every cgroup has.
            let files = files.lines().filter(|file| file.starts_with("cgroup."));
            lab.saw(Fact::outside(
                "cat /sys/kernel/cgroup/delegate",
                Value::from(files.collect::<Vec<_>>()),
            ))?;
        }
        let succeeds = || first().from("EACCES").to("OK");
        lab.compare(MKDIR, &[][..], DIRECTORY, make_child)?.shows(succeeds())?;
        lab.compare(PROCS, DIRECTORY, DIRECTORY_AND_PROCS, move_inside)?.shows(succeeds())?;
        lab.compare(SUBTREE_CONTROL, DIRECTORY_AND_PROCS, ALL, write_subtree_control)?.shows(succeeds())?;
        lab.compare(LIMITS, "a", ".", limit_depth)?.shows(first().is("EACCES"))
    },
};

const ANCESTOR: Claim = Claim::holds(
    "common-ancestor",
    "A user cannot move even its own process in from outside: EACCES, by the common ancestor's cgroup.procs.",
)
.factor("a source outside of the delegated cgroup")
.arms("from within", "from outside")
.more(&[108])
.requires(NEEDS);
const OPENER: Claim = Claim::holds(
    "opener",
    "The kernel checks who opened cgroup.procs, not who writes: root gets EACCES on a user's descriptor.",
)
.factor("a descriptor that a user opened")
.arms("root opened it", "user opened it")
.more(&[108])
.requires(NEEDS);

pub(crate) const BRING_IN: Step = Step {
    title: "Let the user move a process within the delegated cgroup, and then in from outside.",
    calls: &["write(\"…/given/b/cgroup.procs\", \"PID\")"],
    by_hand: &[hand("$as 'mkdir given/a given/b'; sleep 60 & echo $! > given/a/cgroup.procs").as_root().prints("").in_the_same_shell(), hand("$as \"echo $! > given/b/cgroup.procs\"; echo $!; cat given/b/cgroup.procs; mkdir out; echo $! > out/cgroup.procs").as_root().prints("<moved>\n<moved>"), hand("$as \"echo $! > given/b/cgroup.procs\"").as_root().prints("EACCES"), ],
    claims: &[ANCESTOR, OPENER],
    run: |lab| {
        lab.compare(ANCESTOR, false, true, move_in)?.shows(first().is("EACCES"))?;
        lab.compare(OPENER, 0, USER, write_what_was_opened)?.shows(first().is("EACCES"))
    },
};

fn make_child(files: &[&str]) -> Result<Fact> {
    let given = give(&CgroupParent::require(CgroupRequest::AnyV2)?, files)?;
    as_user("mkdir given/child", given.path().join("child"), |path| {
        fs::create_dir(path).named(|| "mkdir(given/child)".into())
    })
}

fn move_inside(files: &[&str]) -> Result<Fact> {
    let (given, [_, to]) = give_with_children(&CgroupParent::require(CgroupRequest::AnyV2)?, files)?;
    let member = start_as_user()?;
    given.join(member.pid())?;
    move_as_user(&member, &to)
}

fn write_subtree_control(files: &[&str]) -> Result<Fact> {
    let given = give(&CgroupParent::require(CgroupRequest::AnyV2)?, files)?;
    let file = given.path().join("cgroup.subtree_control");
    as_user("echo > given/cgroup.subtree_control", file, |path| write(path, ""))
}

/// Writes cgroup.max.depth of the delegated cgroup, or of a child.
fn limit_depth(of: &str) -> Result<Fact> {
    let (given, _children) = give_with_children(&CgroupParent::require(CgroupRequest::AnyV2)?, ALL)?;
    let file = given.path().join(of).join("cgroup.max.depth");
    as_user(&format!("echo 1 > given/{of}/cgroup.max.depth"), file, |path| write(path, "1"))
}

/// Moves a process of the user into the delegated cgroup, from within or from outside.
fn move_in(from_outside: bool) -> Result<Fact> {
    let parent = CgroupParent::require(CgroupRequest::AnyV2)?;
    let (_given, [from, to]) = give_with_children(&parent, ALL)?;
    let outside = parent.create("outside")?;
    let member = start_as_user()?;
    let source = if from_outside { &outside } else { &from };
    source.join(member.pid())?;
    move_as_user(&member, &to)
}

/// Root writes to a descriptor of cgroup.procs, which root or a user has opened.
fn write_what_was_opened(opener: u32) -> Result<Fact> {
    let parent = CgroupParent::require(CgroupRequest::AnyV2)?;
    let (_given, [_, to]) = give_with_children(&parent, ALL)?;
    let outside = parent.create("outside")?;
    let member = start_as_user()?;
    outside.join(member.pid())?;
    let mut root = Child::spawn("root", Namespaces::NONE, |me| {
        let opened = process::with_effective_user(opener, || open(&to.path().join("cgroup.procs")))?;
        let answer = (&opened).write_all(format!("{}\n", member.pid()).as_bytes());
        me.report("write(fd, \"PID\"), by root", Outcome::of(answer.named(|| "write(fd)".into()))?)
    })?;
    Ok(root.fact()?)
}

/// Creates a cgroup in which the user owns these files. `.` is the directory.
fn give(parent: &CgroupParent, files: &[&str]) -> Result<Cgroup> {
    let given = parent.create("given")?;
    permit(given.path())?;
    for file in files {
        chown(&given.path().join(file))?;
    }
    Ok(given)
}

/// The same, with two children. The user owns them, as if it had created them.
pub(crate) fn give_with_children(parent: &CgroupParent, files: &[&str]) -> Result<(Cgroup, [Cgroup; 2])> {
    let given = give(parent, files)?;
    let children = [given.child(&"a".parse()?)?, given.child(&"b".parse()?)?];
    for child in &children {
        permit(child.path())?;
        chown(child.path())?;
        for entry in fs::read_dir(child.path()).context("ls given/…")? {
            chown(&entry.context("ls given/…")?.path())?;
        }
    }
    Ok((given, children))
}

/// Makes the user the owner.
pub(crate) fn chown(path: &Path) -> ns_core::Result<()> {
    std::os::unix::fs::chown(path, Some(USER), None).named(|| "chown USER".into())
}

/// Sets the mode of a directory to that of the usual umask(2).
fn permit(directory: &Path) -> ns_core::Result<()> {
    fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).named(|| "chmod 0755".into())
}

/// Starts an idle process of the user.
pub(crate) fn start_as_user() -> Result<Child> {
    let mut child = Child::spawn("member", Namespaces::NONE, |me| {
        process::become_user(USER)?;
        me.report("runs as the user", true)?;
        me.stay()
    })?;
    child.fact()?;
    Ok(child)
}

/// What the kernel answers when the user moves a process.
pub(crate) fn move_as_user(process: &Child, to: &Cgroup) -> Result<Fact> {
    let pid = process.pid();
    as_user("echo PID > given/b/cgroup.procs", to.path().join("cgroup.procs"), |path| {
        write(path, &pid.to_string())
    })
}

/// What the kernel answers to the user. `what` names the fact, because the paths differ between the arms.
fn as_user(what: &str, path: PathBuf, attempt: impl FnOnce(&Path) -> ns_core::Result<()>) -> Result<Fact> {
    let mut user = Child::spawn("user", Namespaces::NONE, |me| {
        process::become_user(USER)?;
        me.report(what, Outcome::of(attempt(&path))?)
    })?;
    Ok(user.fact()?)
}

fn open(path: &Path) -> ns_core::Result<File> {
    OpenOptions::new().write(true).open(path).named(|| "open(…)".into())
}

/// Writes a line with one write(2), as echo does.
fn write(path: &Path, text: &str) -> ns_core::Result<()> {
    (&open(path)?).write_all(format!("{text}\n").as_bytes()).named(|| "write(…)".into())
}
