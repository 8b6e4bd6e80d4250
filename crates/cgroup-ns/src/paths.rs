//! What a process reads of its cgroup, and of others': /proc/PID/cgroup, as seen from the root of the reader.

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step, cause};
use ns_core::cgroup::{self, Cgroup, Layout, Place, Want};
use ns_core::probe::Missing;
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Pid, Value, Witness, namespace};

use crate::{A_PLACE, find};

/// A cgroup that is not the root of what we see: one that we make, or our own.
const A_HOME: Need = Need::Probe(|| Ok(Home::find()?.err()));

pub(crate) const BECOMES_ROOT: Claim = Claim::holds(
    "becomes-root",
    "The cgroup that a process is in when it makes a cgroup namespace is the namespace's root, and reads as /.",
)
.cause("CLONE_NEWCGROUP")
.notes(&[21, 22])
.needs(&[A_HOME]);
pub(crate) const OUTSIDE: Claim = Claim::holds(
    "outside",
    "Others see what the process itself does not: outside its namespace /proc/PID/cgroup has the whole path.",
)
.cause("a reader outside")
.notes(&[23, 25])
.needs(&[A_HOME]);
pub(crate) const RELATIVE: Claim = Claim::holds(
    "relative",
    "A path starts at the reader's root: a process above is at /.., one beside at /../ and its cgroup's name.",
)
.cause("CLONE_NEWCGROUP")
.notes(&[23, 26])
.needs(&[A_PLACE]);
pub(crate) const HIDES: Claim = Claim::refuted(
    "hides",
    "In a cgroup namespace the paths of the cgroups outside cannot be seen.",
    "relative",
)
.cause("CLONE_NEWCGROUP")
.notes(&[26])
.needs(&[A_PLACE]);
pub(crate) const SAME: Claim = Claim::holds(
    "same",
    "In namespaces of their own two processes read the same path, though their cgroups are two.",
)
.cause("CLONE_NEWCGROUP")
.notes(&[27])
.needs(&[A_PLACE]);
pub(crate) const ROOT_STAYS: Claim = Claim::holds(
    "root-stays",
    "The root stays where it was: a process that is moved to the cgroup beside it reads /../ and that one's name.",
)
.cause("a move from outside")
.notes(&[21, 27])
.needs(&[A_PLACE]);
pub(crate) const ENTERED: Claim = Claim::holds(
    "entered",
    "setns() into a cgroup namespace changes what is read, and moves nobody: it limits nothing.",
)
.cause("setns()")
.notes(&[21, 22])
.needs(&[A_PLACE])
.misconceptions(&[(
    lesson::NO,
    "cgroups are about limits, so one expects a namespace of cgroups to bring some",
)]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Put a process into a cgroup, let it make a namespace there, and ask where it is.",
        calls: &["unshare(CLONE_NEWCGROUP)", "read(\"/proc/self/cgroup\")", "read(\"/proc/PID/cgroup\")"],
        by_hand: &[
            "v2=$(findmnt -nfo TARGET -t cgroup2); own=$v2$(sed -n s/^0:://p /proc/self/cgroup); new=$own/new",
            "mkdir $new $new/inner; echo $$ > $new/inner/cgroup.procs; grep ^0:: /proc/self/cgroup",
            "unshare --cgroup sh -c 'grep ^0:: /proc/self/cgroup; readlink /proc/$$/ns/cgroup; grep ^0:: /proc/$PPID/cgroup'",
        ],
    })?;
    if lab.can_ask(&[BECOMES_ROOT, OUTSIDE])? {
        own_path(lab)?;
    }
    if lab.can_ask(&[RELATIVE, HIDES, SAME, ROOT_STAYS, ENTERED])? {
        others(lab)?;
        moves(lab)?;
    }
    Ok(())
}

fn own_path(lab: &mut Lab) -> Result<()> {
    let home = Home::find()?.map_err(|missing| anyhow::anyhow!("{}", missing.what))?;
    let mut plain = home.viewer("plain child", Namespaces::NONE)?;
    let mut inside = home.viewer("member", Namespaces::CGROUP)?;
    let (seen_plain, seen_inside) = (plain.hear()?, inside.hear()?);
    lab.actor(&plain)?;
    lab.actor(&inside)?;
    lab.claim(BECOMES_ROOT).without(seen_plain).with(seen_inside.clone()).shows(|path| *path == "/")?;
    let from_outside =
        Fact::outside("/proc/PID/cgroup", shown(&path_of(Some(inside.pid()), &home.controllers)?));
    lab.claim(OUTSIDE)
        .without(seen_inside.clone())
        .with(cause(from_outside, seen_inside))
        .shows(|path| *path != "/")?;
    Ok(())
}

