//! The capabilities of root inside: capabilities(7).

use ns_core::{Capability, Named, Result};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

/// The capabilities that Docker leaves to a container's root: enough for a package manager, and none for the whole
/// machine.
pub(crate) const KEPT: [Capability; 14] = [
    Capability::CAP_AUDIT_WRITE,      // write to the audit log
    Capability::CAP_CHOWN,            // change owners of files
    Capability::CAP_DAC_OVERRIDE,     // ignore permissions of files
    Capability::CAP_FOWNER,           // act as the owner of any file
    Capability::CAP_FSETID,           // keep set-user-ID bits
    Capability::CAP_KILL,             // signal processes of other users; init needs it to forward signals
    Capability::CAP_MKNOD,            // in a user namespace: whiteouts and pipes, no devices
    Capability::CAP_NET_BIND_SERVICE, // ports below 1024
    Capability::CAP_NET_RAW,          // ping
    Capability::CAP_SETFCAP,          // set capabilities of files
    Capability::CAP_SETGID,           // become another group
    Capability::CAP_SETPCAP,          // drop more capabilities
    Capability::CAP_SETUID,           // become another user
    Capability::CAP_SYS_CHROOT,       // chroot
];

/// Drops all capabilities except those of [`KEPT`], for this process and its descendants. It adds none, since root may
/// lack some of them.
///
/// # Errors
/// EPERM without CAP_SETPCAP.
pub(crate) fn keep_few() -> Result<()> {
    let kept = KEPT.iter().fold(0, |all, capability| all | capability.bitmask());
    // The bounding set first, while CAP_SETPCAP is still effective. execve(2) gives root the capabilities of this set: one
    // that is dropped only from the other sets would be back in the next program.
    for number in 0..u64::BITS {
        if kept >> number & 1 == 1 {
            continue;
        }
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => {}
            // The kernel has no more capabilities.
            Err(rustix::io::Errno::INVAL) => break,
            Err(errno) => return Err(errno).named(|| format!("prctl(PR_CAPBSET_DROP, {number})")),
        }
    }
    // Inheritable and ambient ones would pass to a program of any user.
    match clear_ambient_capability_set() {
        // EINVAL before Linux 4.3, which has no ambient set.
        Ok(()) | Err(rustix::io::Errno::INVAL) => {}
        Err(errno) => return Err(errno).named(|| "prctl(PR_CAP_AMBIENT_CLEAR_ALL)".into()),
    }
    let held = capabilities(None).named(|| "capget()".into())?.permitted;
    let left = held & CapabilitySet::from_bits_retain(kept);
    let sets = CapabilitySets { effective: left, permitted: left, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).named(|| "capset(Docker's fourteen)".into())
}
