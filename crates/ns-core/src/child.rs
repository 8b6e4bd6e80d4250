//! Children that report to us, meet us, and die with us.
//!
//! A child is ordinary Rust: [`Child::spawn`] is clone3(2) without CLONE_VM, and since exactly one thread runs, the
//! child's copy of the process is whole. It never prints. It reports what it observed, one JSON line a fact, down a
//! pipe (`strace -f` shows them), and the parent receives them in that order.
//!
//! A second pipe, whose only writer is the parent, is the *checkpoint*. The parent opens it by a byte; its end-of-file
//! says that the parent died. Together with PR_SET_PDEATHSIG that leaves no child behind, whenever the parent is
//! killed: a dying process closes its files before the kernel tells its children. So a child first drops its copies of
//! the parent's ends, then sets the signal, then looks at the checkpoint. Either the signal is armed already, or the
//! checkpoint has hung up. getppid() could not tell, since it is 0 for the first process of a PID namespace.

mod aside;
mod builder;
mod flags;
mod life;
mod message;
mod parent;
mod program;
mod receive;
mod reexec;
mod reporter;
mod start;

pub use aside::{NetworkAside, NetworkCreator};
pub use builder::{Spawn, have_children};
pub use flags::{Call, clone_with_flags};
pub use message::Message;
pub use parent::Child;
pub use program::become_program;
pub use reexec::after_exec;
pub use reporter::Reporter;
pub use start::start_program;
