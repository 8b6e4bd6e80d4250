//! Members above other cgroups: the rule that is called "no internal processes", and how much of that it says.

use std::path::PathBuf;

use anyhow::{Context, Result};
use lesson::{Claim, Lab, Need, Observation, Step, cause};
use ns_core::cgroup::{Cgroup, Layout, Place, Want};
use ns_core::probe::Missing;
use ns_core::{Fact, Outcome, Value};

use crate::{A_PLACE, find, put, stander};

/// A place that hands down a controller of whole processes: a domain controller.
pub(crate) const A_DOMAIN_CONTROLLER: Need = Need::Probe(|| Ok(first_of(&DOMAIN)?.err()));
/// A place that hands down a controller that can tell threads apart: a threaded controller.
const A_THREADED_CONTROLLER: Need = Need::Probe(|| Ok(first_of(&THREADED)?.err()));
/// The root of the tree, and not what a container sees of it.
pub(crate) const A_ROOT: Need = Need::Probe(|| {
    let missing = Missing::new("the root of v2's tree is not mounted here", "run outside of a container");
    Ok(root().is_err().then_some(missing))
});
/// A root that hands something down.
const A_DISTRIBUTING_ROOT: Need = Need::Probe(|| {
    let hands_down = root().is_ok_and(|root| {
        let handed = std::fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
        DOMAIN.iter().any(|controller| handed.split_whitespace().any(|it| it == *controller))
    });
    let remedy = "boot with cgroup v2 alone, as Debian does";
    Ok((!hands_down).then(|| Missing::new("the root of v2 hands no domain controller down", remedy)))
});

const DOMAIN: [&str; 6] = ["memory", "io", "hugetlb", "rdma", "misc", "dmem"];
const THREADED: [&str; 3] = ["pids", "cpu", "cpuset"];

pub(crate) const ONLY_LEAVES: Claim = Claim::refuted(
    "only-leaves",
    "Processes can be assigned to the root and to leaves only, never to a cgroup with children.",
    "inner",
)
.cause("a child cgroup")
.notes(&[56])
.needs(&[A_PLACE])
.misconceptions(&[(
    lesson::YES,
    "the rule is called \"no internal processes\", which says more than it means",
)]);
pub(crate) const INNER: Claim = Claim::holds(
    "inner",
    "A cgroup and its child may have members at once, while no domain controller is handed down.",
)
.cause("members in both")
.notes(&[56])
.needs(&[A_PLACE]);
pub(crate) const DOMAIN_CONTROLLER: Claim = Claim::holds(
    "domain-controller",
    "A cgroup with a member cannot hand a domain controller such as memory down: EBUSY.",
)
.cause("a member")
.notes(&[57, 58])
.more(&[106])
.needs(&[A_DOMAIN_CONTROLLER]);
pub(crate) const NO_ENTRY: Claim =
    Claim::holds("no-entry", "No process gets into a cgroup that hands a domain controller down: EBUSY.")
        .cause("+CONTROLLER in cgroup.subtree_control")
        .notes(&[57])
        .more(&[106])
        .needs(&[A_DOMAIN_CONTROLLER]);
