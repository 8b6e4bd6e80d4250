//! Waits until something on the machine may have changed.
//!
//! The kernel reports some changes, and these are listened to:
//!
//! - what processes do, by the process events connector;
//! - the end of a process, by its pidfd;
//! - names of UTS namespaces, and mounts, by poll(2) on files of /proc;
//! - writes in cgroups, by inotify(7).
//!
//! Others have no event, such as unshare(2). So a wait ends after a tick of 100 ms in any case.

mod cgroups;
mod polled;
mod sources;
mod subject;
mod waiting;

pub use subject::Subject;
pub use waiting::{Wake, Woken};
