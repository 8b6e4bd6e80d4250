//! Members of a cgroup that has children: the rule "no internal processes", and its exceptions.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lesson::{Claim, Requirement, Row, Step, first, hand, outside, right, wrong};
use ns_core::cgroup::{CgroupParent, CgroupRequest, Layout};
use ns_core::probe::Unmet;
use ns_core::{Error, Fact, Outcome, Value};

use crate::cgroups::{A_PARENT, start_idle, start_in, with_child};

/// A parent that enables a domain controller for its children.
pub(crate) const A_DOMAIN_CONTROLLER: Requirement = Requirement::Probe(|| Ok(find_one_of(&DOMAIN)?.err()));
/// A parent that enables a threaded controller for its children.
const A_THREADED_CONTROLLER: Requirement = Requirement::Probe(|| Ok(find_one_of(&THREADED)?.err()));
/// The root of the whole tree, and not the root of a cgroup namespace.
pub(crate) const A_ROOT: Requirement = Requirement::Probe(|| {
    let unmet =
        Unmet::new("the root of the v2 tree is not mounted here", "run it on the host, outside a container");
    Ok(root().is_err().then_some(unmet))
});
/// A root that enables a domain controller for its children.
const A_DISTRIBUTING_ROOT: Requirement = Requirement::Probe(|| {
    let enables = root().is_ok_and(|root| {
        let enabled = std::fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
        has_domain_controller(&enabled)
    });
    let remedy = "boot with cgroup v2 alone, as Debian does";
    Ok((!enables).then(|| Unmet::new("the root of v2 enables no domain controller for its children", remedy)))
});

const DOMAIN: [&str; 6] = ["memory", "io", "hugetlb", "rdma", "misc", "dmem"];
const THREADED: [&str; 3] = ["pids", "cpu", "cpuset"];

const ONLY_LEAVES: Claim = Claim::refuted(
    "only-leaves",
    "Processes can be assigned only to the root and to leaves, and never to a cgroup with children.",
    "inner",
)
.factor("a child cgroup")
.notes(&[56])
.requires(&[A_PARENT])
.arms("a leaf", "has a child")
.core(&[Row::first("echo PID > procs")])
.asks(
    "A cgroup has a child, and enables no controller for it. A PID is written to the parent's cgroup.procs. What happens?",
    &[
        right("the process moves into the parent"),
        wrong("EBUSY: only leaves take processes", "'no internal processes' is quoted without its condition"),
        wrong("the process moves into the child", "the leaf seems the only place for a process"),
    ],
);
const INNER: Claim = Claim::holds(
    "inner",
    "A cgroup and its child can both have members while no domain controller is enabled for children.",
)
.factor("members in both")
.notes(&[56])
.requires(&[A_PARENT])
.arms("one joins", "both join")
.core(&[
    Row::outside("members above", "members of top"),
    Row::outside("members below", "members of top/child"),
])
.asks(
    "One process joined a cgroup, and another its child. How many members has each?",
    &[
        right("one each"),
        wrong("the parent 2, the child 1", "the parent's limits and counters do include the child"),
        wrong("the parent 0, the child 2", "the leaf seems the only place for a process"),
    ],
);

pub(crate) const PUT_MEMBERS_ABOVE_MEMBERS: Step = Step {
    title: "Put a process into a cgroup that has a child, and another into the child.",
    calls: &["mkdir(\"…/top/child\")", "write(\"…/top/cgroup.procs\", \"PID\")"],
    by_hand: &[
        hand("mkdir child; sleep 60 & echo $! > cgroup.procs; sleep 60 & echo $! > child/cgroup.procs")
            .as_root()
            .prints("")
            .in_the_same_shell(),
        hand("cat cgroup.procs child/cgroup.procs").as_root().prints("<pid A>\n<pid B>"),
    ],
    claims: &[ONLY_LEAVES, INNER],
    run: |lab| {
        lab.compare(ONLY_LEAVES, false, true, join_top)?.shows(first().from("OK").to("EBUSY"))?;
        lab.compare(INNER, false, true, count_members)?
            .in_both_arms(outside("members of top").is(1))
            .shows(outside("members of top/child").is(1))
    },
};

