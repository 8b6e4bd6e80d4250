//! `cargo xtask check`: what is missing of an experiment, as far as files tell.

mod files;
mod parts;

pub(crate) use files::{Check, HELP, Seen, missing};