fn others(lab: &mut Lab) -> Result<()> {
    let family = Family::new(&find(Want::AnyV2)?)?;
    lab.step(Step {
        goal: "From inside, look at a process in the cgroup above, and at one in the cgroup beside.",
        calls: &["unshare(CLONE_NEWCGROUP)", "read(\"/proc/PID/cgroup\")"],
        by_hand: &[
            "mkdir $new/sibling; sleep 99 & echo $! > $new/sibling/cgroup.procs",
            "unshare --cgroup sh -c 'grep ^0:: /proc/1/cgroup /proc/$1/cgroup' sh $!",
        ],
    })?;
    let standers = [stander_in(&family.top, "one above")?, stander_in(&family.sibling, "one beside")?];
    let [above, beside] = standers.each_ref().map(Child::pid);
    let look = |namespaces: Namespaces| -> Result<Vec<Fact>> {
        let mut viewer = born_in(&family.home, "viewer", namespaces, move |me| {
            me.saw("/proc/PID/cgroup of one above", shown(&path_of(Some(above), "")?))?;
            me.saw("/proc/PID/cgroup of one beside", shown(&path_of(Some(beside), "")?))
        })?;
        Ok(viewer.hear_all()?)
    };
    let (plain, inside) = (look(Namespaces::NONE)?, look(Namespaces::CGROUP)?);
    let beside_is = |it: &lesson::Observation, test: fn(&str) -> bool| {
        it.inside("/proc/PID/cgroup of one beside").and_then(Value::as_str).is_some_and(test)
    };
    lab.claim(HIDES)
        .without(plain.clone())
        .with(inside.clone())
        .shows(|it| !beside_is(it, |path| path.contains("sibling")))?;
    lab.claim(RELATIVE)
        .without(plain)
        .with(inside)
        .shows(|it| *it == "/.." && beside_is(it, |path| path == "/../sibling"))?;

    lab.step(Step {
        goal: "Let two processes in two cgroups make a namespace each, and compare what they read.",
        calls: &["unshare(CLONE_NEWCGROUP)", "read(\"/proc/self/cgroup\")"],
        by_hand: &[
            "for one in inner sibling; do sh -c 'echo $$ > $1/cgroup.procs; exec unshare --cgroup grep ^0:: /proc/self/cgroup' sh $new/$one; done",
        ],
    })?;
    let read_in_both = |namespaces: Namespaces| -> Result<[Fact; 3]> {
        let own = |cgroup: &Cgroup| -> Result<Value> {
            Ok(born_in(cgroup, "viewer", namespaces, |me| me.saw("path", shown(&path_of(None, "")?)))?
                .hear()?
                .value)
        };
        let (one, other) = (own(&family.home)?, own(&family.sibling)?);
        Ok([
            Fact::outside("they read the same", one == other),
            Fact::inside("one", "/proc/self/cgroup in home", one),
            Fact::inside("other", "/proc/self/cgroup in sibling", other),
        ])
    };
    lab.claim(SAME)
        .without(read_in_both(Namespaces::NONE)?)
        .with(read_in_both(Namespaces::CGROUP)?)
        .shows(|same| *same == "yes")?;
    Ok(())
}

fn moves(lab: &mut Lab) -> Result<()> {
    let family = Family::new(&find(Want::AnyV2)?)?;
    lab.step(Step {
        goal: "Move a member of a namespace to the cgroup beside, from outside. Let it look before and after.",
        calls: &["write(\"…/sibling/cgroup.procs\", \"PID\")", "read(\"/proc/self/cgroup\")"],
        by_hand: &[
            "mkfifo /tmp/go; unshare --cgroup sh -c 'read go < /tmp/go; grep ^0:: /proc/self/cgroup' & sleep 1",
            "echo $! > $new/sibling/cgroup.procs; echo > /tmp/go; wait $!; rm /tmp/go",
        ],
    })?;
    let mut member = born_in(&family.home, "member", Namespaces::CGROUP, |me| {
        me.saw("/proc/self/cgroup", shown(&path_of(None, "")?))?;
        me.pause()?;
        me.saw("/proc/self/cgroup", shown(&path_of(None, "")?))
    })?;
    let before = member.hear()?;
    family.sibling.join(member.pid())?;
    member.release()?;
    lab.claim(ROOT_STAYS).without(before).with(member.hear()?).shows(|path| *path == "/../sibling")?;

    lab.step(Step {
        goal: "Let a process of the cgroup beside enter the namespace.",
        calls: &["setns(fd, CLONE_NEWCGROUP)", "read(\"/proc/self/cgroup\")"],
        by_hand: &[
            "unshare --cgroup sleep 99 & sleep 1; nsenter --target $! --cgroup grep ^0:: /proc/self/cgroup",
        ],
    })?;
    let holder = born_in(&family.home, "holder", Namespaces::CGROUP, |me| {
        me.saw("it is", "there")?;
        me.stay()
    });
    let mut holder = holder?;
    holder.hear()?;
    let namespace = holder.pid();
    let visit = |enters: bool| -> Result<Vec<Fact>> {
        let mut visitor = born_in(&family.sibling, "visitor", Namespaces::NONE, move |me| {
            if enters {
                NsFile::of(Some(namespace), Kind::Cgroup)?.enter(Some(Kind::Cgroup))?;
            }
            me.saw("/proc/self/cgroup", shown(&path_of(None, "")?))?;
            me.stay()
        })?;
        let seen = visitor.hear()?;
        let is_there = family.sibling.procs()?.contains(&visitor.pid());
        Ok(vec![seen, Fact::outside("it is in the sibling still", is_there)])
    };
    lab.claim(ENTERED).without(visit(false)?).with(visit(true)?).shows(|it| {
        *it == "/../sibling" && it.outside("it is in the sibling still").is_some_and(|it| *it == "yes")
    })?;
    Ok(())
}

