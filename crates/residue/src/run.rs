//! A run that is distinct from all others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::named::cgroups_of;
use super::processes::pids_of_run;
use super::token::{Token, VARIABLE};

/// A run: its token, and a temporary directory that is its alone and removed with the value.
#[derive(Debug)]
pub struct Run {
    token: Token,
    directory: PathBuf,
}

impl Run {
    /// A new one. Anyone may write to its directory, as to /tmp: the run may become another user.
    ///
    /// # Errors
    /// When a directory cannot be made below TMPDIR, or /dev/urandom cannot be read.
    pub fn new() -> Result<Run> {
        let token = Token::new()?;
        let directory = std::env::temp_dir().join(format!("run-{}", token.0));
        fs::create_dir(&directory).with_context(|| format!("mkdir {}", directory.display()))?;
        // The value removes it from here on.
        let run = Run { token, directory };
        fs::set_permissions(&run.directory, fs::Permissions::from_mode(0o1777)).context("chmod()")?;
        Ok(run)
    }

    /// Its temporary directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Has a command, and all that comes from it, bear its marks.
    pub fn mark<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env(VARIABLE, &self.token.0).env("TMPDIR", &self.directory)
    }

    /// What is there of it at this moment, a line each: processes, cgroups that bear `pid`, which the command had, and
    /// temporary files.
    pub fn left(&self, pid: u32) -> Vec<String> {
        let processes = pids_of_run(&self.token).into_iter();
        let processes = processes.map(|it| format!("process {}: {}", it.pid, it.name));
        let cgroups = cgroups_of(pid).into_iter().map(|path| format!("cgroup {}", path.display()));
        let files = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let files = files.map(|entry| format!("temporary file {}", entry.path().display()));
        processes.chain(cgroups).chain(files).collect()
    }

    /// Kills the processes that are left of it.
    pub fn end(&self) {
        for process in pids_of_run(&self.token) {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;
    use std::sync::PoisonError;
    use std::time::Duration;

    use super::*;
    use crate::processes::CHILDREN;
    use crate::settle::settled;

    #[test]
    fn what_a_command_leaves_is_found_and_what_it_removes_is_not() {
        let _held = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
        let run = Run::new().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", "touch $TMPDIR/file $TMPDIR/gone; rm $TMPDIR/gone; sleep 1000 & exit 0"]);
        let mut child = run.mark(&mut shell).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        child.wait().unwrap();
        let left = run.left(child.id());
        assert_eq!(left.len(), 2, "{left:?}");
        // It may not have become sleep yet.
        assert!(left[0].starts_with("process "), "{left:?}");
        assert!(left[1].starts_with("temporary file ") && left[1].ends_with("/file"), "{left:?}");
        run.end();
        let processes = || run.left(child.id()).into_iter().filter(|it| it.starts_with("process")).collect();
        assert!(settled(Duration::from_secs(10), processes).0.is_empty());
        let directory = run.directory().to_path_buf();
        drop(run);
        assert!(!directory.exists());
    }
}
