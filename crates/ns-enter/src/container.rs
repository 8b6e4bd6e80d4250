//! The container that is entered.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::Result;
use ns_core::probe::{self, Unmet};
use ns_core::{Child, Kind, Named, Namespaces, NsFile, Outcome, Refused, namespace, sandbox, uts};

/// What the container is called in its own UTS namespace.
pub(crate) const NAME: &str = "container";

/// The kinds of namespace that this kernel has.
pub(crate) fn kinds() -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().filter(|kind| probe::kind(*kind).is_none())
}

/// A namespace of each kind that this kernel has.
pub(crate) fn of_all_kinds() -> Namespaces {
    kinds().fold(Namespaces::NONE, |all, kind| all | Namespaces::only(kind))
}

/// A container in new namespaces, which has done `furnish` and stays.
pub(crate) fn start(
    namespaces: Namespaces,
    furnish: impl FnOnce() -> ns_core::Result<()>,
) -> ns_core::Result<Child> {
    let mut container = Child::spawn("container", namespaces, |me| {
        furnish()?;
        me.report("furnished", "yes")?;
        me.stay()
    })?;
    container.fact()?;
    Ok(container)
}

/// In a container: takes its name.
pub(crate) fn take_name() -> ns_core::Result<()> {
    uts::set_hostname(NAME)
}

/// The namespace of `kind` that a container is in.
pub(crate) fn of(container: &Child, kind: Kind) -> ns_core::Result<NsFile> {
    NsFile::of(Some(container.pid()), kind)
}

/// Enters it.
pub(crate) fn enter(container: &Child, kind: Kind) -> ns_core::Result<()> {
    of(container, kind)?.enter(Some(kind))
}

/// A pidfd that our children keep. They close the one that `of` has, with all that tells them of our death.
pub(crate) fn pidfd_for_children(of: &Child) -> Result<OwnedFd> {
    Ok(of.pidfd().as_fd().try_clone_to_owned().named(|| "dup(pidfd)".into())?)
}

/// What keeps us from entering any namespace: a child leaves its UTS namespace, and goes back.
pub(crate) fn setns() -> ns_core::Result<Option<Unmet>> {
    let mut probe = Child::spawn("probe", Namespaces::NONE, |me| {
        sandbox::enter(Namespaces::UTS)?;
        let own = NsFile::of(None, Kind::Uts)?;
        namespace::unshare(Namespaces::UTS)?;
        me.report("setns(uts, CLONE_NEWUTS)", Outcome::of(own.enter(Some(Kind::Uts)))?)
    })?;
    let answer = probe.fact()?;
    Ok(match answer.value.as_outcome() {
        Some(Outcome::Failed(errno)) => {
            let refused = Refused { call: answer.what, errno };
            Some(probe::why_refused(refused, Namespaces::UTS))
        }
        _ => None,
    })
}
