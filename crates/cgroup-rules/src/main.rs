//! Which cgroups may hold processes, and how do v1 and v2 differ?
//!
//! v1 has few rules: any cgroup can have members, single threads can move, and each controller can have its own tree. v2
//! is one tree with rules. Watch the errno: EBUSY, EOPNOTSUPP, ENOENT, EINVAL and EACCES each belong to one rule.
//!
//! The commands by hand are one session as root. It starts in a cgroup that systemd delegates, and later steps use the
//! variables of the first.

mod cgroups;
mod delegation;
mod inner;
mod names;
mod shell;
mod threads;
mod v1;
mod v1_hierarchies;
mod v1_mounts;

use anyhow::Result;
use lesson::{Claim, Experiment, Lab, Need, Step, first, hand, outside};
use ns_core::cgroup::{self, CgroupParent, CgroupRequest, Layout};
use ns_core::{Fact, Namespaces, Outcome};

use cgroups::A_PARENT;

const CGROUP_RULES: Experiment = Experiment {
    name: "cgroup-rules",
    question: "Which cgroups may hold processes, and how do v1 and v2 differ?",
    setup: "The same write to the files of a cgroup, with one thing changed.",
    arms: ["", ""],
    in_short: "a v2 cgroup can have members and children, but not members and a domain controller for children.",
    notes: "What is a cgroup?",
    man: &["cgroups(7)"],
    examples: &[
        ("cgroup-rules", "run the experiment, below the nearest cgroup that you may write to"),
        (
            "systemd-run --user --scope -p Delegate=yes cgroup-rules",
            "run it as an ordinary user, in a cgroup that systemd delegates",
        ),
        (
            "scripts/vm 13 --user root -- cgroup-rules",
            "run it in a virtual machine, where v1 can be mounted beside v2",
        ),
        ("cgroup-rules --sabotage", "run the negative control: without the factors, no claim holds"),
    ],
    sandbox: Namespaces::NONE,
    requires: &[],
    steps: &[
        ENABLE_EACH,
        inner::PUT_MEMBERS_ABOVE_MEMBERS,
        inner::ENABLE_A_DOMAIN_CONTROLLER,
        inner::ENABLE_A_THREADED_CONTROLLER,
        threads::MAKE_THREADED,
        threads::MOVE_A_THREAD,
        delegation::GIVE,
        delegation::BRING_IN,
        names::MAKE_STRANGE_NAMES,
        names::COLLIDE,
        v1_mounts::MOUNT_V2_AGAIN,
        v1::COUNT_HIERARCHIES,
        v1::MOVE_IN_V1,
        v1::GIVE_IN_V1,
        v1_mounts::NAME_A_HIERARCHY,
        v1_mounts::LOOK_FOR_A_CONTROLLER,
        v1_mounts::MOUNT_V1,
        v1_mounts::EMPTY_CGROUPS,
    ],
    shell: Some(shell::SHELL),
    prepare: Some(|| Ok(cgroup::sweep().map(drop)?)),
};

fn main() -> std::process::ExitCode {
    lesson::main(&CGROUP_RULES)
}

/// Controllers that only v1 has. v2 has other means for the same purposes (cgroups(7), "Cgroups version 2").
const OF_V1_ALONE: [&str; 5] = ["freezer", "devices", "cpuacct", "net_cls", "net_prio"];

const V1_HAS_MORE: Claim = Claim::holds(
    "v1-has-more",
    "v1 has a controller that v2 does not know: +devices in cgroup.subtree_control fails with EINVAL.",
)
.factor("a controller that only v1 has")
.arms("+cpu", "+devices")
.notes(&[49])
.requires(&[A_PARENT]);
const FREEZER: Claim = Claim::refuted(
    "freezer",
    "freezer is a controller of v2, which can be enabled for children.",
    "no-freezer",
)
.factor("+freezer")
.arms("+nonsense", "+freezer")
.notes(&[42])
.requires(&[A_PARENT]);
const NO_FREEZER: Claim = Claim::holds(
    "no-freezer",
    "A v2 cgroup below the root has the file cgroup.freeze without a controller. The root does not have it.",
)
.factor("a cgroup that is not the root")
.arms("root", "new cgroup")
.notes(&[42])
.requires(&[A_PARENT, inner::A_ROOT]);

