//! Processes that wait, so that there is something to list.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// They end with this, or with this process: at the end of their standard input.
#[derive(Debug)]
pub(super) struct Crowd(Child);

impl Crowd {
    /// Starts so many processes by that program, and waits until all are there. A tenth of them are in namespaces of their
    /// own, in a user namespace, so that no root is needed.
    ///
    /// # Errors
    /// When they cannot be started.
    pub(super) fn gather(program: &Path, count: usize) -> Result<Crowd> {
        ensure!(program.exists(), "crowd was not built; apt install gcc libc6-dev, then scripts/bench");
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user"]).arg(program).arg(count.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("cannot start unshare")?;
        let output = child.stdout.take().context("its output is no pipe")?;
        let crowd = Crowd(child);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).context("read()")?;
        ensure!(
            !line.is_empty(),
            "{count} processes cannot be started here; see ulimit -u and kernel.pid_max"
        );
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It ends by itself then.
        let _ = self.0.wait();
    }
}
