//! `inception doctor`: what this machine can be asked, and how to get what it lacks.

mod cgroups;
mod check;
mod command;
mod kernel;
mod limits;
mod namespaces;
mod tools;

pub(crate) use command::Doctor;
pub(crate) use kernel::as_a_child_of_ours;
