//! The limits of namespaces for each user namespace: /proc/sys/user, namespaces(7).

use ns_core::{Kind, Named, Result, host};

/// Allows the caller's user namespace at most `most` namespaces of `kind` at a time. Those of its descendants count too.
/// Creating one more fails with ENOSPC. A namespace counts until the kernel has removed it.
///
/// # Errors
/// EACCES without CAP_SYS_RESOURCE in the caller's user namespace. [`ns_core::Error::WouldChangeHost`] in the user
/// namespace that the experiment was started in, where the limit would be the host's.
pub(crate) fn set(kind: Kind, most: u32) -> Result<()> {
    let file = format!("/proc/sys/user/max_{kind}_namespaces");
    let call = || format!("write(\"{file}\", \"{most}\")");
    host::require_left(Kind::User, call)?;
    std::fs::write(&file, most.to_string()).named(call)
}