const DOMAIN_CONTROLLER: Claim = Claim::holds(
    "domain-controller",
    "A cgroup below the root with a member cannot enable a domain controller for children: EBUSY.",
)
.factor("a member")
.notes(&[57, 58])
.more(&[106])
.requires(&[A_DOMAIN_CONTROLLER])
.arms("no member", "a member")
.core(&[Row::first("+memory, or similar")])
.asks(
    "A cgroup has a member and a child. A domain controller such as memory is enabled for children. What happens?",
    &[
        right("EBUSY: it needs a cgroup without members"),
        wrong("it succeeds: the child gets memory.max", "in version 1 a cgroup can have both"),
        wrong(
            "ENOENT: the controller is not available",
            "a controller that the parent does not enable gives ENOENT",
        ),
    ],
);
const NO_ENTRY: Claim = Claim::holds(
    "no-entry",
    "No process can move into a cgroup below the root that enables a domain controller for children: EBUSY.",
)
.factor("+CONTROLLER in cgroup.subtree_control")
.arms("nothing enabled", "+CONTROLLER")
.notes(&[57])
.more(&[106])
.requires(&[A_DOMAIN_CONTROLLER]);
const LEAF: Claim = Claim::holds(
    "leaf",
    "A cgroup can enable a domain controller for children once its members have moved into a leaf.",
)
.factor("moving the member into a leaf")
.arms("not moved", "moved")
.notes(&[57])
.requires(&[A_DOMAIN_CONTROLLER]);
const NO_LEVEL_SKIPPED: Claim = Claim::holds(
    "no-level-skipped",
    "+CONTROLLER fails with ENOENT where the parent does not enable the controller, even if the grandparent does.",
)
.factor("a parent that enables nothing").arms("parent enables it", "parent does not")
.more(&[105])
.requires(&[A_DOMAIN_CONTROLLER]);
const ROOT: Claim = Claim::holds(
    "root",
    "The root is exempt: it has members and enables a domain controller for its children.",
)
.factor("being the root")
.arms("new cgroup", "root")
.notes(&[56, 57])
.requires(&[A_DOMAIN_CONTROLLER, A_ROOT, A_DISTRIBUTING_ROOT]);

pub(crate) const ENABLE_A_DOMAIN_CONTROLLER: Step = Step {
    title: "Enable a domain controller beside a member. Move a process into a cgroup that enables one. Then use a leaf.",
    calls: &["write(\"…/cgroup.subtree_control\", \"+memory\")", "write(\"…/cgroup.procs\", \"PID\")"],
    by_hand: &[hand("domain=$(grep -owE 'memory|io|hugetlb|misc' cgroup.controllers | head -n 1); echo +$domain > cgroup.subtree_control").as_root().prints("EBUSY").in_the_same_shell(), hand("mkdir leaf; echo $(<cgroup.procs) > leaf/cgroup.procs").as_root().prints(""), hand("echo +$domain > cgroup.subtree_control; echo $! > cgroup.procs").as_root().prints("EBUSY"), ],
    claims: &[DOMAIN_CONTROLLER, NO_ENTRY, LEAF, NO_LEVEL_SKIPPED, ROOT],
    run: |lab| {
        let domain = domain_controller()?;
        lab.saw(Fact::outside("the domain controller", Value::Name(domain.name.clone())))?;
        lab.compare(DOMAIN_CONTROLLER, false, true, |member| domain.enable_beside(member, false))?
            .shows(first().is("EBUSY"))?;
        lab.compare(NO_ENTRY, false, true, |enabled| domain.enter(enabled))?.shows(first().is("EBUSY"))?;
        lab.compare(LEAF, false, true, |moved| domain.enable_after_a_move(moved))?
            .shows(first().from("EBUSY").to("OK"))?;
        lab.compare(NO_LEVEL_SKIPPED, false, true, |skipped| domain.enable_at_the_third_level(skipped))?
            .shows(first().is("ENOENT"))?;
        lab.compare(ROOT, false, true, |is_root| domain.look_at_members(is_root))?
            .in_both_arms(outside("has members").is("yes"))
            .shows(outside("enables a domain controller").is("yes"))
    },
};

