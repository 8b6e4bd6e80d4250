//! The processes of an arm: a parent that has its IPC namespace to itself, its child, and the key of their objects.

use anyhow::Result;
use ns_core::{Child, Fact, Namespaces, Reporter};

/// The key of all objects here.
pub(crate) const KEY: i32 = 0x1ab;

/// What a process reports that has an IPC namespace and a mount namespace to itself.
pub(crate) fn in_its_own(body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    Ok(Child::spawn("parent", Namespaces::IPC | Namespaces::MNT, body)?.facts()?)
}

/// Reports all that a child of this process reports, which is created in new `namespaces`.
pub(crate) fn in_a_child(
    me: &mut Reporter,
    namespaces: Namespaces,
    body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>,
) -> ns_core::Result<()> {
    let mut child = Child::spawn("child", namespaces, body)?;
    child.pass_on(me)
}
