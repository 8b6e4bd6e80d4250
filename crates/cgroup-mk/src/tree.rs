//! Cgroups within cgroups: paths, controllers that are enabled for children, and how deep it may go.

use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Need, Picture, Requirement, Row, Step, first, hand, outside, right, wrong};
use ns_core::cgroup::{Cgroup, CgroupParent, CgroupRequest, Layout, walk};
use ns_core::probe::Unmet;
use ns_core::{Child, Error, Fact, Outcome, Value};

use crate::cgroups::{A_PARENT, cgroup_of, rmdir, start_idle};

/// A parent that enables a controller for the cgroups made in it, so that these can enable it in turn.
const A_CONTROLLER: Requirement = Requirement::Probe(|| Ok(find_controller()?.err()));

const PATHS: Claim = Claim::holds(
    "paths",
    "A cgroup made in a cgroup is its child: its path in /proc/PID/cgroup is one part longer.",
)
.factor("mkdir inside a")
.notes(&[50])
.requires(&[A_PARENT]);
const BUSY: Claim =
    Claim::holds("parent-busy", "A cgroup with a child cannot be removed: rmdir gives EBUSY.")
        .factor("a child")
        .more(&[104])
        .requires(&[A_PARENT]);

pub(crate) const NEST: Step = Step {
    title: "Make cgroup a, cgroup b inside it and another b beside it. Put a process into each.",
    calls: &["mkdir(\"…/a/b\")", "write(\"…/a/b/cgroup.procs\", \"PID\")"],
    by_hand: &[hand("mkdir -p $new/a/b; (cd $new; find . -type d); rmdir $new/a")
        .prints(".\n./a\n./a/b\nEBUSY")
        .in_the_same_shell()],
    claims: &[PATHS, BUSY],
    run: |lab| {
        lab.compare(PATHS, false, true, compare_paths)?
            .shows(outside("parts more than in the path of a").is(1))?;
        show_tree(lab)?;
        lab.compare(BUSY, false, true, remove_a)?.shows(outside("rmdir").is("EBUSY"))
    },
};

const READ_ONLY: Claim = Claim::holds(
    "read-only",
    "cgroup.controllers cannot be written, although cgroup.subtree_control beside it can.",
)
.factor("the file cgroup.controllers")
.notes(&[38])
.requires(&[A_PARENT]);

pub(crate) const WRITE_FILES: Step = Step {
    title: "Write an empty line to cgroup.subtree_control, and to cgroup.controllers.",
    calls: &["write(\"…/cgroup.subtree_control\", \"\\n\")", "write(\"…/cgroup.controllers\", \"\\n\")"],
    by_hand: &[hand("stat -c %A $new/cgroup.controllers; echo > $new/cgroup.controllers")
        .prints("-r--r--r--\nEACCES")
        .in_the_same_shell()],
    claims: &[READ_ONLY],
    run: |lab| {
        lab.compare(READ_ONLY, "cgroup.subtree_control", "cgroup.controllers", |file| {
            let answer = CgroupParent::require(CgroupRequest::AnyV2)?.create("files")?.write(file, "");
            Ok(Fact::outside(format!("echo > {file}"), Outcome::of(answer)?))
        })?
        // Its mode lets nobody write; root, who needs no leave, finds that nothing would take what is written.
        .shows(first().that(|answer| *answer == "EACCES" || *answer == "EINVAL"))
    },
};

const DEPTH: Claim = Claim::holds(
    "depth",
    "Below a cgroup the tree gets cgroup.max.depth deep and no deeper: mkdir gives EAGAIN.",
)
.factor("a limit of 1")
.more(&[118])
.requires(&[A_PARENT]);
const DESCENDANTS: Claim = Claim::holds(
    "descendants",
    "Below a cgroup there are cgroup.max.descendants others and no more: mkdir gives EAGAIN.",
)
.factor("a limit of 1")
.more(&[118])
.requires(&[A_PARENT]);