const CANNOT_DISTRIBUTE: Claim = Claim::refuted(
    "cannot-distribute",
    "A cgroup below the root cannot both have members and distribute resources to its children.",
    "exempt",
)
.factor("a member")
.notes(&[57])
.requires(&[A_THREADED_CONTROLLER])
.arms("no member", "a member")
.core(&[Row::first("+pids, or similar")])
.asks(
    "A cgroup has a member and a child. pids, a threaded controller, is enabled for children. What happens?",
    &[
        right("it succeeds"),
        wrong("EBUSY, as for memory", "the rule is often stated for all controllers"),
        wrong(
            "EOPNOTSUPP: the child must be threaded first",
            "threaded controllers are thought to need threaded cgroups",
        ),
    ],
);
const EXEMPT: Claim = Claim::holds(
    "exempt",
    "Threaded controllers are exempt: beside a member, +pids succeeds, and +memory fails with EBUSY.",
)
.factor("a threaded controller")
.notes(&[57])
.more(&[106])
.requires(&[A_DOMAIN_CONTROLLER, A_THREADED_CONTROLLER])
.arms("+memory", "+pids")
.core(&[Row::first("beside a member")])
.asks(
    "Which controllers can a cgroup with members enable for its children?",
    &[
        right("threaded ones, such as cpu and pids"),
        wrong("none", "'no internal processes' is quoted without its exception"),
        wrong("all but memory", "memory is the usual example of the rule"),
        wrong("all", "in version 1 all can be used beside members"),
    ],
);
const SILENTLY: Claim = Claim::holds(
    "silently",
    "+pids beside a member succeeds. The cgroup becomes `domain threaded`, and its empty child `domain invalid`.",
)
.factor("a member").arms("no member", "a member")
.notes(&[57])
.more(&[107])
.requires(&[A_THREADED_CONTROLLER]);
const POPULATED_CHILD: Claim = Claim::holds(
    "populated-child",
    "+pids beside a member fails with EBUSY where the child has a member too.",
)
.factor("a member of the child")
.arms("empty child", "child with member")
.notes(&[57])
.requires(&[A_THREADED_CONTROLLER]);

pub(crate) const ENABLE_A_THREADED_CONTROLLER: Step = Step {
    title: "Enable a threaded controller beside a member, and read the types of the cgroups.",
    calls: &["write(\"…/cgroup.subtree_control\", \"+pids\")", "read(\"…/cgroup.type\")"],
    by_hand: &[hand("echo +pids > cgroup.subtree_control; mkdir -p other/child; sleep 60 & echo $! > other/cgroup.procs").as_root().prints("").in_the_same_shell(), hand("echo +pids > other/cgroup.subtree_control; cat other/cgroup.type other/child/cgroup.type").as_root().prints("domain threaded\ndomain invalid"), hand("echo $! > other/child/cgroup.procs").as_root().prints("EOPNOTSUPP"), ],
    claims: &[CANNOT_DISTRIBUTE, EXEMPT, SILENTLY, POPULATED_CHILD],
    run: |lab| {
        let threaded = find_one_of(&THREADED)?.map_err(Error::Unmet)?;
        lab.saw(Fact::outside("the threaded controller", Value::Name(threaded.name.clone())))?;
        let answers = lab.arms(false, true, |member| threaded.enable_beside(member, false))?;
        lab.judge(CANNOT_DISTRIBUTE, answers.clone()).shows(first().from("OK").to("EBUSY"))?;
        // One cgroup enables both: the root, or for an ordinary user that of the user manager.
        lab.compare(EXEMPT, &DOMAIN[..], &THREADED[..], |controllers| {
            find_one_of(controllers)?.map_err(Error::Unmet)?.enable_beside(true, false)
        })?
        .shows(first().from("EBUSY").to("OK"))?;
        lab.judge(SILENTLY, answers).shows(
            outside("cgroup.type of top").is("domain threaded")
                & outside("cgroup.type of top/child").is("domain invalid"),
        )?;
        lab.compare(POPULATED_CHILD, false, true, |member| threaded.enable_beside(true, member))?
            .shows(first().is("EBUSY"))
    },
};

