//! A process in a new namespace, which runs until the experiment ends it.

use ns_core::{Child, Kind, Namespaces, Reporter};

/// A process in a new namespace of `kind`. When this returns, it has run `prepare`.
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

/// Ends a process and waits for it. It is no longer a member.
pub(crate) fn end(member: &mut Child) -> ns_core::Result<()> {
    member.wake()?;
    member.wait().map(drop)
}
