//! What v1 lets a cgroup's members do, and v2 does not: in a hierarchy that this machine has, or in one mounted for it.

use std::path::Path;

use anyhow::{Context, Result};
use lesson::{Claim, Lab, Need, Observation, Step, cause};
use ns_core::cgroup::{Cgroup, Layout, Place, Version, Want};
use ns_core::probe::{self, Missing};
use ns_core::{Capability, Child, Fact, Named, Outcome, Value};

use crate::delegation::{
    A_USER, USER, as_user, child_of_root, child_of_the_user, give_with_children, own, write,
};
use crate::{A_PLACE, find, put, seen_from, stander, two_threads};

/// v1 hierarchies to look at: those of this machine, or two that may be mounted for it.
const V1: Need = Need::Probe(|| hierarchies_or(|layout| !names(layout).is_empty()));
/// Two v1 hierarchies in which cgroups can be made.
const V1_PLACES: Need = Need::Probe(|| hierarchies_or(|_| places().is_ok_and(|places| places.len() >= 2)));
/// Who gives a cgroup away, and then acts as somebody else.
const DELEGATE: &[Need] = &[
    A_PLACE,
    V1_PLACES,
    Need::Capability(Capability::CAP_CHOWN),
    Need::Capability(Capability::CAP_SETUID),
    A_USER,
];

pub(crate) const LINES: Claim = Claim::holds(
    "lines",
    "v1 is a hierarchy for each controller or name, v2 one for all: a line each in /proc/PID/cgroup.",
)
.cause("v1")
.notes(&[52, 54, 55])
.needs(&[V1]);
pub(crate) const TWO_PLACES: Claim = Claim::holds(
    "two-places",
    "In v1 a process has a place in each hierarchy: moved in one, it stays where it is in the others.",
)
.cause("echo PID > cgroup.procs of one hierarchy")
.notes(&[54])
.needs(&[V1_PLACES]);
pub(crate) const INNER: Claim = Claim::holds(
    "v1-inner",
    "v1 has no rule against inner members: both have some, and the child has all its controllers' files.",
)
.cause("members in both")
.notes(&[56, 57])
.needs(&[V1_PLACES]);
pub(crate) const THREADS: Claim = Claim::holds(
    "v1-threads",
    "In v1 a thread may go anywhere without its process: by `tasks`, beside cgroup.procs.",
)
.cause("tasks instead of cgroup.procs")
.notes(&[59])
.needs(&[V1_PLACES]);
pub(crate) const RENAME: Claim =
    Claim::holds("v1-rename", "A cgroup of v1 can be renamed, one of v2 cannot: EPERM.")
        .cause("v1")
        .more(&[104])
        .needs(&[A_PLACE, V1_PLACES]);
pub(crate) const BRINGS_IN: Claim = Claim::holds(
    "v1-brings-in",
    "v1 knows no common ancestor: users bring processes of their own into a cgroup of theirs from anywhere.",
)
.cause("v1")
.more(&[108])
.needs(DELEGATE);
pub(crate) const ANYBODY: Claim = Claim::holds(
    "v1-whose",
    "v1 asks whose process it is: in a delegated tree a user moves root's process in v2, and not in v1.",
)
.cause("v1")
.more(&[108])
.needs(DELEGATE);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if lab.can_ask(&[LINES])? {
        lines(lab)?;
    }
    if lab.can_ask(&[TWO_PLACES, INNER, THREADS])? {
        members(lab)?;
    }
    if lab.can_ask(&[RENAME])? {
        let [v1, _] = two_places()?;
        let v2 = find(Want::AnyV2)?;
        lab.claim(RENAME)
            .without(rename(&v2)?)
            .with(rename(cause(&v1.1, &v2))?)
            .shows(|answer| *answer == "OK")?;
    }
    if lab.can_ask(&[BRINGS_IN, ANYBODY])? {
        delegated(lab)?;
    }
    Ok(())
}