fn join_top(has_child: bool) -> Result<Fact> {
    let top = CgroupParent::require(CgroupRequest::AnyV2)?.create("top")?;
    let _child = has_child.then(|| top.child(&"child".parse()?)).transpose()?;
    let member = start_idle("member")?;
    Ok(Fact::outside("echo PID > top/cgroup.procs", Outcome::of(top.join(member.pid()))?))
}

/// The members of a cgroup and its child. The child has one if `in_both`.
fn count_members(in_both: bool) -> Result<[Fact; 2]> {
    let (top, child) = with_child(&CgroupParent::require(CgroupRequest::AnyV2)?)?;
    let _first = start_in(&top, "first")?;
    let _second = in_both.then(|| start_in(&child, "second")).transpose()?;
    Ok([
        Fact::outside("members of top", top.procs()?.len()),
        Fact::outside("members of top/child", child.procs()?.len()),
    ])
}

/// A controller, and a cgroup that enables it for its children.
pub(crate) struct Controller {
    pub(crate) name: String,
    pub(crate) parent: CgroupParent,
}

impl Controller {
    /// Enables it in a cgroup with a child, where the cgroup, the child or both have a member.
    fn enable_beside(&self, member_above: bool, member_below: bool) -> Result<Vec<Fact>> {
        let (top, child) = with_child(&self.parent)?;
        let _above = member_above.then(|| start_in(&top, "member")).transpose()?;
        let _below = member_below.then(|| start_in(&child, "member")).transpose()?;
        let answer = Outcome::of(top.enable(&self.name))?;
        Ok(vec![
            Fact::outside(format!("echo +{} > cgroup.subtree_control", self.name), answer),
            Fact::outside("cgroup.type of top", top.read("cgroup.type")?),
            Fact::outside("cgroup.type of top/child", child.read("cgroup.type")?),
        ])
    }

    /// The name of a file that the controller adds to a cgroup of this kernel: `memory.max`, `hugetlb.2MB.max`.
    ///
    /// # Errors
    /// When it adds none.
    pub(crate) fn file(&self) -> Result<String> {
        let (top, child) = with_child(&self.parent)?;
        let before = names_in(child.path())?;
        top.enable(&self.name)?;
        best_known(&before, names_in(child.path())?).with_context(|| format!("a file of {}", self.name))
    }

    /// Moves a process into a cgroup that enables the controller for children, or enables nothing.
    fn enter(&self, enabled: bool) -> Result<Fact> {
        let top = self.parent.create("top")?;
        if enabled {
            top.enable(&self.name)?;
        }
        let process = start_idle("process")?;
        Ok(Fact::outside("echo PID > cgroup.procs", Outcome::of(top.join(process.pid()))?))
    }

    /// Enables it in a cgroup whose member has moved into a leaf, if `moved`.
    fn enable_after_a_move(&self, moved: bool) -> Result<Fact> {
        let top = self.parent.create("top")?;
        let leaf = top.child(&"leaf".parse()?)?;
        let member = start_in(&top, "member")?;
        if moved {
            leaf.join(member.pid())?;
        }
        Ok(Fact::outside("echo +controller > cgroup.subtree_control", Outcome::of(top.enable(&self.name))?))
    }

    /// Enables it in a grandchild. The child between does not enable it if `skipped`.
    fn enable_at_the_third_level(&self, skipped: bool) -> Result<Fact> {
        let (top, middle) = with_child(&self.parent)?;
        let low = middle.child(&"child".parse()?)?;
        top.enable(&self.name)?;
        if !skipped {
            middle.enable(&self.name)?;
        }
        Ok(Fact::outside("echo +controller > cgroup.subtree_control", Outcome::of(low.enable(&self.name))?))
    }

