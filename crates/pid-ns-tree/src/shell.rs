//! `pid-ns-tree shell`: a shell in nested PID namespaces.

use anyhow::Result;
use lesson::shell::{Options, Plan, Shell};
use ns_core::Namespaces;

pub(crate) const SHELL: Shell = Shell::of::<Nested>(
    "pid-ns-tree shell",
    "a shell in PID namespaces, each in the one before",
    &[
        ("pid-ns-tree shell", "two: the shell has three PIDs"),
        ("pid-ns-tree shell --depth 5", "five"),
        ("pid-ns-tree shell -- ps ax", "a command there"),
        ("pid-ns-tree shell --depth 3 --by-hand", "the same by unshare(1)"),
    ],
);

#[derive(Debug, clap::Args)]
struct Nested {
    /// How many, 1 to 31: the kernel nests 32
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=31))]
    depth: u32,
}

impl Options for Nested {
    fn plan(&self) -> Result<Plan> {
        Ok(Plan::created(Namespaces::PID)
            .nested(self.depth)
            .try_it(
                "echo $$",
                "the PID in the innermost namespace; on another terminal: grep NSpid /proc/PID/status",
                "2",
            )
            .try_it("ps ax", "the innermost namespace alone: its PID 1, and what runs here", " 1 ")
            .try_it(
                "kill -KILL 1; echo $?",
                "0, and PID 1 lives: from inside its namespace nothing kills it",
                "0",
            ))
    }
}
