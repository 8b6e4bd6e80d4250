//! The eight kinds: those that this kernel has, those that differ, and their names in words.

use ns_core::probe::{self, Unmet};
use ns_core::{Child, Kind, Namespaces, NsId, Value};

/// All eight kinds.
pub(crate) const EIGHT: Namespaces = Namespaces::all();

/// The kinds that this kernel was built with: all eight, but for some small kernels, which lack time namespaces.
pub(crate) fn of_this_kernel() -> Namespaces {
    let kinds = Kind::ALL.into_iter().filter(|kind| probe::kind(*kind).is_none());
    kinds.map(Namespaces::only).fold(Namespaces::NONE, Namespaces::union)
}

/// Whether this machine lets us be in new namespaces of all eight kinds, by the call that can make them all.
pub(crate) fn all_at_once() -> ns_core::Result<Option<Unmet>> {
    can_be_made(EIGHT)
}

/// As [`all_at_once`], of the kinds that this kernel has.
pub(crate) fn at_once() -> ns_core::Result<Option<Unmet>> {
    can_be_made(of_this_kernel())
}

fn can_be_made(namespaces: Namespaces) -> ns_core::Result<Option<Unmet>> {
    let Err(error) = Child::spawn("probe", namespaces, |_| Ok(())) else { return Ok(None) };
    match error.refused() {
        Some(refused) => Ok(Some(probe::why_refused(refused, namespaces))),
        None => Err(error),
    }
}

/// The kinds whose namespaces differ.
pub(crate) fn moved(before: &[NsId], after: &[NsId]) -> Vec<Kind> {
    after.iter().filter(|id| !before.contains(id)).map(|id| id.kind).collect()
}

/// Kinds by their names, in words.
pub(crate) fn list(kinds: impl IntoIterator<Item = Kind>) -> Value {
    let names: Vec<_> = kinds.into_iter().map(Kind::link).collect();
    if names.is_empty() { "none".into() } else { names.join(" ").into() }
}
