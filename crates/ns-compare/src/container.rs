//! The container that others look at, and enter.

use std::os::fd::OwnedFd;

use anyhow::Result;
use ns_core::{Child, Named, Namespaces, Reporter};

/// A container in new namespaces, which does nothing.
pub(crate) fn start_container(namespaces: Namespaces) -> ns_core::Result<Child> {
    Child::spawn("container", namespaces, Reporter::stay)
}

/// A pidfd that our children keep. They close the one that `of` has, with all that tells them of our death.
pub(crate) fn pidfd_for_children(of: &Child) -> Result<OwnedFd> {
    Ok(of.pidfd().try_clone_to_owned().named(|| "dup(pidfd)".into())?)
}
