//! The processes of an arm: a parent in its own IPC namespace, its child, and the key of their objects.

use anyhow::Result;
use ns_core::{Child, Fact, Namespaces, Reporter};

/// The key of all objects here.
pub(crate) const KEY: i32 = 0x1ab;

/// Runs `body` in a process with its own IPC and mount namespaces, and returns what it reports.
pub(crate) fn in_its_own(body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    Ok(Child::spawn("parent", Namespaces::IPC | Namespaces::MNT, body)?.facts()?)
}

/// Runs `body` in a child in new `namespaces`, and passes on what it reports.
pub(crate) fn in_a_child(
    me: &mut Reporter,
    namespaces: Namespaces,
    body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>,
) -> ns_core::Result<()> {
    let mut child = Child::spawn("child", namespaces, body)?;
    child.pass_on(me)
}
