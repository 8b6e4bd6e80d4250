//! The namespaces of a container, and which process creates them.

use ns_core::Namespaces;

/// The namespaces that init is created in: all but those that it creates itself.
pub(super) const CREATED_IN: Namespaces = Namespaces::all().difference(MADE_INSIDE);

/// The namespaces that init creates: a cgroup namespace, after it has joined its cgroup, and a time namespace for its
/// children, which clone(2) cannot create. If the kernel lacks them, the container runs without.
pub(super) const MADE_INSIDE: Namespaces = Namespaces::CGROUP.union(Namespaces::TIME);
