//! Two calls that every process may make, until a restriction refuses them.

use ns_core::{Named, Outcome, Result};
use rustix::fs::{Mode, OFlags, open};

/// A call that requires no privilege, and always succeeds.
pub(crate) const GETPGID: &str = "getpgid(0)";
/// A file that every user may write.
pub(crate) const OPEN_DEV_NULL: &str = "open(\"/dev/null\", O_WRONLY)";

/// getpgid(2) of the caller.
pub(crate) fn getpgid() -> Result<Outcome> {
    Outcome::of(nix::unistd::getpgid(None).named(|| GETPGID.into()))
}

/// open(2) of /dev/null, for writing.
pub(crate) fn open_dev_null() -> Result<Outcome> {
    let opened = open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    Outcome::of(opened.named(|| OPEN_DEV_NULL.into()))
}
