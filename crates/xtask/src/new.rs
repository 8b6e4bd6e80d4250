//! `cargo xtask new`: an experiment that passes, to be changed into another.

mod command;
mod self_test;
mod write;

pub(crate) use command::{HELP, New};
#[cfg(test)]
pub(crate) use write::write;
