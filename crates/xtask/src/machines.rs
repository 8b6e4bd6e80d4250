//! `cargo xtask machines`: what works on the machines that people have.

mod command;
mod data;
mod page;
mod pages;

pub(crate) use command::{HELP, Machines};