pub(crate) const LEAF: Claim = Claim::holds(
    "leaf",
    "Once its members have moved down into a leaf, a cgroup can hand a domain controller down.",
)
.cause("moving the member into a leaf")
.notes(&[57])
.needs(&[A_DOMAIN_CONTROLLER]);
pub(crate) const NO_LEVEL_SKIPPED: Claim = Claim::holds(
    "no-level-skipped",
    "A controller skips no level: each cgroup above has to hand it down, else +CONTROLLER is ENOENT.",
)
.cause("a level that hands nothing down")
.more(&[105])
.needs(&[A_DOMAIN_CONTROLLER]);
pub(crate) const CANNOT_DISTRIBUTE: Claim = Claim::refuted(
    "cannot-distribute",
    "A cgroup that is not the root cannot have members and distribute resources to its children at once.",
    "exempt",
)
.cause("a member")
.notes(&[57])
.needs(&[A_THREADED_CONTROLLER]);
pub(crate) const EXEMPT: Claim = Claim::holds(
    "exempt",
    "Threaded controllers are exempt: beside a member, +pids succeeds where +memory is EBUSY.",
)
.cause("a threaded controller")
.notes(&[57])
.more(&[106])
.needs(&[A_DOMAIN_CONTROLLER, A_THREADED_CONTROLLER]);
pub(crate) const SILENTLY: Claim = Claim::holds(
    "silently",
    "+pids beside a member makes the cgroup `domain threaded`, its empty children `domain invalid`, without a word.",
)
.cause("a member")
.notes(&[57])
.more(&[107])
.needs(&[A_THREADED_CONTROLLER]);
pub(crate) const POPULATED_CHILD: Claim =
    Claim::holds("populated-child", "Where a child has members too, +pids beside a member is EBUSY.")
        .cause("a member of the child")
        .notes(&[57])
        .needs(&[A_THREADED_CONTROLLER]);
pub(crate) const ROOT: Claim = Claim::holds(
    "root",
    "The root is exempt: it has members, and hands domain controllers down to its children.",
)
.cause("being the root")
.notes(&[56, 57])
.needs(&[A_DOMAIN_CONTROLLER, A_ROOT, A_DISTRIBUTING_ROOT]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if lab.can_ask(&[ONLY_LEAVES, INNER])? {
        members_above_members(lab)?;
    }
    if lab.can_ask(&[DOMAIN_CONTROLLER, NO_ENTRY, LEAF, NO_LEVEL_SKIPPED])? {
        domain_controllers(lab)?;
    }
    if lab.can_ask(&[CANNOT_DISTRIBUTE, SILENTLY, POPULATED_CHILD])? {
        threaded_controllers(lab)?;
    }
    if lab.can_ask(&[EXEMPT])? {
        // As root the two are handed down at the same place, and for an ordinary user by the same user manager.
        let (domain, threaded) = (known(&DOMAIN)?, known(&THREADED)?);
        lab.claim(EXEMPT)
            .without(enable_beside(&domain, true, false)?)
            .with(enable_beside(cause(&threaded, &domain), true, false)?)
            .shows(|answer| *answer == "OK")?;
    }
    if lab.can_ask(&[ROOT])? {
        exempt_root(lab)?;
    }
    Ok(())
}

fn members_above_members(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Put a process into a cgroup that has a child, and another into the child.",
        calls: &["mkdir(\"…/top/child\")", "write(\"…/top/cgroup.procs\", \"PID\")"],
        by_hand: &[
            "mkdir child; sleep 99 & echo $! > cgroup.procs; sleep 98 & echo $! > child/cgroup.procs",
            "cat cgroup.procs child/cgroup.procs",
        ],
    })?;
    let place = find(Want::AnyV2)?;
    let join = |has_child: bool| -> Result<Fact> {
        let top = place.create("top")?;
        let _child = has_child.then(|| child_of(&top)).transpose()?;
        let member = stander("member")?;
        Ok(Fact::outside("echo PID > top/cgroup.procs", Outcome::of(top.join(member.pid()))?))
    };
    lab.claim(ONLY_LEAVES)
        .without(join(false)?)
        .with(join(cause(true, false))?)
        .shows(|answer| *answer != "OK")?;
    let both = |joins: bool| -> Result<Observation> {
        let top = place.create("top")?;
        let child = child_of(&top)?;
        let (first, second) = (stander("first")?, stander("second")?);
        put(&top, &first)?;
        if joins {
            child.join(second.pid())?;
        }
        Ok([
            Fact::outside("members of top", top.procs()?.len()),
            Fact::outside("members of top/child", child.procs()?.len()),
        ]
        .into())
    };
    lab.claim(INNER)
        .without(both(false)?)
        .with(both(true)?)
        .shows(|it| *it == 1 && it.outside("members of top/child").is_some_and(|it| *it == 1))?;
    Ok(())
}

