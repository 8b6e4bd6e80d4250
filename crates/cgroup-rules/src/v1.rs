//! What v1 allows and v2 does not, in a hierarchy of this machine or in one that is mounted for the run.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result};
use lesson::{Claim, Need, Requirement, Row, Step, first, hand, outside, right, wrong};
use ns_core::cgroup::{Cgroup, CgroupParent, CgroupRequest, Layout, Version};
use ns_core::{Capability, Fact, Named, Outcome, Value};

use crate::cgroups::{A_PARENT, path_from, start_idle, start_in, start_two_threads, with_child};
use crate::delegation::{A_USER, chown, give_with_children, move_as_user, start_as_user};
use crate::v1_hierarchies::{hierarchies_or, mount_two_hierarchies, names, parents};

/// v1 hierarchies: those of this machine, or two that may be mounted.
const V1: Requirement = Requirement::Probe(|| hierarchies_or(|layout| !names(layout).is_empty()));
/// Two v1 hierarchies in which cgroups can be created.
const V1_PARENTS: Requirement =
    Requirement::Probe(|| hierarchies_or(|_| parents().is_ok_and(|parents| parents.len() >= 2)));
/// What it takes to delegate a cgroup, and to act as another user.
const DELEGATE: &[Requirement] = &[
    A_PARENT,
    V1_PARENTS,
    Requirement::Capability(Capability::CAP_CHOWN),
    Requirement::Capability(Capability::CAP_SETUID),
    A_USER,
];

const LINES: Claim = Claim::holds(
    "lines",
    "v1 can have several hierarchies, and v2 has one. Each is a line of /proc/PID/cgroup.",
)
.factor("v1")
.arms("v2", "v1")
.notes(&[52, 54, 55])
.requires(&[V1]);

pub(crate) const COUNT_HIERARCHIES: Step = Step {
    title: "Count the lines of /proc/self/cgroup. A line of v2 begins with 0::, and one of v1 with another number.",
    calls: &["read(\"/proc/self/cgroup\")"],
    by_hand: &[hand("cat /proc/self/cgroup; findmnt -n --types cgroup,cgroup2")
        .as_root()
        .prints("0::/…/shell\n/sys/fs/cgroup cgroup2 cgroup2 …")
        .in_the_same_shell()],
    claims: &[LINES],
    run: |lab| {
        mount_two_hierarchies(lab)?;
        let layout = Layout::detect()?;
        let rows = layout.hierarchies().iter().map(|hierarchy| {
            let controllers = match hierarchy.version() {
                Version::V1 => hierarchy.controllers().join(","),
                Version::V2 => "all others".into(),
            };
            vec![hierarchy.version().to_string().into(), Value::from(controllers)]
        });
        lab.table("The mounted hierarchies", &["version", "for"], rows.collect())?;
        lab.compare(LINES, Version::V2, Version::V1, count_lines)?
            .shows(outside("hierarchies in /proc/self/cgroup").that(|lines| lines.as_i64() > Some(1)))
    },
};

const TWO_PLACES: Claim = Claim::holds(
    "two-places",
    "In v1 a process is in one cgroup of each hierarchy: a move in one does not change another.",
)
.factor("echo PID > cgroup.procs of one hierarchy")
.notes(&[54])
.requires(&[V1_PARENTS])
.arms("stays", "moved in one")
.core(&[
    Row::outside("v1: first tree", "first hierarchy"),
    Row::outside("v1: second tree", "second hierarchy"),
])
.asks(
    "In cgroup v1, you move a process in the cpu hierarchy. Where is it in the memory hierarchy?",
    &[
        right("where it was before"),
        wrong("in the cgroup of the same name", "version 2 has one tree for all controllers"),
        wrong("in the root", "a move seems to apply to all hierarchies"),
    ],
);
const INNER: Claim = Claim::holds(
    "v1-inner",
    "In v1 a cgroup and its child can both have members, and the child has all controller files.",
)
.factor("members in both")
.arms("no members", "members")
.notes(&[56, 57])
.requires(&[V1_PARENTS]);
const THREADS: Claim = Claim::holds(
    "v1-threads",
    "In v1, a thread ID written to `tasks` moves one thread; written to cgroup.procs, it moves the whole process.",
)
.factor("tasks instead of cgroup.procs")
.arms("cgroup.procs", "tasks")
.notes(&[59])
.requires(&[V1_PARENTS]);
const RENAME: Claim =
    Claim::holds("v1-rename", "rename() succeeds on a v1 cgroup, and fails with EPERM on a v2 cgroup.")
        .factor("v1")
        .arms("v2", "v1")
        .more(&[104])
        .requires(&[A_PARENT, V1_PARENTS]);

