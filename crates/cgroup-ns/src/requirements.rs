//! What the steps require.

use lesson::Requirement;
use ns_core::cgroup::CgroupRequest;
use ns_core::probe::{self, Unmet};
use ns_core::{Capability, Kind, host};

/// A v2 cgroup in which child cgroups can be created, with any controllers.
pub(crate) const A_PARENT: Requirement = Requirement::CgroupParent(CgroupRequest::AnyV2);
/// Root's privilege on the host. An ordinary user has all capabilities in the user namespace of a sandbox, but they do
/// not apply to the host's cgroups.
pub(crate) const ROOT: Requirement = Requirement::Probe(|| {
    let unmet = || Unmet::new("root's privilege on the host", "run as root: sudo …");
    Ok(if host::left(Kind::User)? { Some(unmet()) } else { probe::capability(Capability::CAP_SYS_ADMIN) })
});
