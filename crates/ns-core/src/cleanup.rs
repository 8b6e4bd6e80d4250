//! Removes what outlives us, even when we are killed with SIGKILL.
//!
//! Processes, namespaces and mounts go with their last member. A cgroup and a directory stay. Their guards
//! ([`crate::cgroup::Cgroup`], [`TemporaryDirectory`]) remove them, but a killed process runs no guard. So the first
//! registration makes a *cleanup worker*: a small process in a session of its own, which reads from a pipe what we are
//! about to make. When we are gone, however that came about, the pipe ends, and the worker removes what we did not.
//!
//! The order is what makes it sound. A name is registered first, and made then: whatever the moment of our death,
//! either the worker knows of the thing or the thing is not there. A registered path that was never made does no
//! harm.
//!
//! The orders are lines, so that `strace -f -e trace=write` shows them: `KIND PATH`, such as `cgroup PATH` or
//! `directory PATH`; `forget PATH`; `finish`. How a kind is removed ([`Removal`]) is said by who makes such a thing.

mod leftover;
mod owner;
mod registry;
mod tempdir;
mod worker;

pub use leftover::Removal;
pub use owner::{Owner, PREFIX};
pub(crate) use owner::{is_abandoned, is_ours, lock, unique_name};
pub(crate) use registry::leave_to_parent;
pub use registry::{finish, finish_if_idle, forget, register, start, writer_fd};
pub use tempdir::{DIRECTORY, TemporaryDirectory, sweep_directories};
