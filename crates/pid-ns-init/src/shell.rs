//! `pid-ns-init shell`: a shell below an init of its own.

use anyhow::Result;
use lesson::shell::{Options, Plan, Shell};
use ns_core::{Namespaces, Signal};

pub(crate) const SHELL: Shell = Shell::of::<Handled>(
    "pid-ns-init shell",
    "a shell in a new PID namespace, below its PID 1",
    &[
        ("pid-ns-init shell", "PID 1 has no handler: what can kill it?"),
        ("pid-ns-init shell --handle TERM,INT", "PID 1 handles two signals"),
        ("pid-ns-init shell -- ps ax", "a command there"),
        ("pid-ns-init shell --handle TERM,INT --by-hand", "the same by unshare(1)"),
    ],
);

#[derive(Debug, clap::Args)]
struct Handled {
    /// Signals that PID 1 handles, such as TERM,INT: it says when one arrives
    #[arg(long, value_name = "SIGNALS", value_delimiter = ',', value_parser = signal)]
    handle: Vec<Signal>,
}

fn signal(text: &str) -> Result<Signal, String> {
    let name = format!("SIG{}", text.trim_start_matches("SIG"));
    match name.parse() {
        Ok(Signal::SIGKILL | Signal::SIGSTOP) => Err("no process can handle KILL or STOP".into()),
        Ok(Signal::SIGCHLD) => Err("PID 1 itself waits for its children, by SIGCHLD; choose others".into()),
        Ok(signal) => Ok(signal),
        Err(_) => Err("give names of signals, such as TERM,INT; kill -l lists all".into()),
    }
}

impl Options for Handled {
    fn plan(&self) -> Result<Plan> {
        let plan = Plan::created(Namespaces::PID).handling(&self.handle).try_it(
            "kill -KILL 1; ps ax",
            "PID 1 is still there, and nobody but what runs here",
            "init",
        );
        Ok(match self.handle.first() {
            None => plan.try_it(
                "kill -TERM 1; echo $?",
                "0, and nothing happens: no handler, so it is dropped",
                "0",
            ),
            Some(first) => plan.try_it(
                format!("kill -{} 1", first.as_str().trim_start_matches("SIG")),
                "PID 1 says that it has handled it",
                format!("handled {first}"),
            ),
        }
        .try_it(
            "sh -c 'sleep 1000 & '; ps -o ppid,comm -C sleep",
            "an orphan's parent is PID 1, which waits for it",
            "1 sleep",
        ))
    }
}