pub(crate) const MOVE_IN_V1: Step = Step {
    title: "In a v1 hierarchy, move a process. Put members into a cgroup and its child. Move one thread of two.",
    calls: &["write(\"…/cgroup.procs\", \"PID\")", "write(\"…/tasks\", \"TID\")"],
    by_hand: &[
        hand("v1=/mnt; mount -t cgroup -o none,name=lab lab $v1")
            .as_root()
            .prints("")
            .needs(&[Need::ThrowAway])
            .in_the_same_shell(),
        hand("mkdir -p $v1/top/child; ls $v1/top/child; sleep 60 & echo $! > $v1/top/cgroup.procs")
            .as_root()
            .prints("cgroup.clone_children\ncgroup.procs\nnotify_on_release\ntasks")
            .needs(&[Need::ThrowAway]),
        hand("sleep 60 & echo $! > $v1/top/child/tasks; cat /proc/$!/cgroup; mv $v1/top/child $v1/top/new")
            .as_root()
            .prints("…:name=lab:/top/child\n0::/…/shell")
            .needs(&[Need::ThrowAway]),
    ],
    claims: &[TWO_PLACES, INNER, THREADS, RENAME],
    run: |lab| {
        mount_two_hierarchies(lab)?;
        let [(name, _), (other, _)] = two_parents()?;
        lab.saw(Fact::outside("two v1 hierarchies", Value::Name(format!("{name} and {other}"))))?;
        lab.compare(TWO_PLACES, false, true, move_in_one)?
            .in_both_arms(outside("second hierarchy").is("elsewhere"))
            .shows(outside("first hierarchy").is("top"))?;
        lab.compare(INNER, false, true, join_both)?
            .in_both_arms(outside("top/child has all files of top").is("yes"))
            .shows(outside("members of top").is(1) & outside("members of top/child").is(1))?;
        lab.compare(THREADS, "cgroup.procs", "tasks", write_thread)?
            .in_both_arms(outside("second thread is in").is("top"))
            .shows(outside("main thread is in").is("elsewhere"))?;
        lab.compare(RENAME, Version::V2, Version::V1, rename)?.shows(first().from("EPERM").to("OK"))
    },
};

const BRINGS_IN: Claim = Claim::holds(
    "v1-brings-in",
    "In v1 a user can move its own process from outside into a delegated cgroup; in v2: EACCES.",
)
.factor("v1")
.arms("v2", "v1")
.more(&[108])
.requires(DELEGATE);
const ANYBODY: Claim = Claim::holds(
    "v1-whose",
    "In v1 a user cannot move root's process within a delegated tree: EACCES. In v2 it can.",
)
.factor("v1")
.arms("v2", "v1")
.more(&[108])
.requires(DELEGATE);

pub(crate) const GIVE_IN_V1: Step = Step {
    title: "Delegate a v1 cgroup to a user. Let the user move its own process in, and root's process within.",
    calls: &["write(\"…/given/b/cgroup.procs\", \"PID\")"],
    by_hand: &[
        hand("mkdir -p $v1/given/a $v1/given/b; chown -R 1000 $v1/given")
            .as_root()
            .prints("")
            .needs(&[Need::ThrowAway])
            .in_the_same_shell(),
        hand("$as \"sleep 60 & echo \\$! > $v1/given/b/cgroup.procs\"; cat $v1/given/b/cgroup.procs")
            .as_root()
            .prints("<own>")
            .needs(&[Need::ThrowAway]),
        hand("sleep 60 & echo $! > $v1/given/a/cgroup.procs; $as \"echo $! > $v1/given/b/cgroup.procs\"")
            .as_root()
            .prints("EACCES")
            .needs(&[Need::ThrowAway]),
    ],
    claims: &[BRINGS_IN, ANYBODY],
    run: |lab| {
        mount_two_hierarchies(lab)?;
        lab.compare(BRINGS_IN, Version::V2, Version::V1, |version| {
            let (_given, [_, to]) = give_all(version)?;
            move_as_user(&start_as_user()?, &to)
        })?
        .shows(first().from("EACCES").to("OK"))?;
        lab.compare(ANYBODY, Version::V2, Version::V1, |version| {
            let (_given, [from, to]) = give_all(version)?;
            move_as_user(&start_in(&from, "member")?, &to)
        })?
        .shows(first().is("EACCES"))
    },
};

