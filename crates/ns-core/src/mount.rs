//! Mounts, in a mount namespace of our own: mount_namespaces(7), mount(2).

mod attempt;
pub(crate) mod cgroup2;
pub mod mountinfo;
mod new;
mod propagation;
mod standing;
mod table;
mod tree;

pub use new::{mount, mount_with};
pub use procfs::process::MountInfo as Mount;
pub use propagation::{
    Propagation, is_unbindable, make_private, master, peer_group, set_all, set_propagation,
};
pub use standing::{Restriction, bind, bind_recursive, move_to, overlay, restrict, unmount};
pub use table::{at, filesystem_type, list};
pub use tree::{Tree, map_owners};
