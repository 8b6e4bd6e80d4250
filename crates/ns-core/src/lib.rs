//! Do and observe: safe wrappers over what containers are made of.
//!
//! Nothing in this crate prints, and nothing in it judges. A function makes one change or takes one look, and says
//! which call failed and how. What it starts ends with the process that started it ([`child`], [`cleanup`]).

mod apart;
mod batch;
pub mod capabilities;
pub mod cgroup;
pub mod child;
pub mod cleanup;
pub mod clock;
mod deadline;
pub mod error;
mod files;
pub mod host;
pub mod idmap;
pub mod ipc;
pub mod landlock;
pub mod machine;
pub mod mount;
pub mod namespace;
pub mod net;
pub mod pids;
pub mod probe;
pub mod process;
pub mod process_events;
pub mod resolve;
pub mod root;
pub mod sandbox;
pub mod seccomp;
pub mod signals;
pub mod sys;
mod tether;
pub mod tracing;
mod unmet;
pub mod uts;

pub use batch::Batch;
pub use child::{Child, Message, Reporter, Spawn};
pub use deadline::{Deadline, poll_until, take_all_day, until};
pub use error::{Error, Named, Result};
pub use namespace::{Namespaces, NsFile, NsHandle};
pub use observation::{
    ExitStatus, Fact, Kind, NsId, Outcome, Refused, Value, View, in_words, is_deceptive, printable, series,
};
pub use sys::{c_string, stdout_was_closed};
pub use unmet::Unmet;

pub use caps::Capability;
pub use nix::errno::Errno;
pub use nix::sys::signal::Signal;
pub use nix::unistd::Pid;