fn count_lines(version: Version) -> Result<Fact> {
    let text = std::fs::read_to_string("/proc/self/cgroup").context("cat /proc/self/cgroup")?;
    let lines = text.lines().filter(|line| line.starts_with("0::") == (version == Version::V2));
    Ok(Fact::outside("hierarchies in /proc/self/cgroup", lines.count()))
}

/// Where a process is in two hierarchies. It is moved in the first if `moves`.
fn move_in_one(moves: bool) -> Result<[Fact; 2]> {
    let [(name, parent), (other_name, other_parent)] = two_parents()?;
    let (top, other) = (parent.create("top")?, other_parent.create("other")?);
    let process = start_idle("process")?;
    if moves {
        top.join(process.pid())?;
    }
    Ok([
        Fact::outside("first hierarchy", path_from(&top, &name, process.pid())?),
        Fact::outside("second hierarchy", path_from(&other, &other_name, process.pid())?),
    ])
}

/// A v1 cgroup and its child. Each has a member if `joins`.
fn join_both(joins: bool) -> Result<[Fact; 3]> {
    let (top, child) = with_child(&parent_of(Version::V1)?)?;
    let _members = joins
        .then(|| Ok::<_, ns_core::Error>([start_in(&top, "first")?, start_in(&child, "second")?]))
        .transpose()?;
    Ok([
        Fact::outside("members of top", top.procs()?.len()),
        Fact::outside("members of top/child", child.procs()?.len()),
        Fact::outside("top/child has all files of top", files(top.path())? == files(child.path())?),
    ])
}

/// Writes the ID of one of two threads to a file of a v1 cgroup.
fn write_thread(file: &str) -> Result<[Fact; 3]> {
    let [(name, parent), _] = two_parents()?;
    let top = parent.create("top")?;
    let (process, thread) = start_two_threads()?;
    let answer = Outcome::of(top.write(file, &thread.to_string()))?;
    Ok([
        Fact::outside(format!("echo TID > {file}"), answer),
        Fact::outside("main thread is in", path_from(&top, &name, process.pid())?),
        Fact::outside("second thread is in", path_from(&top, &name, thread)?),
    ])
}

fn rename(version: Version) -> Result<Fact> {
    let cgroup = parent_of(version)?.create("name")?;
    let child = cgroup.child(&"old".parse()?)?;
    let answer = std::fs::rename(child.path(), cgroup.path().join("new")).named(|| "rename()".into());
    // The guard of `old` finds nothing to remove. The guard of the parent removes the renamed child.
    Ok(Fact::outside("mv old new", Outcome::of(answer)?))
}

/// Delegates a cgroup and its two children to the user.
fn give_all(version: Version) -> Result<(Cgroup, [Cgroup; 2])> {
    let (given, children) = give_with_children(&parent_of(version)?, &["."])?;
    for file in ["cgroup.procs", "tasks"].into_iter().filter(|file| given.path().join(file).exists()) {
        chown(&given.path().join(file))?;
    }
    Ok((given, children))
}

fn files(directory: &Path) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).context("ls …")? {
        let entry = entry.context("ls …")?;
        if entry.file_type().context("ls …")?.is_file() {
            names.push(entry.file_name());
        }
    }
    names.sort();
    Ok(names)
}

fn two_parents() -> Result<[(String, CgroupParent); 2]> {
    let mut parents = parents()?;
    parents.truncate(2);
    parents.try_into().map_err(|_| anyhow::anyhow!("fewer than two v1 hierarchies"))
}

fn parent_of(version: Version) -> Result<CgroupParent> {
    match version {
        Version::V1 => two_parents().map(|[(_, parent), _]| parent),
        Version::V2 => Ok(CgroupParent::require(CgroupRequest::AnyV2)?),
    }
}
