//! Other processes stopped and looked at: ptrace(2), seccomp(2), process_vm_readv(2).
//!
//! Who installs a filter that stops for a tracer owes its processes one for as long as they live: without it the calls
//! that the filter names get ENOSYS. So the tracer is a process of its own ([`fork_guardian`]), which outlives whoever
//! started it.

mod guardian;
mod launch;
mod memory;
mod stop;
mod tracee;

pub use guardian::{Guardian, Listening, Post, fork_guardian};
pub use launch::{Announced, Launch, Launched};
pub use memory::Memory;
pub use stop::{Call, Ending, Stop, next_stop, reap};
pub use tracee::{Resume, Tracee, shares_descriptors, threads_of};