fn domain_controllers(lab: &mut Lab) -> Result<()> {
    let (controller, place) = known(&DOMAIN)?;
    let on = format!("+{controller}");
    lab.step(Step {
        goal: "Enable a domain controller beside a member, put a member in beside the controller, and find the way out.",
        calls: &["write(\"…/cgroup.subtree_control\", \"+memory\")", "write(\"…/cgroup.procs\", \"PID\")"],
        by_hand: &[
            "cat cgroup.controllers cgroup.subtree_control; echo +memory > cgroup.subtree_control",
            "mkdir leaf; echo $(<cgroup.procs) > leaf/cgroup.procs",
            "echo +memory > cgroup.subtree_control; echo $! > cgroup.procs",
        ],
    })?;
    lab.saw(Fact::outside("the domain controller", Value::Name(controller.clone())))?;
    let domain = (controller, place);
    lab.claim(DOMAIN_CONTROLLER)
        .without(enable_beside(&domain, false, false)?)
        .with(enable_beside(&domain, cause(true, false), false)?)
        .shows(|answer| *answer == "EBUSY")?;
    let place = domain.1;
    let enter = |hands_down: bool| -> Result<Fact> {
        let top = place.create("top")?;
        if hands_down {
            top.limit("cgroup.subtree_control", &on)?;
        }
        let visitor = stander("visitor")?;
        let answer = top.write("cgroup.procs", &visitor.pid().to_string());
        Ok(Fact::outside("echo PID > cgroup.procs", Outcome::of(answer)?))
    };
    lab.claim(NO_ENTRY).without(enter(false)?).with(enter(true)?).shows(|answer| *answer == "EBUSY")?;
    let make_room = |moves: bool| -> Result<Fact> {
        let top = place.create("top")?;
        let leaf = top.child(&"leaf".parse()?)?;
        let member = stander("member")?;
        put(&top, &member)?;
        if moves {
            leaf.join(member.pid())?;
        }
        let answer = top.write("cgroup.subtree_control", &on);
        Ok(Fact::outside("echo +controller > cgroup.subtree_control", Outcome::of(answer)?))
    };
    lab.claim(LEAF).without(make_room(false)?).with(make_room(true)?).shows(|answer| *answer == "OK")?;
    let hand_on = |skips: bool| -> Result<Fact> {
        let top = place.create("top")?;
        let middle = child_of(&top)?;
        let low = child_of(&middle)?;
        top.write("cgroup.subtree_control", &on)?;
        if !skips {
            middle.write("cgroup.subtree_control", &on)?;
        }
        let answer = low.write("cgroup.subtree_control", &on);
        Ok(Fact::outside("echo +controller > cgroup.subtree_control", Outcome::of(answer)?))
    };
    lab.claim(NO_LEVEL_SKIPPED)
        .without(hand_on(false)?)
        .with(hand_on(cause(true, false))?)
        .shows(|answer| *answer == "ENOENT")?;
    Ok(())
}

fn threaded_controllers(lab: &mut Lab) -> Result<()> {
    let threaded = known(&THREADED)?;
    lab.step(Step {
        goal: "Enable a threaded controller beside a member, and ask for the cgroups' types.",
        calls: &["write(\"…/cgroup.subtree_control\", \"+pids\")", "read(\"…/cgroup.type\")"],
        by_hand: &[
            "echo +pids > cgroup.subtree_control; mkdir -p other/child; sleep 97 & echo $! > other/cgroup.procs",
            "echo +pids > other/cgroup.subtree_control; cat other/cgroup.type other/child/cgroup.type",
            "echo $! > other/child/cgroup.procs",
        ],
    })?;
    lab.saw(Fact::outside("the threaded controller", Value::Name(threaded.0.clone())))?;
    let (alone, beside) =
        (enable_beside(&threaded, false, false)?, enable_beside(&threaded, cause(true, false), false)?);
    lab.claim(CANNOT_DISTRIBUTE)
        .without(alone.clone())
        .with(beside.clone())
        .shows(|answer| *answer != "OK")?;
    lab.claim(SILENTLY).without(alone).with(beside.clone()).shows(|it| {
        it.outside("cgroup.type of top").is_some_and(|it| *it == "domain threaded")
            && it.outside("cgroup.type of top/child").is_some_and(|it| *it == "domain invalid")
    })?;
    lab.claim(POPULATED_CHILD)
        .without(beside)
        .with(enable_beside(&threaded, true, cause(true, false))?)
        .shows(|answer| *answer == "EBUSY")?;
    Ok(())
}

