//! Processes of a check: those that wait, this program in a role, and how they are found again.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ns_core::Pid;

/// How long an end is waited for. It comes in milliseconds, on an emulated machine that others keep waiting in seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// The variable by which the processes of a role are known: its descendants inherit it.
pub(crate) const TOKEN: &str = "NS_CORE_TEST_TOKEN";

/// A process that waits at its standard input and is not left behind: it ends with the pipe, or is killed.
pub(crate) struct Waiting(Child);

impl Waiting {
    pub(crate) fn new() -> std::io::Result<Waiting> {
        Waiting::running("exec cat")
    }

    /// A shell that runs `script` when it is told to go on.
    pub(crate) fn running(script: &str) -> std::io::Result<Waiting> {
        let script = format!("read go; {script}");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(Waiting(command.spawn()?))
    }

    pub(crate) fn pid(&self) -> Pid {
        pid_of(&self.0)
    }

    pub(crate) fn go_on(&mut self) -> std::io::Result<()> {
        self.0.stdin.as_mut().map_or(Ok(()), |stdin| stdin.write_all(b"go\n"))
    }

    /// Lets it go on, and gives what it prints.
    pub(crate) fn output(&mut self) -> Result<String, Box<dyn Error>> {
        self.go_on()?;
        let mut text = String::new();
        self.0.stdout.take().ok_or("no pipe")?.read_to_string(&mut text)?;
        let end = self.0.wait()?;
        if end.success() { Ok(text.trim_end().into()) } else { Err(format!("{end}: {text}").into()) }
    }

    pub(crate) fn was_killed(&mut self) -> std::io::Result<bool> {
        Ok(self.0.wait()?.signal() == Some(9))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This program in a role, under another program such as unshare(1) if `by` is not empty.
pub(crate) fn role(by: &[&str], role: &str) -> Command {
    let program = std::env::current_exe().unwrap_or_default();
    let mut words = by.iter().map(std::ffi::OsString::from).collect::<Vec<_>>();
    words.push(program.into());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(format!("role-{role}"));
    command
}

/// What a role prints, if it ends well.
pub(crate) fn ask(by: &[&str], name: &str) -> Result<String, Box<dyn Error>> {
    let output = role(by, name).output()?;
    let text = String::from_utf8_lossy(&output.stdout).trim_end().to_string();
    if output.status.success() {
        Ok(text)
    } else {
        Err(format!(
            "{by:?} role-{name}: {}: {text} {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
        .into())
    }
}

pub(crate) fn pid_of(process: &Child) -> Pid {
    Pid::from_raw(i32::try_from(process.id()).unwrap_or(i32::MAX))
}

/// Processes that a token was handed down to. Zombies have no environment any more.
pub(crate) fn processes(token: &str) -> Vec<Pid> {
    let wanted = format!("{TOKEN}={token}");
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has_token = |pid: &i32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    pids.filter(has_token).map(Pid::from_raw).collect()
}

/// Waits for the end of a process that need not be our child. False if it does not come.
pub(crate) fn ends(pid: Pid) -> Result<bool, Box<dyn Error>> {
    let Some(number) = rustix::process::Pid::from_raw(pid.as_raw()) else { return Ok(true) };
    let pidfd = match rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(rustix::io::Errno::SRCH) => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut fds, PollTimeout::try_from(PATIENCE)?)? > 0)
}

/// Kills a process that is no child of ours, and waits for its end.
pub(crate) fn kill_other(pid: Pid) -> Result<(), Box<dyn Error>> {
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)?;
    assert!(ends(pid)?);
    Ok(())
}

pub(crate) fn comm(pid: Pid) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_string()
}
