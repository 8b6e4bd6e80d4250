//! What is a container made of?
//!
//! Stub.

mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::main()
}
