//! The `docker` program, the client of the engines.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags};
use ns_core::{Errno, Outcome, Value, poll_until};
use rustix::process::{PidfdFlags, pidfd_open};

/// How long `docker` may take: on an emulated machine, a container takes seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
pub(crate) const ABSENT: &str = "the program docker is missing";

/// Where an engine listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Socket {
    /// The default of `docker`.
    Usual,
    /// The second engine of scripts/docker-lab, with --userns-remap.
    Remapped,
}

/// A command that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    /// The exit status. For a signal it is 128 and the signal number, as in a shell.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The result of a command that makes one system call: `OK`, or the error that its message names.
    pub(crate) fn outcome(&self) -> Value {
        let said = self.stderr.to_lowercase();
        let named = |errno: &Errno| said.contains(&errno.desc().to_lowercase());
        match self.status {
            0 => Outcome::Done.into(),
            // busybox mount prints this for EPERM.
            _ if said.contains("are you root?") => Outcome::Failed(Errno::EPERM).into(),
            status => match (1..=133).map(Errno::from_raw).find(named) {
                Some(errno) => Outcome::Failed(errno).into(),
                None => format!("status {status}: {}", said.trim()).into(),
            },
        }
    }
}

/// Runs `docker` with these arguments, at its default engine.
pub(crate) fn docker(arguments: &[&str]) -> Result<Ran> {
    Socket::Usual.docker(arguments)
}

/// Like [`docker`], but it must succeed. Returns its output.
pub(crate) fn done(arguments: &[&str]) -> Result<String> {
    Socket::Usual.done(arguments)
}

impl Socket {
    pub(crate) fn environment(self) -> Option<(&'static str, &'static str)> {
        (self == Socket::Remapped).then_some(("DOCKER_HOST", "unix:///run/docker-remapped.sock"))
    }

    /// Like [`docker`], at this engine.
    pub(crate) fn docker(self, arguments: &[&str]) -> Result<Ran> {
        let mut command = Command::new("docker");
        command.envs(self.environment());
        // The search path may be missing, as after env -i. These commands need no home directory.
        if std::env::var_os("PATH").is_none() {
            command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        }
        let mut started = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context(ABSENT)?;
        let status = wait(&mut started).with_context(|| format!("docker {}", arguments.join(" ")))?;
        let text = |pipe: Option<&mut dyn Read>| {
            let mut bytes = Vec::new();
            // It has ended, and its output fits into the pipe.
            pipe.map(|pipe| pipe.read_to_end(&mut bytes)).transpose().context("read(pipe from docker)")?;
            anyhow::Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let stdout = text(started.stdout.as_mut().map(|pipe| pipe as &mut dyn Read))?;
        let stderr = text(started.stderr.as_mut().map(|pipe| pipe as &mut dyn Read))?;
        Ok(Ran { status, stdout, stderr })
    }

    /// Like [`done`], at this engine.
    pub(crate) fn done(self, arguments: &[&str]) -> Result<String> {
        let ran = self.docker(arguments)?;
        if ran.status != 0 {
            bail!("docker {}: {}", arguments.join(" "), one_line(&ran.stderr));
        }
        Ok(ran.stdout)
    }
}

pub(crate) fn one_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it failed without a message")
}

/// Waits for the end of a child, with a deadline.
pub(crate) fn wait(child: &mut Child) -> Result<i32> {
    let pid = rustix::process::Pid::from_child(child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("pidfd_open()")?;
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    if !poll_until(&mut fds, Some(Instant::now() + PATIENCE))? {
        let _ = child.kill();
        bail!("nothing within {} s", PATIENCE.as_secs());
    }
    let status = child.wait().context("wait4()")?;
    Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_command_is_its_last_words() {
        let outcome = |status, stderr: &str| {
            Ran { status, stdout: String::new(), stderr: stderr.into() }.outcome().to_string()
        };
        assert_eq!(outcome(0, "a warning: Operation not permitted"), "OK");
        assert_eq!(outcome(1, "unshare: unshare(0x10000000): Operation not permitted\n"), "EPERM");
        assert_eq!(outcome(1, "mount: permission denied (are you root?)\n"), "EPERM");
        assert_eq!(outcome(1, "mount: mounting proc on /proc failed: Permission denied\n"), "EACCES");
        assert_eq!(outcome(1, "touch: /written: Read-only file system\n"), "EROFS");
        assert_eq!(outcome(1, "unshare: unshare(0x10000000): No space left on device\n"), "ENOSPC");
        assert_eq!(outcome(7, "Moon.\n"), "status 7: moon.");
    }
}
