//! `cargo xtask kernels`: what each kernel says to each claim.

mod table;
mod write;

pub(crate) use write::{HELP, Kernels};