fn lines(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Count the lines of /proc/self/cgroup: those of v1 begin with a number and controllers, v2's with 0::.",
        calls: &["read(\"/proc/self/cgroup\")"],
        by_hand: &["cat /proc/self/cgroup; findmnt --types cgroup,cgroup2"],
    })?;
    let layout = Layout::detect()?;
    let rows = layout.hierarchies().iter().map(|hierarchy| {
        let controllers = match hierarchy.version() {
            Version::V1 => hierarchy.controllers().join(","),
            Version::V2 => "all others".into(),
        };
        vec![hierarchy.version().to_string().into(), Value::from(controllers)]
    });
    lab.table("The mounted hierarchies", &["version", "for"], rows.collect())?;
    let text = std::fs::read_to_string("/proc/self/cgroup").context("cat /proc/self/cgroup")?;
    let count = |version: Version| {
        let of_it = |line: &&str| line.starts_with("0::") == (version == Version::V2);
        Fact::outside("hierarchies in /proc/self/cgroup", text.lines().filter(of_it).count())
    };
    lab.claim(LINES)
        .without(count(Version::V2))
        .with(count(cause(Version::V1, Version::V2)))
        .shows(|lines| lines.value().as_i64().is_some_and(|lines| lines > 1))?;
    Ok(())
}

fn members(lab: &mut Lab) -> Result<()> {
    let [(name, place), (other_name, other)] = two_places()?;
    lab.step(Step {
        goal: "In a hierarchy of v1, move a process, put members above members, and move one thread of two.",
        calls: &["write(\"…/cgroup.procs\", \"PID\")", "write(\"…/tasks\", \"TID\")"],
        by_hand: &[
            "v1=/mnt; mount -t cgroup -o none,name=lab lab $v1  # only in a machine to throw away",
            "mkdir -p $v1/top/child; ls $v1/top/child; sleep 92 & echo $! > $v1/top/cgroup.procs",
            "sleep 91 & echo $! > $v1/top/child/tasks; cat /proc/$!/cgroup; mv $v1/top/child $v1/top/new",
        ],
    })?;
    lab.saw(Fact::outside("two hierarchies of v1", Value::Name(format!("{name} and {other_name}"))))?;
    let (top, unmoved) = (place.create("top")?, other.create("other")?);
    let places = |moved: bool| -> Result<[Fact; 2]> {
        let process = stander("process")?;
        if moved {
            top.join(process.pid())?;
        }
        let at = |top: &Cgroup, name: &str| seen_from(top, name, process.pid());
        Ok([
            Fact::outside("in the first hierarchy", at(&top, &name)?),
            Fact::outside("in the second", at(&unmoved, &other_name)?),
        ])
    };
    lab.claim(TWO_PLACES)
        .without(places(false)?)
        .with(places(true)?)
        .shows(|it| *it == "top" && it.outside("in the second").is_some_and(|it| *it == "elsewhere"))?;
    drop((top, unmoved));
    let both = |joins: bool| -> Result<Observation> {
        let top = place.create("top")?;
        let child = top.child(&"child".parse()?)?;
        let (first, second) = (stander("first")?, stander("second")?);
        if joins {
            top.join(first.pid())?;
            child.join(second.pid())?;
        }
        let same_files = files(top.path())? == files(child.path())?;
        Ok([
            Fact::outside("members of top", top.procs()?.len()),
            Fact::outside("members of top/child", child.procs()?.len()),
            Fact::outside("top/child has all files of top", same_files),
        ]
        .into())
    };
    lab.claim(INNER).without(both(false)?).with(both(true)?).shows(|it| {
        *it == 1
            && it.outside("members of top/child").is_some_and(|it| *it == 1)
            && it.outside("top/child has all files of top").is_some_and(|it| *it == "yes")
    })?;
    let one_of_two = |file: &str| -> Result<[Fact; 3]> {
        let top = place.create("top")?;
        let (process, thread) = two_threads()?;
        let answer = Outcome::of(top.write(file, &thread.to_string()))?;
        let seen = |thread| seen_from(&top, &name, thread);
        Ok([
            Fact::outside(format!("echo TID > {file}"), answer),
            Fact::outside("its main thread is in", seen(process.pid())?),
            Fact::outside("its second thread is in", seen(thread)?),
        ])
    };
    lab.claim(THREADS)
        .without(one_of_two("cgroup.procs")?)
        .with(one_of_two(cause("tasks", "cgroup.procs"))?)
        .shows(|it| {
            it.outside("its main thread is in").is_some_and(|it| *it == "elsewhere")
                && it.outside("its second thread is in").is_some_and(|it| *it == "top")
        })?;
    Ok(())
}

