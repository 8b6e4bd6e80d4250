//! What root may do inside: capabilities(7).

use ns_core::{Capability, Named, Result};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

/// What Docker leaves to a container's root: enough for a package manager, and nothing that governs a machine.
pub(crate) const KEPT: [Capability; 14] = [
    Capability::CAP_AUDIT_WRITE,      // lines of one's own in the audit log
    Capability::CAP_CHOWN,            // give files away
    Capability::CAP_DAC_OVERRIDE,     // files whatever their permissions
    Capability::CAP_FOWNER,           // files of others, as if their owner
    Capability::CAP_FSETID,           // keep set-user-ID bits
    Capability::CAP_KILL,             // signals to processes of others; init needs it to forward them
    Capability::CAP_MKNOD,            // in a user namespace: whiteouts and pipes, no devices
    Capability::CAP_NET_BIND_SERVICE, // ports below 1024
    Capability::CAP_NET_RAW,          // ping
    Capability::CAP_SETFCAP,          // capabilities of files
    Capability::CAP_SETGID,           // become another group
    Capability::CAP_SETPCAP,          // give up more
    Capability::CAP_SETUID,           // become another user
    Capability::CAP_SYS_CHROOT,       // chroot
];

/// Gives up all capabilities but those of [`KEPT`], for this process and all that come from it. What it does not hold it
/// does not get: root may have been deprived of one of them.
///
/// # Errors
/// EPERM without CAP_SETPCAP.
pub(crate) fn keep_few() -> Result<()> {
    let kept = KEPT.iter().fold(0, |all, capability| all | capability.bitmask());
    // The bounding set first, while we still have CAP_SETPCAP for it. It is what execve(2) gives root back by: a
    // capability that is only dropped from the other sets is there again in the next program.
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(capability) {
            Ok(true) if kept >> number & 1 == 0 => remove_capability_from_bounding_set(capability)
                .named(|| format!("prctl(PR_CAPBSET_DROP, {number})"))?,
            Ok(_) => {}
            // EINVAL: the kernel knows no more of them.
            Err(_) => break,
        }
    }
    // Inheritable and ambient ones would pass to a program of any user.
    match clear_ambient_capability_set() {
        // Before Linux 4.3 there is no such set.
        Ok(()) | Err(rustix::io::Errno::INVAL) => {}
        Err(errno) => return Err(errno).named(|| "prctl(PR_CAP_AMBIENT_CLEAR_ALL)".into()),
    }
    let held = capabilities(None).named(|| "capget()".into())?.permitted;
    let left = held & CapabilitySet::from_bits_retain(kept);
    let sets = CapabilitySets { effective: left, permitted: left, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).named(|| "capset(Docker's fourteen)".into())
}
