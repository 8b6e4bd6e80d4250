//! `cargo xtask reliability`: what is promised, and what became of it when it was tried.

mod data;
mod document;
mod faults;
mod names;
mod write;

pub(crate) use data::lines;
pub(crate) use write::{HELP, Reliability};
