//! What was observed, as data: it can be kept, sent, compared and shown without a system call.

mod errno;
mod exit_status;
mod fact;
mod namespace;
mod outcome;
mod printable;
mod series;
mod signal;
mod value;

pub use errno::in_words;
pub use exit_status::ExitStatus;
pub use fact::{Fact, View};
pub use namespace::{Kind, NsId};
pub use outcome::{KernelAnswer, Outcome, Refused};
pub use printable::{is_deceptive, printable};
pub use series::series;
pub use value::Value;

pub use nix::errno::Errno;
pub use nix::sys::signal::Signal;
pub use nix::unistd::Pid;