pub(crate) const LIMIT: Step = Step {
    title: "Below a cgroup limit the depth to 1, then the number of descendants to 1. Make a child and a grandchild.",
    calls: &["write(\"…/cgroup.max.depth\", \"1\")", "mkdir(\"…/child/grandchild\")"],
    by_hand: &[
        hand("echo 1 > $new/cgroup.max.depth; mkdir $new/a/c").prints("EAGAIN").in_the_same_shell(),
        hand("rmdir $new/a/b $new/a $new").prints(""),
    ],
    claims: &[DEPTH, DESCENDANTS],
    run: |lab| {
        for (claim, file) in [(DEPTH, "cgroup.max.depth"), (DESCENDANTS, "cgroup.max.descendants")] {
            lab.compare(claim, false, true, |limited| make_grandchild(limited.then_some(file)))?
                .shows(outside("mkdir child/grandchild").is("EAGAIN"))?;
        }
        Ok(())
    },
};

const OFFERED: Claim = Claim::holds(
    "offered",
    "The cgroup.controllers of a domain cgroup lists what its parent's cgroup.subtree_control enables, nothing else.",
)
.factor("+controller")
.notes(&[37, 39])
.requires(&[A_CONTROLLER])
.arms("not enabled", "+controller")
.core(&[Row::outside("child's controllers", "controllers in each")])
.asks(
    "A cgroup enables one controller in its cgroup.subtree_control. What does its child's cgroup.controllers list?",
    &[
        right("that controller alone"),
        wrong("all controllers of the kernel", "in the root cgroup the file does list them all"),
        wrong("what the parent's cgroup.controllers lists", "the file has the same name, so it seems to be inherited"),
        wrong(
            "nothing, until the child enables it itself",
            "cgroup.subtree_control is taken for a cgroup's own switch; it is its children's",
        ),
    ],
);
const TOP_DOWN: Claim = Claim::holds(
    "top-down",
    "A controller that the parent does not enable for its children cannot be enabled by one of them: ENOENT.",
)
.factor("a parent that enables nothing")
.more(&[105])
.requires(&[A_CONTROLLER]);
const BOTTOM_UP: Claim = Claim::holds(
    "bottom-up",
    "A controller that a child has enabled for its own children cannot be disabled by the parent: EBUSY.",
)
.factor("a child that has enabled it")
.more(&[105])
.requires(&[A_CONTROLLER]);

pub(crate) const ENABLE: Step = Step {
    title: "Enable a controller for a child, let the child enable it in turn, and disable it.",
    calls: &["write(\"…/cgroup.subtree_control\", \"+CONTROLLER\")", "read(\"…/child/cgroup.controllers\")"],
    by_hand: &[hand("systemd-run --quiet --scope -p Delegate=yes bash").as_root().prints("").needs(&[Need::Systemd, Need::Controllers]), hand("cd /sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup); mkdir shell new new/child; echo $$ > shell/cgroup.procs").as_root().prints(""), hand("cat new/cgroup.controllers; echo +pids > cgroup.subtree_control; cat new/cgroup.controllers new/child/cgroup.controllers").as_root().prints("pids"), hand("echo +pids > new/cgroup.subtree_control; cat new/child/cgroup.controllers; rmdir new/child new").as_root().prints("pids"), ],
    claims: &[OFFERED, TOP_DOWN, BOTTOM_UP],
    run: |lab| {
        let (controller, parent) = find_controller()?.map_err(Error::Unmet)?;
        lab.saw(Fact::outside("the controller", Value::Name(controller.clone())))?;
        lab.compare(OFFERED, false, true, |enabled| offered(&parent, enabled.then_some(&*controller)))?
            .shows(
                outside("child/cgroup.controllers equals cgroup.subtree_control").is("yes")
                    & outside("controllers in each").is(1),
            )?;
        lab.compare(TOP_DOWN, true, false, |enabled| enable_in_child(&parent, &controller, enabled))?
            .shows(outside("+controller, in the child").is("ENOENT"))?;
        lab.compare(BOTTOM_UP, false, true, |in_child| disable(&parent, &controller, in_child))?
            .shows(outside("-controller, in the parent").is("EBUSY"))
    },
};

/// Cgroups a and b, b within a or beside it, with a member each.
fn make_a_and_b(within: bool) -> Result<(Cgroup, Cgroup, [Child; 2])> {
    let parent = CgroupParent::require(CgroupRequest::AnyV2)?;
    let a = parent.create("a")?;
    let b = if within { a.child(&"b".parse()?)? } else { parent.create("b")? };
    let members = [start_idle("member of a")?, start_idle("member of b")?];
    for (cgroup, member) in [&a, &b].into_iter().zip(&members) {
        cgroup.join(member.pid())?;
    }
    Ok((a, b, members))
}

