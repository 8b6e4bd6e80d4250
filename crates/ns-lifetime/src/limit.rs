//! How many namespaces a user namespace may have: /proc/sys/user, namespaces(7).

use ns_core::{Kind, Named, Result, host};

/// Allows the caller's user namespace at most `most` namespaces of `kind` at a time: those that it owns, and those that
/// its descendants own. Whoever makes one more gets ENOSPC. A namespace counts until the kernel has taken it down.
///
/// # Errors
/// EACCES without CAP_SYS_RESOURCE in the caller's user namespace. In the one that we were started in the limit would be the
/// host's ([`ns_core::Error::WouldChangeHost`]).
pub(crate) fn set(kind: Kind, most: u32) -> Result<()> {
    let file = format!("/proc/sys/user/max_{kind}_namespaces");
    let call = || format!("write(\"{file}\", \"{most}\")");
    host::require_left(Kind::User, call)?;
    std::fs::write(&file, most.to_string()).named(call)
}
