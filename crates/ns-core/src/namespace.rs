//! The eight kinds of namespace: their identity, their relations, and the calls that change a process's own.
//!
//! namespaces(7), ioctl_ns(2), setns(2), unshare(2).

mod change;
mod file;
mod handle;
mod links;
mod moves;
mod scan;
mod set;
mod socket;

pub use change::{enter_all_of, unshare};
pub use file::NsFile;
pub use handle::NsHandle;
pub use links::{names, of, of_kind, of_under, parse_link};
pub(crate) use moves::{has_left, has_moved, is_known_to_have_left, kept};
pub use scan::{Inodes, identity, scan};
pub use set::Namespaces;
pub(crate) use socket::any_socket;
