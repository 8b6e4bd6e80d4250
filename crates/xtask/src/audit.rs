//! `cargo xtask audit`: what a command leaves behind.

mod command;
mod self_test;

pub(crate) use command::{Audit, HELP};