    /// Whether a cgroup has members and also enables a domain controller for its children: the root, or a new cgroup.
    fn look_at_members(&self, is_root: bool) -> Result<[Fact; 2]> {
        let (top, _child) = with_child(&self.parent)?;
        let _member = start_in(&top, "member")?;
        let _ = top.enable(&self.name); // EBUSY, as the claims before show
        let directory = if is_root { root()? } else { top.path().to_path_buf() };
        let read = |file: &str| {
            std::fs::read_to_string(directory.join(file)).with_context(|| format!("cat …/{file}"))
        };
        Ok([
            Fact::outside("has members", !read("cgroup.procs")?.is_empty()),
            Fact::outside(
                "enables a domain controller",
                has_domain_controller(&read("cgroup.subtree_control")?),
            ),
        ])
    }
}

fn names_in(cgroup: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(cgroup).context("ls top/child")?;
    entries.map(|entry| Ok(entry.context("ls top/child")?.file_name().to_string_lossy().into())).collect()
}

/// A file of a cgroup that was not there before. `memory.pressure` is there without a controller.
fn best_known(before: &[String], after: Vec<String>) -> Option<String> {
    let added = after.into_iter().filter(|name| !before.contains(name));
    // The file with the limit, if there is one.
    added.min_by_key(|name| (!name.ends_with(".max"), name.clone()))
}

fn has_domain_controller(enabled: &str) -> bool {
    enabled.split_whitespace().any(|controller| DOMAIN.contains(&controller))
}

/// The root of the v2 tree: the only cgroup without cgroup.type.
pub(crate) fn root() -> Result<PathBuf> {
    let layout = Layout::detect()?;
    let mount = layout.v2_mount().context("no v2")?;
    anyhow::ensure!(!mount.join("cgroup.type").exists(), "{} is not the root", mount.display());
    Ok(mount.into())
}

/// The first of these controllers that some cgroup enables for its children.
fn find_one_of(controllers: &[&str]) -> ns_core::Result<Result<Controller, Unmet>> {
    let mut unmet = None;
    for name in controllers {
        match CgroupParent::find(CgroupRequest::ControllerV2(name))? {
            Ok(parent) => return Ok(Ok(Controller { name: (*name).into(), parent })),
            Err(why) => {
                // Every Debian has the first, so its reason is the useful one.
                unmet.get_or_insert(why);
            }
        }
    }
    Ok(Err(unmet.unwrap_or_else(|| Unmet::new("no controller", "run a kernel that has one"))))
}

/// A domain controller. A requirement has found that there is one.
pub(crate) fn domain_controller() -> Result<Controller> {
    Ok(find_one_of(&DOMAIN)?.map_err(Error::Unmet)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some files of a cgroup without controllers.
    const ALWAYS: [&str; 5] =
        ["cgroup.procs", "cgroup.max.depth", "cpu.stat", "io.pressure", "memory.pressure"];

    fn picked(added: &[&str]) -> Option<String> {
        let directory = std::env::temp_dir().join(format!("cgroup-rules-{}-{added:?}", std::process::id()));
        let make = |name: &&str| std::fs::write(directory.join(name), "");
        std::fs::create_dir(&directory).unwrap();
        ALWAYS.iter().try_for_each(make).unwrap();
        let before = names_in(&directory).unwrap();
        added.iter().try_for_each(make).unwrap();
        let after = names_in(&directory).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        best_known(&before, after)
    }

    #[test]
    fn the_file_that_collides_is_one_that_the_kernel_makes() {
        let hugetlb =
            ["hugetlb.2MB.current", "hugetlb.2MB.events", "hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"];
        let cases: [(&[&str], _); 4] = [
            (&hugetlb, Some("hugetlb.2MB.max")),
            (&["memory.current", "memory.high", "memory.max", "memory.swap.max"], Some("memory.max")),
            (&["io.stat"], Some("io.stat")),
            (&[], None),
        ];
        for (added, expected) in cases {
            assert_eq!(picked(added).as_deref(), expected);
        }
    }
}
