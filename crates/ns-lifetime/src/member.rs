//! A process in a new namespace, which stays until a message ends it.

use ns_core::{Child, Kind, Namespaces, Reporter};

/// A process in a new namespace of `kind`. It has prepared itself when this returns.
pub(crate) fn member(
    kind: Kind,
    prepare: impl FnOnce(&mut Reporter) -> ns_core::Result<()>,
) -> ns_core::Result<Child> {
    let mut member = Child::spawn("member", Namespaces::only(kind), |me| {
        prepare(me)?;
        me.report("ready", "yes")?;
        me.stay()
    })?;
    member.fact()?;
    Ok(member)
}

/// Lets a process end, and waits for that: it is no member any more.
pub(crate) fn end(member: &mut Child) -> ns_core::Result<()> {
    member.wake()?;
    member.wait().map(drop)
}
