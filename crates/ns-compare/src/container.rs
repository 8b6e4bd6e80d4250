//! The container that others inspect and enter.

use std::os::fd::OwnedFd;

use anyhow::Result;
use ns_core::{Child, Named, Namespaces, Reporter};

/// A process in new namespaces that only runs.
pub(crate) fn start_container(namespaces: Namespaces) -> ns_core::Result<Child> {
    Child::spawn("container", namespaces, Reporter::stay)
}

/// A pidfd that child processes inherit. They close the one in `of`, as they close all descriptors by which they would
/// miss the end of their parent.
pub(crate) fn pidfd_for_children(of: &Child) -> Result<OwnedFd> {
    Ok(of.pidfd().try_clone_to_owned().named(|| "dup(pidfd)".into())?)
}