const ENABLE_EACH: Step = Step {
    title: "In a new v2 cgroup, try to enable each controller of the kernel for children.",
    calls: &["read(\"/proc/cgroups\")", "write(\"…/cgroup.subtree_control\", \"+CONTROLLER\")"],
    by_hand: &[
        hand("systemd-run --quiet --scope -p Delegate=yes bash  # a shell of your own, for all that follows")
            .as_root()
            .prints("")
            .needs(&[Need::Systemd, Need::Controllers]),
        hand("v2=$(findmnt -nfo TARGET -t cgroup2); own=$v2$(sed -n s/^0:://p /proc/self/cgroup)")
            .as_root()
            .prints(""),
        hand("mkdir $own/shell $own/rules; echo $$ > $own/shell/cgroup.procs; cd $own/rules")
            .as_root()
            .prints(""),
        hand("for c in $(<../cgroup.controllers); do echo +$c > ../cgroup.subtree_control; done")
            .as_root()
            .prints(""),
        hand("for c in cpu memory devices freezer; do echo +$c > cgroup.subtree_control; done")
            .as_root()
            .prints("EINVAL\nEINVAL"),
        hand("echo -cpu -memory > cgroup.subtree_control; ls cgroup.freeze $v2/cgroup.freeze")
            .as_root()
            .prints("ENOENT\ncgroup.freeze"),
    ],
    claims: &[V1_HAS_MORE, FREEZER, NO_FREEZER],
    run: |lab| {
        // The answer for cpu depends on whether v2 has it here, and the parent enables it. v2 knows it in any case.
        lab.compare(V1_HAS_MORE, "cpu", "devices", enable)?
            .shows(first().from("ENOENT").or("OK").to("EINVAL"))?;
        lab.compare(FREEZER, "nonsense", "freezer", enable)?.shows(first().from("EINVAL").to("OK"))?;
        show_controllers(lab)?;
        lab.compare(NO_FREEZER, true, false, |is_root| {
            let cgroup = CgroupParent::require(CgroupRequest::AnyV2)?.create("new")?;
            let directory = if is_root { inner::root()? } else { cgroup.path().to_path_buf() };
            Ok(Fact::outside("has cgroup.freeze", directory.join("cgroup.freeze").exists()))
        })?
        .shows(outside("has cgroup.freeze").is("yes"))
    },
};

/// Enables a controller in a new cgroup, for its children.
fn enable(controller: &str) -> Result<Fact> {
    let answer = CgroupParent::require(CgroupRequest::AnyV2)?.create("new")?.enable(controller);
    Ok(Fact::outside(format!("echo +{controller} > cgroup.subtree_control"), Outcome::of(answer)?))
}

fn show_controllers(lab: &mut Lab) -> Result<()> {
    let layout = Layout::detect()?;
    let listed = std::fs::read_to_string("/proc/cgroups").unwrap_or_default();
    let listed = listed.lines().filter(|line| !line.starts_with('#'));
    let mut rows = Vec::new();
    for controller in listed.filter_map(|line| line.split_whitespace().next()) {
        // /proc/cgroups uses the name of v1.
        let of_v2 = if controller == "blkio" { "io" } else { controller };
        let on = match (layout.v1(controller), layout.v2_controllers().iter().any(|own| own == of_v2)) {
            (Some(_), _) => "v1",
            (None, true) => "v2",
            (None, false) if OF_V1_ALONE.contains(&controller) => "v1, not mounted",
            (None, false) => "neither",
        };
        rows.push(vec![of_v2.into(), on.into(), enable(of_v2)?.value]);
    }
    lab.table(
        "The kernel's controllers, and the answer to +NAME in the new cgroup",
        &["controller", "on", "+"],
        rows,
    )
}
