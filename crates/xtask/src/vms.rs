//! `cargo xtask vms`: what virtual machines said, judged.

mod judge;
mod package;
mod recorded;
mod report;

pub(crate) use report::{HELP, Vms};
