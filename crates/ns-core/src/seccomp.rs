//! Which system calls are left to a process, and who answers them: seccomp(2), seccomp_unotify(2).

mod filter;
mod program;
mod supervisor;

pub use filter::{Filter, exit_thread, restrict_to_strict_mode};
pub use program::{Action, Rule};
pub use supervisor::{Listener, Notification};
