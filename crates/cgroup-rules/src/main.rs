//! Which cgroups may hold processes, and how do v1 and v2 differ?
//!
//! In v1 everything goes: threads here, processes there, members in any cgroup, and another tree for each controller.
//! v2 is one tree with rules. Watch for what the kernel answers: EBUSY, EOPNOTSUPP, ENOENT, EINVAL and EACCES each stand
//! for one rule.
//!
//! What is shown by hand is one session as root, from a cgroup that systemd delegates, with the variables of its first step.

mod delegation;
mod inner;
mod names;
mod threads;
mod v1;
mod v1_mounts;

use anyhow::{Context, Result};
use lesson::{Claim, Experiment, Lab, Need, Step, cause};
use nix::unistd::gettid;
use ns_core::cgroup::{self, Cgroup, Layout, Place, Want};
use ns_core::probe::Missing;
use ns_core::{Child, Fact, Namespaces, Outcome, Pid, Value, Witness};

/// A place for cgroups of version 2, whatever its controllers.
pub(crate) const A_PLACE: Need = Need::Probe(|| missing(Want::AnyV2));

/// Controllers that v1 alone has; what they did is done otherwise in v2 (cgroups(7), "Cgroups version 2").
const OF_V1_ALONE: [&str; 5] = ["freezer", "devices", "cpuacct", "net_cls", "net_prio"];

const V1_HAS_MORE: Claim = Claim::holds(
    "v1-has-more",
    "v1 has controllers that v2 does not know: +devices in cgroup.subtree_control gives EINVAL.",
)
.cause("a controller of v1 alone")
.notes(&[49])
.needs(&[A_PLACE]);
const FREEZER: Claim =
    Claim::refuted("freezer", "The freezer is a controller of v2: it can be enabled.", "no-freezer")
        .cause("+freezer")
        .notes(&[42])
        .needs(&[A_PLACE])
        .misconceptions(&[(
            "echo +freezer > cgroup.subtree_control = OK",
            "in version 1 it is a controller, and the list of controllers is often given for both",
        )]);
const NO_FREEZER: Claim = Claim::holds(
    "no-freezer",
    "Every cgroup of v2 but the root has cgroup.freeze, with no controller enabled.",
)
.cause("a cgroup that is not the root")
.notes(&[42])
.needs(&[A_PLACE, inner::A_ROOT]);

