//! The namespaces of a container, and which process creates them.

use ns_core::Namespaces;

/// The namespaces without which there is no container.
pub(super) const NEEDED: Namespaces = Namespaces::all().difference(MADE_INSIDE);

/// Those of [`NEEDED`] that init is created in, if the launcher does not connect its network.
pub(super) const CREATED_IN: Namespaces = NEEDED.difference(MADE_MEANWHILE);

/// The namespace that the launcher creates while init mounts, since that takes long.
const MADE_MEANWHILE: Namespaces = Namespaces::NET;

/// The namespaces that init creates: a cgroup namespace, after it has joined its cgroup, and a time namespace for its
/// children, which clone(2) cannot create. If the kernel lacks them, the container runs without.
pub(super) const MADE_INSIDE: Namespaces = Namespaces::CGROUP.union(Namespaces::TIME);
