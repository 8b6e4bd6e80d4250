//! `cargo xtask kills`: kills programs at many moments of their lives, and looks for what stayed behind. Nothing may.

mod calls;
mod command;
mod copies;
mod lanes;
mod mode;
mod one;
mod random;
mod rootfs;
mod subject;
mod tally;

pub(crate) use command::{HELP, Kills};
