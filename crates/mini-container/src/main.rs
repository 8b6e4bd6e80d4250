//! What is a container made of?
//!
//! A container is no thing of the kernel's. It is a process for which many things were done, one after the other: some
//! decide what it sees, some what it may do, some how much it may use. `mini-container run` does them all, in
//! [`run`]; the experiment leaves them out, one at a time, in [`explain`]. Watch for what leaks then.

mod explain;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    explain::privileges::after_execve();
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "run") {
        return run::main();
    }
    lesson::main_with::<explain::Commands>(&explain::MINI_CONTAINER, |_, _| None)
}
