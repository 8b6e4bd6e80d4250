//! Which namespaces a shell of ours is in that were made for it.
//!
//! The first process in them is the shell's attendant. Its child bears the shell's mark, and it does not. What a shell's user
//! makes with other programs has a first process that bears the mark itself.

use ns_core::{NsId, Pid, namespace};
use shell::Mark;

use crate::processes::Processes;

/// The mark of a shell whose attendant is the process `first`.
pub(crate) fn mark_of_child(processes: &mut Processes, first: i32) -> Option<Mark> {
    let children = processes.read(first, &format!("task/{first}/children"))?;
    let children = String::from_utf8_lossy(&children).into_owned();
    // The shell is the first child of its attendant; those whose own parent has ended come behind it. To look at all would
    // cost two calls each, where a process has thousands.
    let mark = mark_of(processes, children.split_whitespace().next()?.parse().ok()?)?;
    // What bears it itself is no attendant: it runs in the shell.
    (mark_of(processes, first).as_ref() != Some(&mark)).then_some(mark)
}

/// Whether a namespace that a shell's attendant is the first process of was made for the shell: who opened it is not in it.
pub(crate) fn is_made_for(mark: &Mark, namespace: NsId) -> bool {
    let own = |pid: Pid| namespace::of_kind(Some(pid), namespace.kind);
    mark.opener().and_then(|opener| own(opener).ok()).is_none_or(|own| own != namespace)
}

fn mark_of(processes: &mut Processes, pid: i32) -> Option<Mark> {
    Mark::in_environment(&processes.read(pid, "environ")?)
}