/// Three cgroups of ours: one with two below it.
pub(crate) struct Family {
    // The children go before their parent.
    pub(crate) home: Cgroup,
    pub(crate) sibling: Cgroup,
    pub(crate) top: Cgroup,
}

impl Family {
    pub(crate) fn new(place: &Place) -> Result<Family> {
        let top = place.create("top")?;
        Ok(Family { home: top.child(&"home".parse()?)?, sibling: top.child(&"sibling".parse()?)?, top })
    }
}

/// A child that goes to `cgroup`, moves into new `namespaces` there, and then does what `body` says. Its mounts are its
/// own in any case.
///
/// The order is the point: what is the root of a new cgroup namespace is decided by where its maker is.
pub(crate) fn born_in(
    cgroup: &Cgroup,
    label: &str,
    namespaces: Namespaces,
    body: impl FnOnce(&mut Witness) -> ns_core::Result<()>,
) -> Result<Child> {
    let child = ns_core::Spawn::new(label).namespaces_always(Namespaces::MNT).run(move |me| {
        me.pause()?;
        namespace::unshare(namespaces)?;
        body(me)
    })?;
    // Not by join(): in both arms it is there, and sabotage is to take the namespace away.
    cgroup.write("cgroup.procs", &child.pid().to_string())?;
    child.release()?;
    Ok(child)
}

fn stander_in(cgroup: &Cgroup, label: &str) -> Result<Child> {
    let mut child = born_in(cgroup, label, Namespaces::NONE, |me| {
        me.saw("it is", "there")?;
        me.stay()
    })?;
    child.hear()?;
    Ok(child)
}

/// Where the first children are.
struct Home {
    /// `None`: where we are ourselves.
    cgroup: Option<Cgroup>,
    /// Those of its hierarchy, as /proc/PID/cgroup names them: none on version 2.
    controllers: String,
}

impl Home {
    fn find() -> ns_core::Result<Result<Home, Missing>> {
        let missing = match Place::find(Want::AnyV2)? {
            Ok(place) => {
                let cgroup = Some(place.create("home")?);
                return Ok(Ok(Home { cgroup, controllers: String::new() }));
            }
            Err(missing) => missing,
        };
        // To look is free, and needs no cgroup of our own; but in the root there is nothing to hide.
        let layout = Layout::detect()?;
        let below_root = |path: &str| path != "/" && !path.starts_with("/..");
        Ok(match layout.hierarchies().iter().find(|it| below_root(it.own())) {
            Some(hierarchy) if hierarchy.version() == cgroup::Version::V2 => {
                Ok(Home { cgroup: None, controllers: String::new() })
            }
            Some(hierarchy) => Ok(Home { cgroup: None, controllers: hierarchy.controllers().join(",") }),
            None => Err(missing),
        })
    }

    /// A child here that moves into new `namespaces` and says where it is.
    fn viewer(&self, label: &str, namespaces: Namespaces) -> Result<Child> {
        let controllers = self.controllers.clone();
        let look = move |me: &mut Witness| {
            me.saw("/proc/self/cgroup", shown(&path_of(None, &controllers)?))?;
            me.stay()
        };
        if let Some(cgroup) = &self.cgroup {
            return born_in(cgroup, label, namespaces, look);
        }
        Ok(Child::spawn(label, Namespaces::NONE, move |me| {
            namespace::unshare(namespaces)?;
            look(me)
        })?)
    }
}

/// A process's path in the hierarchy of `controllers` (none: version 2), as the caller sees it.
pub(crate) fn path_of(process: Option<Pid>, controllers: &str) -> ns_core::Result<String> {
    Ok(cgroup::path_of(process, controllers)?.unwrap_or_else(|| "none".into()))
}

/// A path as a value. What this machine adds to it, the place and the unique part of our names, is left out.
pub(crate) fn shown(path: &str) -> Value {
    if let Some((_, ours)) = path.split_once("/inception-") {
        // inception-PID-STARTTIME-N-PURPOSE
        let purpose = ours.splitn(4, '-').last().unwrap_or_default();
        return Value::Text(format!("/…-{purpose}"));
    }
    let rest = path.trim_start_matches("/..");
    if matches!(rest, "" | "/" | "/sibling" | "/home") {
        Value::Text(path.into())
    } else {
        Value::Name(path.into())
    }
}