fn delegated(lab: &mut Lab) -> Result<()> {
    let [(_, v1), _] = two_places()?;
    let v2 = find(Want::AnyV2)?;
    lab.step(Step {
        goal: "Give a cgroup of v1 to a user, who brings his own process in, and moves one of root's inside.",
        calls: &["write(\"…/given/b/cgroup.procs\", \"PID\")"],
        by_hand: &[
            "mkdir -p $v1/given/a $v1/given/b; chown -R 1000 $v1/given",
            "$as \"sleep 90 & echo \\$! > $v1/given/b/cgroup.procs\"; cat $v1/given/b/cgroup.procs",
            "sleep 89 & echo $! > $v1/given/a/cgroup.procs; $as \"echo $! > $v1/given/b/cgroup.procs\"",
        ],
    })?;
    let given_by_root = |place: &Place| -> Result<(Cgroup, [Cgroup; 2])> {
        let (given, children) = give_with_children(place, &["."])?;
        for file in ["cgroup.procs", "tasks"].into_iter().filter(|file| given.path().join(file).exists()) {
            own(&given.path().join(file), USER)?;
        }
        Ok((given, children))
    };
    let bring_in = |place: &Place| -> Result<Fact> {
        let (_given, [_, to]) = given_by_root(place)?;
        move_as_user(&child_of_the_user()?, &to)
    };
    lab.claim(BRINGS_IN)
        .without(bring_in(&v2)?)
        .with(bring_in(cause(&v1, &v2))?)
        .shows(|answer| *answer == "OK")?;
    let move_root_s = |place: &Place| -> Result<Fact> {
        let (_given, [from, to]) = given_by_root(place)?;
        let member = child_of_root()?;
        put(&from, &member)?;
        move_as_user(&member, &to)
    };
    lab.claim(ANYBODY)
        .without(move_root_s(&v2)?)
        .with(move_root_s(cause(&v1, &v2))?)
        .shows(|answer| *answer == "EACCES")?;
    Ok(())
}

fn move_as_user(process: &Child, to: &Cgroup) -> Result<Fact> {
    let pid = process.pid();
    as_user("echo PID > given/b/cgroup.procs", to.path().join("cgroup.procs"), move |path| {
        write(path, &pid.to_string())
    })
}

fn rename(place: &Place) -> Result<Fact> {
    let cgroup = place.create("name")?;
    let child = cgroup.child(&"old".parse()?)?;
    let answer = std::fs::rename(child.path(), cgroup.path().join("new")).named(|| "rename()".into());
    // The guard of what was called old finds nothing there; that of the cgroup above removes all below.
    Ok(Fact::outside("mv old new", Outcome::of(answer)?))
}

fn files(directory: &Path) -> Result<Vec<std::ffi::OsString>> {
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

/// As /proc/PID/cgroup calls the mounted hierarchies of v1.
fn names(layout: &Layout) -> Vec<String> {
    let v1 = layout.hierarchies().iter().filter(|it| it.version() == Version::V1);
    v1.map(|it| it.controllers().join(",")).collect()
}

/// The v1 hierarchies in which cgroups can be made; those without a controller last, since systemd lives in one.
pub(crate) fn places() -> ns_core::Result<Vec<(String, Place)>> {
    let layout = Layout::detect()?;
    let mut found = Vec::new();
    for name in names(&layout) {
        // A new cpuset has neither CPUs nor memory, and takes nobody.
        let first = name.split(',').next().unwrap_or_default();
        if name.contains("cpuset") {
            continue;
        }
        if let Ok(place) = Place::find_in(&layout, Want::V1(first))? {
            found.push((name, place));
        }
    }
    found.sort_by_key(|(name, _)| name.contains("name="));
    Ok(found)
}

fn two_places() -> Result<[(String, Place); 2]> {
    let mut places = places()?;
    places.truncate(2);
    places.try_into().map_err(|_| anyhow::anyhow!("no two hierarchies of v1"))
}

/// Nothing is missing where the hierarchies of this machine will do, or where others may be mounted beside them.
pub(crate) fn hierarchies_or(enough: fn(&Layout) -> bool) -> ns_core::Result<Option<Missing>> {
    let layout = Layout::detect()?;
    if enough(&layout) {
        return Ok(None);
    }
    if !names(&layout).is_empty() {
        return Ok(Some(Missing::new("cgroups of v1 that we may write to", "run as root: sudo …")));
    }
    let what = "a hierarchy of cgroup v1, which is mounted for the whole machine";
    let remedy = "run it in a virtual machine: scripts/vm --user root -- cgroup-rules";
    if probe::throw_away()?.is_some() || probe::capability(Capability::CAP_SYS_ADMIN).is_some() {
        return Ok(Some(Missing::new(what, remedy)));
    }
    Ok(None)
}
