//! What the steps require.

use lesson::Requirement;
use ns_core::cgroup::CgroupRequest;
use ns_core::probe::{self, Unmet};
use ns_core::{Capability, Kind, host};

/// A v2 cgroup in which others can be made, whatever its controllers.
pub(crate) const A_PARENT: Requirement = Requirement::CgroupParent(CgroupRequest::AnyV2);
/// Root's privilege outside: in the user namespace of a sandbox an ordinary user has all capabilities, and they move
/// nothing there.
pub(crate) const ROOT: Requirement = Requirement::Probe(|| {
    let unmet = || Unmet::new("root's privilege on the host", "run as root: sudo …");
    Ok(if host::left(Kind::User)? { Some(unmet()) } else { probe::capability(Capability::CAP_SYS_ADMIN) })
});
