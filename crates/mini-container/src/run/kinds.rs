//! The namespaces of a container, and who makes which.

use ns_core::Namespaces;

/// Those that init is created in: all but those that it makes itself.
pub(super) const CREATED_IN: Namespaces = Namespaces::all().difference(MADE_INSIDE);

/// Those that init makes: a cgroup namespace for itself, once it is in its cgroup, and a time namespace for its children,
/// which clone(2) could not make. No engine needs one of them. Where the kernel has none the container goes without.
pub(super) const MADE_INSIDE: Namespaces = Namespaces::CGROUP.union(Namespaces::TIME);