const CGROUP_RULES: Experiment = Experiment {
    name: "cgroup-rules",
    question: "Which cgroups may hold processes, and how do v1 and v2 differ?",
    notes: "What is a cgroup?",
    man: &["cgroups(7)"],
    examples: &[
        ("cgroup-rules", "run the experiment in the nearest cgroup that may be written"),
        ("systemd-run --user --scope -p Delegate=yes cgroup-rules", "as an ordinary user of systemd"),
        ("scripts/vm 13 --user root -- cgroup-rules", "in a machine where v1 may be mounted beside v2"),
        ("cgroup-rules --sabotage", "without the causes: no claim holds"),
    ],
    stage: Namespaces::NONE,
    needs: &[],
    claims: &[
        V1_HAS_MORE,
        FREEZER,
        NO_FREEZER,
        inner::ONLY_LEAVES,
        inner::INNER,
        inner::DOMAIN_CONTROLLER,
        inner::NO_ENTRY,
        inner::LEAF,
        inner::NO_LEVEL_SKIPPED,
        inner::CANNOT_DISTRIBUTE,
        inner::EXEMPT,
        inner::SILENTLY,
        inner::POPULATED_CHILD,
        inner::ROOT,
        threads::THREADED,
        threads::TWO_CGROUPS,
        threads::STAYS,
        threads::ONE_WAY,
        threads::INVALID,
        threads::PROCS,
        threads::NO_DOMAIN_CONTROLLER,
        delegation::MKDIR,
        delegation::PROCS,
        delegation::SUBTREE_CONTROL,
        delegation::LIMITS,
        delegation::ANCESTOR,
        delegation::OPENER,
        names::NEWLINE,
        names::LONG,
        names::RAW,
        names::COLLISION,
        v1_mounts::ONE_TREE,
        v1::LINES,
        v1::TWO_PLACES,
        v1::INNER,
        v1::THREADS,
        v1::RENAME,
        v1::BRINGS_IN,
        v1::ANYBODY,
        v1_mounts::NAMED,
        v1_mounts::EITHER,
        v1_mounts::TAKEN,
        v1_mounts::RETURNS,
        v1_mounts::IN_USE,
        v1_mounts::RELEASE_AGENT,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main(&CGROUP_RULES)
}

fn run(lab: &mut Lab) -> Result<()> {
    cgroup::sweep()?;
    if lab.can_ask(&[V1_HAS_MORE, FREEZER])? {
        controllers(lab)?;
    }
    if lab.can_ask(&[NO_FREEZER])? {
        let has_file = |directory: &std::path::Path| {
            Fact::outside("it has cgroup.freeze", directory.join("cgroup.freeze").exists())
        };
        let cgroup = find(Want::AnyV2)?.create("new")?;
        let root = inner::root()?;
        lab.claim(NO_FREEZER)
            .without(has_file(&root))
            .with(has_file(cause(cgroup.path(), &root)))
            .shows(|has| *has == "yes")?;
    }
    inner::run(lab)?;
    threads::run(lab)?;
    delegation::run(lab)?;
    names::run(lab)?;
    v1_mounts::one_tree(lab)?;
    // From here on new hierarchies may be mounted, in a mount namespace of our own.
    let mounted = v1_mounts::two_hierarchies()?;
    v1::run(lab)?;
    v1_mounts::run(lab, mounted)
}

/// Which controllers a new cgroup could hand on.
fn controllers(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Try to enable each controller that the kernel has in a new cgroup of v2.",
        calls: &["read(\"/proc/cgroups\")", "write(\"…/cgroup.subtree_control\", \"+CONTROLLER\")"],
        by_hand: &[
            "systemd-run --quiet --pty -p Delegate=yes bash  # as root; exit ends all that is in it",
            "v2=$(findmnt -nfo TARGET -t cgroup2); own=$v2$(sed -n s/^0:://p /proc/self/cgroup)",
            "mkdir $own/shell $own/rules; echo $$ > $own/shell/cgroup.procs; cd $own/rules; cut -f1,2 /proc/cgroups",
            "for c in $(<../cgroup.controllers); do echo +$c > ../cgroup.subtree_control; done",
            "for c in cpu memory devices freezer; do echo +$c > cgroup.subtree_control; done",
            "echo -cpu -memory > cgroup.subtree_control; ls cgroup.freeze $v2/cgroup.freeze",
        ],
    })?;
    let place = find(Want::AnyV2)?;
    let enable = |controller: &str| -> Result<Fact> {
        let answer = place.create("new")?.write("cgroup.subtree_control", &format!("+{controller}"));
        Ok(Fact::outside(format!("echo +{controller} > cgroup.subtree_control"), Outcome::of(answer)?))
    };
    lab.claim(V1_HAS_MORE)
        .without(enable("cpu")?)
        .with(enable(cause("devices", "cpu"))?)
        .shows(|answer| *answer == "EINVAL")?;
    lab.claim(FREEZER)
        .without(enable("nonsense")?)
        .with(enable(cause("freezer", "nonsense"))?)
        .shows(|answer| *answer != "EINVAL")?;
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

/// What is missing for a place, as a need.
pub(crate) fn missing(want: Want<'_>) -> ns_core::Result<Option<Missing>> {
    Ok(Place::find(want)?.err())
}

/// A place that a need has found before.
pub(crate) fn find(want: Want<'_>) -> Result<Place> {
    Place::find(want)?.map_err(|missing| anyhow::anyhow!("{}", missing.what))
}

/// A process that is there, and nothing else.
pub(crate) fn stander(label: &str) -> ns_core::Result<Child> {
    Child::spawn(label, Namespaces::NONE, Witness::stay)
}

/// Puts a process into a cgroup where that is not the cause: in both arms, and under sabotage too.
pub(crate) fn put(cgroup: &Cgroup, process: &Child) -> Result<()> {
    Ok(cgroup.write("cgroup.procs", &process.pid().to_string())?)
}

/// A process with a second thread, and that thread's ID.
pub(crate) fn two_threads() -> Result<(Child, Pid)> {
    let mut process = Child::spawn("process", Namespaces::NONE, |me| {
        let (tell, hear) = std::sync::mpsc::channel();
        // It ends with the process, which ends by _exit().
        std::thread::spawn(move || {
            let _ = tell.send(gettid());
            loop {
                std::thread::park();
            }
        });
        let thread = hear.recv().map_err(|error| ns_core::Error::Input(error.to_string()))?;
        me.saw("its second thread", thread)?;
        me.stay()
    })?;
    let thread = process.hear()?.value.as_i64().context("a thread ID")?;
    Ok((process, Pid::from_raw(i32::try_from(thread)?)))
}

/// The path of a thread's cgroup, seen from `top`: `top`, `top/child`, or `elsewhere`.
///
/// `hierarchy` begins its line of /proc/PID/cgroup from the second colon field on: empty for v2.
pub(crate) fn seen_from(top: &Cgroup, hierarchy: &str, thread: Pid) -> Result<Value> {
    // A thread is found in /proc by its number, though it is not listed there.
    let path = cgroup::path_of(Some(thread), hierarchy)?;
    let name = top.path().file_name().unwrap_or_default().to_string_lossy();
    let below = path.as_deref().and_then(|path| path.split_once(&*name)).map(|(_, below)| below);
    Ok(below.map_or("elsewhere".into(), |below| format!("top{below}")).into())
}
