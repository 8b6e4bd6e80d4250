//! `cargo xtask docs`: what docs/NN-NAME.md quotes from the experiments.

mod command;
mod document;
mod refresh;
mod self_test;

pub(crate) use command::{Docs, HELP};
