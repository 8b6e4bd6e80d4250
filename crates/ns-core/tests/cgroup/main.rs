//! Cgroups and the cleanup worker against the kernel, in one process with one thread.
//!
//! `cargo test --test cgroup [PART OF A NAME]`. Every check prints a line, a skipped one with its reason. What must
//! happen in a process of its own, such as being killed, is a *role*: this program again, with the role's name.
#![allow(clippy::print_stdout)] // a test program has no renderer

use std::process::ExitCode;

use ns_core::cleanup;

#[macro_use]
mod needs;

mod directories;
mod lacking;
mod layout;
mod life;
mod owner;
#[path = "../plain/mod.rs"]
mod plain;
mod processes;
mod roles;
mod worker;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_default();
    if let Some(role) = argument.strip_prefix("role-") {
        return match roles::play(role) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let checks =
        [layout::CHECKS, life::CHECKS, lacking::CHECKS, directories::CHECKS, worker::CHECKS].concat();
    let ended = plain::run(&checks);
    if let Err(error) = cleanup::finish() {
        println!("FAILED at the end: {error}");
        return ExitCode::FAILURE;
    }
    ended
}
