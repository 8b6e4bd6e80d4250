//! What does a cgroup namespace hide?
//!
//! The cgroup that a process is in when it makes the namespace becomes the root of its view: `/` is where it is, and
//! all else is told from there. Watch who reads. The same process has one path for itself and another for those
//! outside, and neither says what it may do: that is decided elsewhere.
//!
//! What is shown by hand is one session of root: its shell variables, and the cgroup $new, last from step to step.

mod escape;
mod mounts;
mod paths;

use anyhow::Result;
use lesson::{Experiment, Lab, Need};
use ns_core::cgroup::{Place, Want};
use ns_core::probe::{self, Missing};
use ns_core::{Capability, Kind, Namespaces, host};

/// A place for cgroups of version 2, whatever its controllers.
pub(crate) const A_PLACE: Need = Need::Probe(|| missing(Want::AnyV2));
/// Root's privilege outside: in the user namespace of a stage an ordinary user has all capabilities, and they move
/// nothing there.
pub(crate) const ROOT: Need = Need::Probe(|| {
    let missing = || Missing::new("root's privilege on the host", "run as root: sudo …");
    Ok(if host::left(Kind::User)? { Some(missing()) } else { probe::capability(Capability::CAP_SYS_ADMIN) })
});

const CGROUP_NS: Experiment = Experiment {
    name: "cgroup-ns",
    question: "What does a cgroup namespace hide?",
    notes: "Cgroup Namespace",
    man: &["cgroup_namespaces(7)", "cgroups(7)", "namespaces(7)"],
    examples: &[
        ("cgroup-ns", "run the experiment in the nearest cgroup that may be written"),
        ("systemd-run --user --scope -p Delegate=yes cgroup-ns", "as an ordinary user of systemd"),
        ("cgroup-ns --sabotage", "without the causes: no claim holds"),
    ],
    stage: Namespaces::MNT,
    needs: &[Need::Namespace(Kind::Cgroup)],
    claims: &[
        paths::BECOMES_ROOT,
        paths::OUTSIDE,
        paths::RELATIVE,
        paths::HIDES,
        paths::SAME,
        paths::ROOT_STAYS,
        paths::ENTERED,
        mounts::OLD_MOUNT,
        mounts::NEW_MOUNT,
        mounts::SHOWS_ALL,
        mounts::MOUNTABLE,
        mounts::DELEGATED,
        escape::PREVENTS,
        escape::ESCAPES,
        escape::BOUNDARY,
        escape::OWN_LIMITS,
        escape::BELOW,
        escape::OPTION,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main(&CGROUP_NS)
}

fn run(lab: &mut Lab) -> Result<()> {
    ns_core::cgroup::sweep()?;
    paths::run(lab)?;
    mounts::run(lab)?;
    escape::run(lab)
}

/// What is missing for a place, as a need.
pub(crate) fn missing(want: Want<'_>) -> ns_core::Result<Option<Missing>> {
    Ok(Place::find(want)?.err())
}

/// A place that a need has found before.
pub(crate) fn find(want: Want<'_>) -> Result<Place> {
    Place::find(want)?.map_err(|missing| anyhow::anyhow!("{}", missing.what))
}
