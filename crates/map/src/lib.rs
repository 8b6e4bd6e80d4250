//! The namespaces of a machine as data: who is in them, what keeps them, what made them, what limits them.
//!
//! A [`Map`] is what a [`Survey`] finds at approximately one moment. Nothing here prints: a table, a tree, a page and a
//! terminal interface read the same map. [`Forest`] has its trees, [`groups()`] its sets, [`Filter`] chooses from it, and
//! [`changes()`] compares two. [`Looks`] takes one after the other. What all that show a map have alike is here too: its
//! [`words`], and the options of their command lines ([`Asked`]).

mod asked;
mod cgroup;
mod changes;
mod creator;
mod descriptors;
mod filter;
mod forest;
mod groups;
mod looks;
mod members;
mod model;
mod of_process;
mod processes;
mod relations;
mod shells;
mod survey;
pub mod words;

pub use asked::{Asked, Choice};
pub use changes::{Change, What, changes};
pub use creator::{Creator, Runtime};
pub use filter::Filter;
pub use forest::Forest;
pub use groups::{Group, groups};
pub use looks::Looks;
pub use members::{cgroup_of, members};
pub use model::{Cgroup, Keeper, Map, Namespace, Process};
pub use of_process::of_process;
pub use survey::Survey;
