//! What an experiment or a claim needs of the machine.

use ns_core::cgroup::{CgroupParent, CgroupRequest};
use ns_core::probe::{self, Unmet};
use ns_core::{Capability, Kind, Result};

/// Something that not every machine or user has. Whether it is there is found out by trying.
#[derive(Debug, Clone, Copy)]
pub enum Requirement {
    /// A capability in the user namespace of whoever asks. A claim asks in the sandbox. Where that has a user namespace
    /// of its own, everybody has all of them. What takes the machine's root is to be asked by a probe.
    Capability(Capability),
    /// A kind of namespace.
    Namespace(Kind),
    /// A cgroup of ours or above it in which others can be made, with what is requested.
    CgroupParent(CgroupRequest<'static>),
    /// A root directory that is our mount namespace's: setns(2) and pivot_root(2) are about that one, and in a chroot we
    /// have another.
    Unchrooted,
    /// A machine to throw away, for what changes the whole machine or may break it.
    ThrowAway,
    /// Of a claim: that no step of another experiment goes on at the same time (`inception run --jobs`), since it measures
    /// the machine. Its step waits for its turn.
    Alone,
    /// Whatever this function finds missing.
    Probe(fn() -> Result<Option<Unmet>>),
}

impl Requirement {
    /// What is missing of it here; `None` if nothing is.
    ///
    /// # Errors
    /// When the probe could not be made, which says nothing about the requirement.
    pub fn unmet(&self) -> Result<Option<Unmet>> {
        match self {
            Requirement::Capability(capability) => Ok(probe::capability(*capability)),
            Requirement::Namespace(kind) => Ok(probe::kind(*kind)),
            Requirement::CgroupParent(request) => Ok(CgroupParent::find(*request)?.err()),
            Requirement::Unchrooted => Ok(probe::is_chrooted().then(|| {
                let what = "a root directory that is the mount namespace's own, not a chroot";
                Unmet::new(what, "run outside the chroot")
            })),
            Requirement::ThrowAway => probe::throw_away(),
            // Its step waits for its turn.
            Requirement::Alone => Ok(None),
            Requirement::Probe(probe) => probe(),
        }
    }
}
