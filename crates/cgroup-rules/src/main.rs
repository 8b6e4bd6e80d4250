//! Which cgroups may hold processes, and how do v1 and v2 differ?
//!
//! In v1 everything goes: threads here, processes there, members in any cgroup, and another tree for each controller.
//! v2 is one tree with rules. Watch for what the kernel answers: EBUSY, EOPNOTSUPP, ENOENT, EINVAL and EACCES each stand
//! for one rule.
//!
//! What is shown by hand is one session as root, from a cgroup that systemd delegates, with the variables of its first step.

mod cgroups;
mod delegation;
mod inner;
mod names;
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
    setup: "The same write to a cgroup's files, with one thing changed.",
    arms: ["", ""],
    in_short: "members and children go together; members and a domain controller for the children do not.",
    notes: "What is a cgroup?",
    man: &["cgroups(7)"],
    examples: &[
        ("cgroup-rules", "run the experiment in the nearest cgroup that may be written"),
        ("systemd-run --user --scope -p Delegate=yes cgroup-rules", "as an ordinary user of systemd"),
        ("scripts/vm 13 --user root -- cgroup-rules", "in a machine where v1 may be mounted beside v2"),
        ("cgroup-rules --sabotage", "without the factors: no claim holds"),
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
    prepare: Some(|| Ok(cgroup::sweep().map(drop)?)),
};

fn main() -> std::process::ExitCode {
    lesson::main(&CGROUP_RULES)
}

/// Controllers that v1 alone has; what they did is done otherwise in v2 (cgroups(7), "Cgroups version 2").
const OF_V1_ALONE: [&str; 5] = ["freezer", "devices", "cpuacct", "net_cls", "net_prio"];

const V1_HAS_MORE: Claim = Claim::holds(
    "v1-has-more",
    "v1 has controllers that v2 does not know: +devices in cgroup.subtree_control gives EINVAL.",
)
.factor("a controller of v1 alone")
.notes(&[49])
.requires(&[A_PARENT]);
const FREEZER: Claim =
    Claim::refuted("freezer", "The freezer is a controller of v2: it can be enabled.", "no-freezer")
        .factor("+freezer")
        .notes(&[42])
        .requires(&[A_PARENT]);
const NO_FREEZER: Claim = Claim::holds(
    "no-freezer",
    "Every cgroup of v2 but the root has cgroup.freeze, with no controller enabled.",
)
.factor("a cgroup that is not the root")
.notes(&[42])
.requires(&[A_PARENT, inner::A_ROOT]);

const ENABLE_EACH: Step = Step {
    title: "Try to enable each controller that the kernel has in a new cgroup of v2.",
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
        // Whether cpu is on v2, and enabled above, is for the machine to say. v2 knows it in any case.
        lab.compare(V1_HAS_MORE, "cpu", "devices", enable)?
            .shows(first().from("ENOENT").or("OK").to("EINVAL"))?;
        lab.compare(FREEZER, "nonsense", "freezer", enable)?.shows(first().from("EINVAL").to("OK"))?;
        show_controllers(lab)?;
        lab.compare(NO_FREEZER, true, false, |is_root| {
            let cgroup = CgroupParent::require(CgroupRequest::AnyV2)?.create("new")?;
            let directory = if is_root { inner::root()? } else { cgroup.path().to_path_buf() };
            Ok(Fact::outside("it has cgroup.freeze", directory.join("cgroup.freeze").exists()))
        })?
        .shows(outside("it has cgroup.freeze").is("yes"))
    },
};

/// Enables a controller in a new cgroup.
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
        // What /proc/cgroups still calls by its name of v1.
        let of_v2 = if controller == "blkio" { "io" } else { controller };
        let on = match (layout.v1(controller), layout.v2_controllers().iter().any(|own| own == of_v2)) {
            (Some(_), _) => "v1",
            (None, true) => "v2",
            (None, false) if OF_V1_ALONE.contains(&controller) => "v1, were it mounted",
            (None, false) => "neither",
        };
        rows.push(vec![of_v2.into(), on.into(), enable(of_v2)?.value]);
    }
    lab.table("The kernel's controllers, and what the new cgroup answers", &["controller", "on", "+"], rows)
}
