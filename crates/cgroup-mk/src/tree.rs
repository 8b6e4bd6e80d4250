//! Cgroups within cgroups: paths, controllers handed down, and how deep it may go.

use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Need, Picture, Step, cause};
use ns_core::cgroup::{Cgroup, Layout, Place, Want, walk};
use ns_core::probe::Missing;
use ns_core::{Child, Fact, Namespaces, Outcome, Value, Witness};

use crate::members::rmdir;
use crate::{A_PLACE, cgroup_of, find};

/// A place where a new cgroup has a controller that it could hand down.
const A_CONTROLLER: Need = Need::Probe(|| Ok(handed_down()?.err()));

pub(crate) const PATHS: Claim = Claim::holds(
    "paths",
    "A cgroup made in a cgroup is its child: its path in /proc/PID/cgroup is one part longer.",
)
.cause("mkdir inside a")
.notes(&[50])
.needs(&[A_PLACE]);
pub(crate) const BUSY: Claim =
    Claim::holds("parent-busy", "A cgroup with a child cannot be removed: rmdir gives EBUSY.")
        .cause("a child")
        .more(&[104])
        .needs(&[A_PLACE]);
pub(crate) const READ_ONLY: Claim = Claim::holds(
    "read-only",
    "cgroup.controllers cannot be written, although cgroup.subtree_control beside it can.",
)
.cause("the file cgroup.controllers")
.notes(&[38])
.needs(&[A_PLACE]);
pub(crate) const OFFERED: Claim = Claim::holds(
    "offered",
    "A cgroup's cgroup.controllers lists what its parent's cgroup.subtree_control enables, and nothing else.",
)
.cause("+controller")
.notes(&[37, 39])
.needs(&[A_CONTROLLER]);
pub(crate) const TOP_DOWN: Claim =
    Claim::holds("top-down", "A controller that the parent does not hand down cannot be handed on: ENOENT.")
        .cause("a parent that hands nothing down")
        .more(&[105])
        .needs(&[A_CONTROLLER]);
pub(crate) const BOTTOM_UP: Claim =
    Claim::holds("bottom-up", "A controller that a child hands on cannot be taken back from it: EBUSY.")
        .cause("a child that hands it on")
        .more(&[105])
        .needs(&[A_CONTROLLER]);
pub(crate) const DEPTH: Claim = Claim::holds(
    "depth",
    "Below a cgroup the tree gets cgroup.max.depth deep and no deeper: mkdir gives EAGAIN.",
)
.cause("a limit of 1")
.more(&[118])
.needs(&[A_PLACE]);
pub(crate) const DESCENDANTS: Claim = Claim::holds(
    "descendants",
    "Below a cgroup there are cgroup.max.descendants others and no more: mkdir gives EAGAIN.",
)
.cause("a limit of 1")
.more(&[118])
.needs(&[A_PLACE]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if lab.can_ask(&[PATHS, BUSY, READ_ONLY, DEPTH, DESCENDANTS])? {
        let place = find(Want::AnyV2)?;
        nest(lab, &place)?;
        limit(lab, &place)?;
    }
    if lab.can_ask(&[OFFERED, TOP_DOWN, BOTTOM_UP])? {
        controllers(lab)?;
    }
    Ok(())
}

fn nest(lab: &mut Lab, place: &Place) -> Result<()> {
    lab.step(Step {
        goal: "Make cgroup a, cgroup b inside it and another b beside it. Put a process into each.",
        calls: &["mkdir(\"…/a/b\")", "write(\"…/a/b/cgroup.procs\", \"PID\")"],
        by_hand: &["mkdir -p $new/a/b; find $new -type d; rmdir $new/a", "systemd-cgls --no-pager"],
    })?;
    let outer = place.create("a")?;
    let inner = outer.child(&"b".parse()?)?;
    let apart = place.create("b")?;
    let mut depths = Vec::new();
    let mut members = Vec::new();
    for cgroup in [&outer, &apart, cause(&inner, &apart)] {
        let member = Child::spawn("member", Namespaces::NONE, Witness::stay)?;
        cgroup.join(member.pid())?;
        let path = cgroup_of(member.pid())?;
        depths.push((path.split('/').filter(|part| !part.is_empty()).count(), path));
        members.push(member);
    }
    let seen = |at: usize| -> Result<[Fact; 2]> {
        let deeper = i64::try_from(depths[at].0)? - i64::try_from(depths[0].0)?;
        Ok([
            Fact::outside("parts more than in the path of a", Value::Number(deeper)),
            Fact::outside("/proc/PID/cgroup", Value::Name(depths[at].1.clone())),
        ])
    };
    lab.claim(PATHS).without(seen(1)?).with(seen(2)?).shows(|parts| *parts == 1)?;
    let mut rows = Vec::new();
    for node in walk(outer.path())? {
        let below = node.path.strip_prefix(outer.path()).unwrap_or(&node.path);
        let shown = Path::new("a").join(below).to_string_lossy().trim_end_matches('/').to_string();
        rows.push(vec![shown.into(), node.pids.unwrap_or_default().into()]);
    }
    lab.picture(Picture::Tree, "The tree below a, and who is where", &["cgroup", "members"], rows)?;
    drop(members);
    let childless = Fact::outside("rmdir", rmdir(apart.path())?);
    let parent =
        if cause(true, false) { Fact::outside("rmdir", rmdir(outer.path())?) } else { childless.clone() };
    lab.claim(BUSY).without(childless).with(parent).shows(|answer| *answer == "EBUSY")?;
    drop((inner, outer));

    lab.step(Step {
        goal: "Write an empty line to cgroup.subtree_control, and to cgroup.controllers.",
        calls: &["write(\"…/cgroup.subtree_control\", \"\\n\")", "write(\"…/cgroup.controllers\", \"\\n\")"],
        by_hand: &["ls -l $new/cgroup.controllers; echo > $new/cgroup.controllers"],
    })?;
    let cgroup = place.create("files")?;
    let write = |file: &'static str| -> Result<Fact> {
        Ok(Fact::outside(format!("echo > {file}"), Outcome::of(cgroup.write(file, ""))?))
    };
    lab.claim(READ_ONLY)
        .without(write("cgroup.subtree_control")?)
        .with(write(cause("cgroup.controllers", "cgroup.subtree_control"))?)
        .shows(|answer| *answer != "OK")?;

    Ok(())
}

