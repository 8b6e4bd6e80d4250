//! The eight kinds: those that this kernel has, those that differ, and lists of their names.

use ns_core::probe::{self, Unmet};
use ns_core::{Child, Kind, Namespaces, NsId, Value};

/// All eight kinds.
pub(crate) const EIGHT: Namespaces = Namespaces::all();

/// The kinds that this kernel was built with: all eight, or seven, since some small kernels lack time namespaces.
pub(crate) fn of_this_kernel() -> Namespaces {
    let kinds = Kind::ALL.into_iter().filter(|kind| probe::kind(*kind).is_none());
    kinds.map(Namespaces::only).fold(Namespaces::NONE, Namespaces::union)
}

/// The reason, if there is one, why this machine cannot create new namespaces of all eight kinds by one clone3().
pub(crate) fn all_at_once() -> ns_core::Result<Option<Unmet>> {
    can_be_created(EIGHT)
}

/// As [`all_at_once`], for the kinds that this kernel has.
pub(crate) fn at_once() -> ns_core::Result<Option<Unmet>> {
    can_be_created(of_this_kernel())
}

fn can_be_created(namespaces: Namespaces) -> ns_core::Result<Option<Unmet>> {
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

/// The names of kinds, separated by spaces, or `none`.
pub(crate) fn list(kinds: impl IntoIterator<Item = Kind>) -> Value {
    let names: Vec<_> = kinds.into_iter().map(Kind::link).collect();
    if names.is_empty() { "none".into() } else { names.join(" ").into() }
}
