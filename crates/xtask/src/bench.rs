//! `cargo xtask bench`: how long everything takes beside its peers, and docs/performance.md.

mod command;
mod crowd;
mod data;
mod document;
mod machine;
mod measure;
mod peers;
mod rows;
mod runner;
mod view;

pub(crate) use command::{Bench, HELP};