/// Enables a controller in a cgroup with a child, where it, the child or both have a member.
fn enable_beside(
    (controller, place): &(String, Place),
    member_above: bool,
    member_below: bool,
) -> Result<Vec<Fact>> {
    let top = place.create("top")?;
    let child = child_of(&top)?;
    let mut members = Vec::new();
    for (cgroup, _) in [(&top, member_above), (&child, member_below)].into_iter().filter(|(_, has)| *has) {
        let member = stander("member")?;
        put(cgroup, &member)?;
        members.push(member);
    }
    let answer = top.write("cgroup.subtree_control", &format!("+{controller}"));
    Ok(vec![
        Fact::outside(format!("echo +{controller} > cgroup.subtree_control"), Outcome::of(answer)?),
        Fact::outside("cgroup.type of top", top.read("cgroup.type")?),
        Fact::outside("cgroup.type of top/child", child.read("cgroup.type")?),
    ])
}

fn exempt_root(lab: &mut Lab) -> Result<()> {
    let (controller, place) = known(&DOMAIN)?;
    let top = place.create("top")?;
    let _child = child_of(&top)?;
    let member = stander("member")?;
    put(&top, &member)?;
    let _ = top.enable(&controller); // refused, as was seen above
    let look = |directory: PathBuf| -> Result<[Fact; 2]> {
        let read = |file: &str| -> Result<String> {
            std::fs::read_to_string(directory.join(file)).with_context(|| format!("cat …/{file}"))
        };
        let handed = read("cgroup.subtree_control")?;
        let domain = DOMAIN.iter().any(|controller| handed.split_whitespace().any(|it| it == *controller));
        Ok([
            Fact::outside("it has members", !read("cgroup.procs")?.is_empty()),
            Fact::outside("it hands a domain controller down", domain),
        ])
    };
    let ours = || top.path().to_path_buf();
    lab.claim(ROOT).without(look(ours())?).with(look(cause(root()?, ours()))?).shows(|it| {
        *it == "yes" && it.outside("it hands a domain controller down").is_some_and(|it| *it == "yes")
    })?;
    Ok(())
}

/// The root of v2's tree: the one cgroup that has no cgroup.type.
pub(crate) fn root() -> Result<PathBuf> {
    let layout = Layout::detect()?;
    let mount = layout.v2_mount().context("no v2")?;
    anyhow::ensure!(!mount.join("cgroup.type").exists(), "{} is not the root", mount.display());
    Ok(mount.into())
}

fn child_of(cgroup: &Cgroup) -> Result<Cgroup> {
    Ok(cgroup.child(&"child".parse()?)?)
}

/// The first of these controllers that is handed down to a place, and that place.
pub(crate) fn first_of(controllers: &[&str]) -> ns_core::Result<Result<(String, Place), Missing>> {
    let mut missing = None;
    for controller in controllers {
        match Place::find(Want::ControllerV2(controller))? {
            Ok(place) => return Ok(Ok(((*controller).into(), place))),
            Err(why) => {
                // The first is what every Debian has; a later one only tells more if that one is taken by v1.
                missing.get_or_insert(why);
            }
        }
    }
    Ok(Err(missing.unwrap_or_else(|| Missing::new("no controller", "run a kernel that has one"))))
}

fn known(controllers: &[&str]) -> Result<(String, Place)> {
    first_of(controllers)?.map_err(|missing| anyhow::anyhow!("{}", missing.what))
}

/// A place with a domain controller that a need has found before.
pub(crate) fn domain_controller() -> Result<(String, Place)> {
    known(&DOMAIN)
}
