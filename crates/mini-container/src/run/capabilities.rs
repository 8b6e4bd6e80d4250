//! What root may do in there: capabilities(7).

use std::collections::HashSet;

use caps::{CapSet, Capability};
use ns_core::{Error, Result};

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

/// Gives up all capabilities but those of [`KEPT`], for this process and all that come from it.
///
/// # Errors
/// EPERM without CAP_SETPCAP.
pub(crate) fn keep_few() -> Result<()> {
    let kept: HashSet<_> = KEPT.into_iter().collect();
    let failed = |error: caps::errors::CapsError| Error::Unreadable {
        what: "capset()".into(),
        message: error.to_string(),
    };
    // The bounding set first, while we still have CAP_SETPCAP for it. It is what execve(2) gives root back by: a
    // capability that is only dropped from the other sets is there again in the next program.
    for gone in caps::runtime::thread_all_supported().difference(&kept) {
        caps::drop(None, CapSet::Bounding, *gone).map_err(failed)?;
    }
    // Inheritable and ambient ones would pass to a program of any user.
    caps::clear(None, CapSet::Ambient).map_err(failed)?;
    caps::clear(None, CapSet::Inheritable).map_err(failed)?;
    caps::set(None, CapSet::Effective, &kept).map_err(failed)?;
    caps::set(None, CapSet::Permitted, &kept).map_err(failed)
}
