//! What does a limit do?
//!
//! A limit is a number in a file of a cgroup, and each kind answers in its own way when it is hit: fork() fails, a
//! process is killed, or it is made to wait. Watch for the answer, and for who gets it: it is not always the one who
//! did too much. And the number in the file is not the whole truth: what holds is the least of all above.
//!
//! Nothing is judged by a clock. Where a limit makes a process wait, the kernel's own count tells, or who comes first.

mod cpu;
mod freeze;
mod io;
mod memory;
mod others;
mod pids;
mod tree;

use anyhow::Result;
use lesson::{Experiment, Lab, Need};
use ns_core::cgroup::{Cgroup, HandedDown, Layout, Place, Version, Want};
use ns_core::probe::{self, Missing};
use ns_core::{Capability, Fact, Namespaces};

const CGROUP_LIMITS: Experiment = Experiment {
    name: "cgroup-limits",
    question: "What does a limit do?",
    notes: "What is a cgroup?",
    man: &["cgroups(7)", "cpuset(7)", "sched_setaffinity(2)", "systemd.resource-control(5)"],
    examples: &[
        ("cgroup-limits", "run the experiment in the nearest cgroup that may be written"),
        ("systemd-run --user --scope -p Delegate=yes cgroup-limits", "as an ordinary user of systemd"),
        ("cgroup-limits --sabotage", "without the causes: no claim holds"),
    ],
    stage: Namespaces::NONE,
    needs: &[],
    claims: &[
        pids::MAX,
        pids::BELOW,
        pids::MOVED_IN,
        pids::COUNTED_WHERE,
        memory::TOUCHED,
        memory::MAX,
        memory::COUNTED,
        memory::KERNEL,
        memory::STAYS,
        memory::GROUP,
        memory::HIGH,
        memory::SWAP,
        cpu::MAX,
        cpu::ABOVE,
        cpu::CPUSET,
        io::STAT,
        io::MAX,
        freeze::NO_CONTROLLER,
        freeze::FREEZES,
        freeze::MOVED_IN,
        freeze::KILLED,
        freeze::KILL,
        others::PERF,
        others::PERF_COUNTS,
        others::HUGETLB,
        others::RDMA,
        tree::CANNOT_EXCEED,
        tree::LEAST,
        tree::LEAST_MEMORY,
        tree::CPUS,
        tree::ROUNDED,
        tree::NONSENSE,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main(&CGROUP_LIMITS)
}

fn run(lab: &mut Lab) -> Result<()> {
    ns_core::cgroup::sweep()?;
    let _handed = hand_down_the_rest()?;
    lab.saw(Fact::outside("the layout of this machine", Layout::detect()?.kind().to_string()))?;
    pids::run(lab)?;
    memory::run(lab)?;
    cpu::run(lab)?;
    io::run(lab)?;
    freeze::run(lab)?;
    others::run(lab)?;
    tree::run(lab)
}

/// On a machine to throw away the root hands down what systemd does not, so that every claim can be asked there.
fn hand_down_the_rest() -> ns_core::Result<Option<HandedDown>> {
    if probe::throw_away()?.or(probe::capability(Capability::CAP_SYS_ADMIN)).is_some() {
        return Ok(None);
    }
    let layout = Layout::detect()?;
    let mut rest = vec!["cpuset", "io", "hugetlb", "rdma"];
    rest.retain(|name| layout.v2_controllers().iter().any(|own| own == name));
    HandedDown::by_the_root(&rest).map(Some)
}

pub(crate) const PIDS: Need = Need::Probe(|| missing(Want::Controller("pids")));
pub(crate) const PIDS_V2: Need = Need::Probe(|| missing(Want::ControllerV2("pids")));
pub(crate) const MEMORY: Need = Need::Probe(|| missing(Want::Controller("memory")));
pub(crate) const MEMORY_V2: Need = Need::Probe(|| missing(Want::ControllerV2("memory")));
pub(crate) const CPU: Need = Need::Probe(|| missing(Want::Controller("cpu")));
pub(crate) const CPUSET: Need = Need::Probe(|| missing(Want::Controller("cpuset")));
pub(crate) const CPUSET_V2: Need = Need::Probe(|| missing(Want::ControllerV2("cpuset")));
pub(crate) const ANY_V2: Need = Need::Probe(|| missing(Want::AnyV2));

/// What is missing for a place, as a need.
pub(crate) fn missing(want: Want<'_>) -> ns_core::Result<Option<Missing>> {
    Ok(Place::find(want)?.err())
}

/// A place that a need has found before.
pub(crate) fn find(want: Want<'_>) -> Result<Place> {
    Place::find(want)?.map_err(|missing| anyhow::anyhow!("{}", missing.what))
}

/// A cgroup and one below it, both with the controller that the place gives.
pub(crate) struct Pair {
    // The child goes first.
    pub(crate) below: Cgroup,
    pub(crate) above: Cgroup,
}

impl Pair {
    pub(crate) fn new(place: &Place, controller: &str) -> Result<Pair> {
        let above = place.create("above")?;
        if place.version() == Version::V2 {
            above.enable(controller)?;
        }
        Ok(Pair { below: above.child(&"below".parse()?)?, above })
    }
}
