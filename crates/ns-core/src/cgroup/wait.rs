//! What is waited for in a cgroup: a first member, the end of all, an event.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};
use nix::unistd::Pid;
use rustix::fs::OFlags;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::process::{PidfdFlags, pidfd_open};

use super::Version;
use super::directory::{Directory, read_from_start, unless_gone};
use crate::deadline::Deadline;
use crate::error::{Error, Named, Result};

/// Waits until a cgroup or one below it has a member, or until none has.
pub(super) fn wait_populated(cgroup: &Directory, populated: bool) -> Result<()> {
    match (cgroup.version(), populated) {
        (Version::V2, true) => wait_for_line(cgroup, "populated 1"),
        // What is gone has no member.
        (Version::V2, false) => wait_for_line(cgroup, "populated 0").or_else(unless_gone),
        (Version::V1, true) => wait_for_join(cgroup),
        (Version::V1, false) => wait_for_ends(cgroup),
    }
}

/// v2: waits until cgroup.events has the line `wanted`. It reports each change by POLLPRI (cgroup-v2.rst,
/// `[Un]populated Notification`).
pub(super) fn wait_for_line(cgroup: &Directory, wanted: &str) -> Result<()> {
    let file = "cgroup.events";
    let call = || format!("cat {}/{file}", cgroup.label());
    let events = cgroup.open_file(file, OFlags::RDONLY).named(call)?;
    let looks = Looks::new(format!("{wanted} of {}", cgroup.label()));
    loop {
        // Each read arms the next event, so it must be of the same descriptor.
        if read_from_start(&events).named(call)?.lines().any(|line| line == wanted) {
            return Ok(());
        }
        looks.wait(&events, PollFlags::POLLPRI)?;
    }
}

/// v1 reports no change. But a first member comes by a write to one of two files, which inotify(7) sees.
fn wait_for_join(cgroup: &Directory) -> Result<()> {
    let call = || format!("inotify_add_watch({}/cgroup.procs)", cgroup.label());
    let changes =
        inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).named(|| "inotify_init()".into())?;
    for file in ["cgroup.procs", "tasks"] {
        let path = format!("/proc/self/fd/{}/{file}", cgroup.as_fd().as_raw_fd());
        inotify::add_watch(&changes, path, WatchFlags::MODIFY).named(call)?;
    }
    let looks = Looks::new(format!("a member of {}", cgroup.label()));
    // Looked at only now: a join before the watch was set would give no event.
    while cgroup.pids_below()?.is_empty() {
        looks.wait(&changes, PollFlags::POLLIN)?;
        while nix::unistd::read(&changes, &mut [0; 4096]).is_ok_and(|length| length > 0) {}
    }
    Ok(())
}

/// v1, again: but each member's end is an event.
fn wait_for_ends(cgroup: &Directory) -> Result<()> {
    let looks = Looks::new(format!("the members of {} to end", cgroup.label()));
    loop {
        let Some(member) = cgroup.pids_below()?.pop() else { return Ok(()) };
        if let Some(fd) = pidfd(member)? {
            looks.wait(&fd, PollFlags::POLLIN)?;
        }
    }
}

/// Looks at a cgroup, between which one waits for an event.
///
/// Two changes have none: another process removes the cgroup (a cleanup worker and a sweep may meet), or, on v1, moves a
/// member elsewhere. So each wait ends after a while, and the next look finds them.
struct Looks {
    what: String,
    deadline: Deadline,
}

impl Looks {
    fn new(what: String) -> Looks {
        Looks { what, deadline: Deadline::new() }
    }

    /// Waits for the next reason to look.
    fn wait(&self, fd: &OwnedFd, event: PollFlags) -> Result<()> {
        self.deadline.check(&self.what)?;
        let mut fds = [PollFd::new(fd.as_fd(), event)];
        self.deadline.poll_for(Duration::from_millis(100), &mut fds, &self.what).map(drop)
    }
}

/// A descriptor of a process, or `None` when it has ended.
pub(super) fn pidfd(pid: Pid) -> Result<Option<OwnedFd>> {
    let Some(number) = rustix::process::Pid::from_raw(pid.as_raw()) else {
        // So cgroup.procs shows a process of a PID namespace that is not ours or below ours (cgroups(7)).
        return Err(Error::Input(
            "a member is outside of our PID namespace, and cannot be killed from here".into(),
        ));
    };
    match pidfd_open(number, PidfdFlags::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(rustix::io::Errno::SRCH) => Ok(None),
        Err(error) => Err(error).named(|| format!("pidfd_open({pid})")),
    }
}
