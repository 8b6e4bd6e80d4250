//! Do and observe: safe wrappers over what containers are made of.
//!
//! Nothing in this crate prints, and nothing in it judges. A function makes one change or takes one look, and says
//! which call failed and how. What it starts ends with the process that started it ([`child`], [`janitor`]).

pub mod capabilities;
pub mod cgroup;
pub mod child;
pub mod clock;
mod deadline;
pub mod error;
pub mod fact;
mod files;
pub mod host;
pub mod idmap;
pub mod ipc;
pub mod janitor;
pub mod keys;
pub mod limit;
pub mod machine;
pub mod mount;
pub mod namespace;
pub mod net;
pub mod perf;
pub mod pids;
pub mod probe;
pub mod process;
pub mod root;
pub mod sabotage;
pub mod signals;
pub mod stage;
pub mod swap;
mod sys;
pub mod unowned;
pub mod uts;

pub use child::{Child, End, Spawn, Witness};
pub use deadline::{poll_until, take_all_day, until};
pub use error::{Error, Named, Outcome, Result};
pub use fact::{Fact, Value, View};
pub use namespace::{Kind, Namespaces, NsFile, NsHandle, NsId};
pub use sys::{c_string, stdout_was_closed};

pub use caps::Capability;
pub use nix::errno::Errno;
pub use nix::sys::signal::Signal;
pub use nix::unistd::Pid;