fn limit(lab: &mut Lab, place: &Place) -> Result<()> {
    lab.step(Step {
        goal: "Below a cgroup limit the depth to 1, then the number of descendants to 1. Make a child and a grandchild.",
        calls: &["write(\"…/cgroup.max.depth\", \"1\")", "mkdir(\"…/child/grandchild\")"],
        by_hand: &["echo 1 > $new/cgroup.max.depth; mkdir $new/a/c", "rmdir $new/a/b $new/a $new"],
    })?;
    lab.claim(DEPTH)
        .without(grandchild(place, "cgroup.max.depth", false)?)
        .with(grandchild(place, "cgroup.max.depth", true)?)
        .shows(|answer| *answer == "EAGAIN")?;
    lab.claim(DESCENDANTS)
        .without(grandchild(place, "cgroup.max.descendants", false)?)
        .with(grandchild(place, "cgroup.max.descendants", true)?)
        .shows(|answer| *answer == "EAGAIN")?;
    Ok(())
}

fn grandchild(place: &Place, file: &str, limited: bool) -> Result<Fact> {
    let top = place.create("top")?;
    if limited {
        top.limit(file, 1)?;
    }
    let child = top.child(&"child".parse()?)?;
    Ok(Fact::outside("mkdir child/grandchild", Outcome::of(child.child(&"grandchild".parse()?))?))
}

/// How a controller goes down the tree, and back.
fn controllers(lab: &mut Lab) -> Result<()> {
    let controller = handed_down()?.map_err(|missing| anyhow::anyhow!("{}", missing.what))?;
    let place = find(Want::ControllerV2(&controller))?;
    let (on, off) = (format!("+{controller}"), format!("-{controller}"));
    lab.step(Step {
        goal: "Hand a controller down to a child, to its child, and take it back.",
        calls: &[
            "write(\"…/cgroup.subtree_control\", \"+CONTROLLER\")",
            "read(\"…/child/cgroup.controllers\")",
        ],
        by_hand: &[
            "cd $v2; cat cgroup.subtree_control; mkdir -p new/child  # as root, where the first has pids",
            "cat new/child/cgroup.controllers; echo +pids > new/cgroup.subtree_control",
            "cat new/child/cgroup.controllers; rmdir new/child new",
        ],
    })?;
    lab.saw(Fact::outside("the controller", Value::Name(controller)))?;
    let offered = |enable: bool| -> Result<[Fact; 2]> {
        let top = place.create("top")?;
        let child = top.child(&"child".parse()?)?;
        if enable {
            top.limit("cgroup.subtree_control", &on)?;
        }
        let (handed, had) = (top.subtree_control()?, child.controllers()?);
        Ok([
            Fact::outside("child/cgroup.controllers equals cgroup.subtree_control", handed == had),
            Fact::outside("controllers in each", had.len()),
        ])
    };
    lab.claim(OFFERED)
        .without(offered(false)?)
        .with(offered(true)?)
        .shows(|it| *it == "yes" && it.outside("controllers in each").is_some_and(|it| *it == 1))?;
    let tree = |hands_down: bool| -> Result<(Cgroup, Cgroup)> {
        let top = place.create("top")?;
        let child = top.child(&"child".parse()?)?;
        if hands_down {
            top.write("cgroup.subtree_control", &on)?;
        }
        Ok((top, child))
    };
    let hand_on = |hands_down: bool| -> Result<Fact> {
        let (_top, child) = tree(hands_down)?;
        Ok(Fact::outside(
            "+controller, in the child",
            Outcome::of(child.write("cgroup.subtree_control", &on))?,
        ))
    };
    lab.claim(TOP_DOWN)
        .without(hand_on(true)?)
        .with(hand_on(cause(false, true))?)
        .shows(|answer| *answer == "ENOENT")?;
    let take_back = |handed_on: bool| -> Result<Fact> {
        let (top, child) = tree(true)?;
        if handed_on {
            child.limit("cgroup.subtree_control", &on)?;
        }
        Ok(Fact::outside(
            "-controller, in the parent",
            Outcome::of(top.write("cgroup.subtree_control", &off))?,
        ))
    };
    lab.claim(BOTTOM_UP)
        .without(take_back(false)?)
        .with(take_back(true)?)
        .shows(|answer| *answer == "EBUSY")?;
    Ok(())
}

/// The first controller for which there is a place.
fn handed_down() -> ns_core::Result<Result<String, Missing>> {
    let mut missing =
        Missing::new("cgroup v2 has no controller here", "boot with cgroup v2 alone, as Debian does");
    for controller in Layout::detect()?.v2_controllers() {
        match Place::find(Want::ControllerV2(controller))? {
            Ok(_) => return Ok(Ok(controller.clone())),
            Err(why) => missing = why,
        }
    }
    Ok(Err(missing))
}