fn compare_paths(within: bool) -> Result<[Fact; 2]> {
    let (_a, _b, members) = make_a_and_b(within)?;
    let [a, b] = [cgroup_of(members[0].pid())?, cgroup_of(members[1].pid())?];
    let parts = |path: &str| path.split('/').filter(|part| !part.is_empty()).count();
    let deeper = i64::try_from(parts(&b))? - i64::try_from(parts(&a))?;
    Ok([
        Fact::outside("parts more than in the path of a", Value::Number(deeper)),
        Fact::outside("/proc/PID/cgroup", Value::Name(b)),
    ])
}

fn show_tree(lab: &mut Lab) -> Result<()> {
    let (a, _b, _members) = make_a_and_b(true)?;
    let mut rows = Vec::new();
    for node in walk(a.path())? {
        let below = node.path.strip_prefix(a.path()).unwrap_or(&node.path);
        let shown = Path::new("a").join(below).to_string_lossy().trim_end_matches('/').to_string();
        rows.push(vec![shown.into(), node.pids.unwrap_or_default().into()]);
    }
    lab.picture(Picture::Tree, "The tree below a, and who is where", &["cgroup", "members"], rows)
}

fn remove_a(has_child: bool) -> Result<Fact> {
    let a = CgroupParent::require(CgroupRequest::AnyV2)?.create("a")?;
    let _b = has_child.then(|| a.child(&"b".parse()?)).transpose()?;
    rmdir(&a)
}

/// Makes a child and a grandchild of a cgroup, which limits itself to 1 by the `file` named.
fn make_grandchild(file: Option<&str>) -> Result<Fact> {
    let top = CgroupParent::require(CgroupRequest::AnyV2)?.create("top")?;
    if let Some(file) = file {
        top.limit(file, 1)?;
    }
    let child = top.child(&"child".parse()?)?;
    Ok(Fact::outside("mkdir child/grandchild", Outcome::of(child.child(&"grandchild".parse()?))?))
}

/// A cgroup with a child.
fn with_child(parent: &CgroupParent) -> Result<(Cgroup, Cgroup)> {
    let top = parent.create("top")?;
    let child = top.child(&"child".parse()?)?;
    Ok((top, child))
}

/// What a child has of what its parent enables for it: one controller, or none.
fn offered(parent: &CgroupParent, controller: Option<&str>) -> Result<[Fact; 2]> {
    let (top, child) = with_child(parent)?;
    if let Some(controller) = controller {
        top.enable(controller)?;
    }
    let (enabled, had) = (top.subtree_control()?, child.controllers()?);
    Ok([
        Fact::outside("child/cgroup.controllers equals cgroup.subtree_control", enabled == had),
        Fact::outside("controllers in each", had.len()),
    ])
}

/// Enables a controller in a child, for which its parent has `enabled` it, or not.
fn enable_in_child(parent: &CgroupParent, controller: &str, enabled: bool) -> Result<Fact> {
    let (top, child) = with_child(parent)?;
    if enabled {
        top.enable(controller)?;
    }
    Ok(Fact::outside("+controller, in the child", Outcome::of(child.enable(controller))?))
}

/// Disables a controller that is enabled for a child, who has it enabled in turn, or not.
fn disable(parent: &CgroupParent, controller: &str, in_child: bool) -> Result<Fact> {
    let (top, child) = with_child(parent)?;
    top.enable(controller)?;
    if in_child {
        child.enable(controller)?;
    }
    let answer = top.write("cgroup.subtree_control", &format!("-{controller}"));
    Ok(Fact::outside("-controller, in the parent", Outcome::of(answer)?))
}

/// The first controller that a parent enables, and that parent.
fn find_controller() -> ns_core::Result<Result<(String, CgroupParent), Unmet>> {
    let mut unmet =
        Unmet::new("cgroup v2 has no controller here", "boot with cgroup v2 alone, as Debian does");
    for controller in Layout::detect()?.v2_controllers() {
        match CgroupParent::find(CgroupRequest::ControllerV2(controller))? {
            Ok(parent) => return Ok(Ok((controller.clone(), parent))),
            Err(why) => unmet = why,
        }
    }
    Ok(Err(unmet))
}
