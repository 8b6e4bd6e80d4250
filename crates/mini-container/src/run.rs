//! `mini-container run`: a container from the parts that the experiments are about.
//!
//! Three processes, and what each is for:
//!
//! - the **launcher** stays outside. It makes init, and gives it what init may not give itself: ID maps, a cgroup, the
//!   other end of a network link. It passes signals and the terminal on, and ends as the command ends.
//! - **init** is PID 1 inside. It builds the root filesystem, leaves the old one, gives its privileges up, and then does
//!   what PID 1 has to do: it reaps, and forwards signals.
//! - the **command** is its child, and the first program that is not ours.
//!
//! Who makes what when is in [`launcher`] and [`inside`]; each ingredient has a file of its own.

mod archive;
mod asked;
mod bytes;
pub(crate) mod capabilities;
mod command_line;
mod console;
pub(crate) mod dev;
pub(crate) mod devices;
mod entry;
mod identity;
pub(crate) mod init;
mod inside;
pub(crate) mod kernel_files;
mod kinds;
mod launcher;
mod layers;
mod limits;
mod network;
pub(crate) mod place;
mod program;
mod refusal;
pub(crate) mod root;
mod sealed;
pub(crate) mod seccomp;
mod streams;
mod switch;

pub(crate) use command_line::{command, main};
