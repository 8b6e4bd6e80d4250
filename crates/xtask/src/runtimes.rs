//! `cargo xtask runtimes`: what container runtimes did, of traces of each, and docs/what-docker-run-did.md.

mod command;
mod data;
mod page;

pub(crate) use command::{HELP, Runtimes};
