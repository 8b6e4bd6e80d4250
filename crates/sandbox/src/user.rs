//! What a user can gain by execve(2), and how to give that up.

use std::path::Path;

use lesson::Requirement;
use ns_core::Named;
use ns_core::probe::Unmet;

use crate::program;

/// Requires that execve(2) can give privileges.
pub(crate) const CAN_GAIN: &[Requirement] = &[Requirement::Probe(can_gain), program::ROOM];
/// Requires a device to open.
pub(crate) const DEV_NULL: &[Requirement] = &[Requirement::Probe(dev_null)];

/// Sets no_new_privs, if `sets`.
pub(crate) fn no_new_privs(sets: bool) -> ns_core::Result<()> {
    if !sets {
        return Ok(());
    }
    rustix::thread::set_no_new_privs(true).named(|| "prctl(PR_SET_NO_NEW_PRIVS, 1)".into())
}

/// Whether execve(2) can still give privileges: no_new_privs must not be set yet.
pub(crate) fn can_gain() -> ns_core::Result<Option<Unmet>> {
    let is_set = rustix::thread::no_new_privs().named(|| "prctl(PR_GET_NO_NEW_PRIVS)".into())?;
    Ok(is_set.then(|| {
        let remedy = "start it from another terminal: an editor's, a snap's or a service's may set it";
        Unmet::new("a run without no_new_privs, which is set here already", remedy)
    }))
}

/// The device /dev/null.
pub(crate) fn dev_null() -> ns_core::Result<Option<Unmet>> {
    let there = Path::new("/dev/null").exists();
    Ok((!there).then(|| Unmet::new("the device /dev/null", "run where /dev has it, such as on the host")))
}
