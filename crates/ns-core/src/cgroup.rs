//! Cgroups, by the files that the kernel has for them.
//!
//! A cgroup is a directory: mkdir(2) makes one, and the kernel fills it with files. Writing a PID to `cgroup.procs`
//! moves a process there, other files set limits, rmdir(2) removes it. Nothing here hides that. What is added is care:
//! names that cannot be taken for the kernel's files, and a guard ([`Cgroup`]) that ends what it began. A
//! [`CgroupParent`] to make cgroups in is found by trying. cgroups(7) and Documentation/admin-guide/cgroup-v2.rst say
//! the rest, for v1 and v2.

mod directory;
mod effective;
mod enabled;
mod guard;
mod hierarchy;
mod kill;
mod layout;
mod limits;
mod membership;
mod name;
mod nsdelegate;
mod parent;
mod removal;
mod request;
mod sweep;
mod unmet;
mod version;
mod wait;
mod walk;

pub use directory::{parse_flat_keyed, parse_pids};
pub use effective::{EffectiveLimits, strictest, text_of};
pub use enabled::EnabledControllers;
pub use guard::Cgroup;
pub use hierarchy::Hierarchy;
pub use layout::{Layout, LayoutKind};
pub use limits::InterfaceFile;
pub use membership::{Membership, path_of};
pub use name::CgroupName;
pub use nsdelegate::{Nsdelegate, nsdelegate};
pub use parent::CgroupParent;
pub use removal::REMOVAL;
pub use request::CgroupRequest;
pub use sweep::{sweep, sweep_in};
pub use version::Version;
pub use walk::{Node, walk};
