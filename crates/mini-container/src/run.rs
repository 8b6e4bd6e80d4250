//! `mini-container run`: a container built from the ingredients that the experiments show.
//!
//! It has three processes:
//!
//! - the **launcher** stays outside. It creates init and gives it what needs privilege outside: ID maps, a cgroup, one end
//!   of a veth pair. It forwards signals and the terminal, and ends as the command ends.
//! - **init** is PID 1 inside. It builds the root filesystem, leaves the old one, and drops its privileges. Then it does
//!   the work of PID 1: it reaps orphans and forwards signals.
//! - the **command** is the child of init, and the first program that is not part of this one.
//!
//! The order of the steps is in [`launcher`] and [`inside`]. Each ingredient has a file of its own.

mod archive;
mod asked;
mod binds;
mod bytes;
pub(crate) mod capabilities;
mod command_line;
mod console;
pub(crate) mod dev;
pub(crate) mod devices;
mod elsewhere;
mod entry;
mod executable;
mod identity;
pub(crate) mod init;
mod inside;
pub(crate) mod kernel_files;
mod kinds;
mod launcher;
mod layers;
mod layout;
mod limits;
mod network;
mod order;
mod overlay;
mod own;
mod packer;
pub(crate) mod place;
mod program;
mod programs;
mod reach;
mod refusal;
mod resolver;
pub(crate) mod root;
mod sealed;
pub(crate) mod seccomp;
mod setting;
mod streams;
mod surroundings;
mod switch;
mod words;
mod zstd;

pub(crate) use command_line::{command, main};
