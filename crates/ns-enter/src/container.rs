//! The container that is entered.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::Result;
use ns_core::probe::{self, Unmet};
use ns_core::{Child, Kind, Named, Namespaces, NsFile, Outcome, Refused, namespace, sandbox, uts};

/// The hostname in the container's UTS namespace.
pub(crate) const NAME: &str = "container";

/// The kinds of namespace that this kernel has.
pub(crate) fn kinds() -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().filter(|kind| probe::kind(*kind).is_none())
}

/// A namespace of each kind that this kernel has.
pub(crate) fn of_all_kinds() -> Namespaces {
    kinds().fold(Namespaces::NONE, |all, kind| all | Namespaces::only(kind))
}

/// A container in new namespaces. It has run `prepare` and keeps running.
pub(crate) fn start(
    namespaces: Namespaces,
    prepare: impl FnOnce() -> ns_core::Result<()>,
) -> ns_core::Result<Child> {
    let mut container = Child::spawn("container", namespaces, |me| {
        prepare()?;
        me.report("ready", "yes")?;
        me.stay()
    })?;
    container.fact()?;
    Ok(container)
}

/// Called in a container: sets its hostname.
pub(crate) fn take_name() -> ns_core::Result<()> {
    uts::set_hostname(NAME)
}

/// The namespace of `kind` of a container.
pub(crate) fn of(container: &Child, kind: Kind) -> ns_core::Result<NsFile> {
    NsFile::of(Some(container.pid()), kind)
}

/// Enters the namespace of `kind` of a container.
pub(crate) fn enter(container: &Child, kind: Kind) -> ns_core::Result<()> {
    of(container, kind)?.enter(Some(kind))
}

/// A pidfd that child processes inherit. They close the one in `of`, as they close all descriptors by which they would
/// miss the end of their parent.
pub(crate) fn pidfd_for_children(of: &Child) -> Result<OwnedFd> {
    Ok(of.pidfd().as_fd().try_clone_to_owned().named(|| "dup(pidfd)".into())?)
}

/// The reason why setns() does not work at all, if so. A child leaves its UTS namespace and returns to test it.
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
