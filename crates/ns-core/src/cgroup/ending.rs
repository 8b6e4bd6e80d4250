//! How a cgroup ends: its members are killed, waited for, and its directory is removed.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Pid, getpid};
use rustix::fs::OFlags;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::Version;
use super::directory::{Directory, read_from_start, unless_gone};
use crate::deadline::Deadline;
use crate::error::{Error, Named, Result};

/// How often an attempt is repeated that the kernel refuses, or that did nothing, for a reason which passes.
const ROUNDS: u32 = 1000;

/// How often members are killed one by one before they are kept from forking.
const PATIENT_ROUNDS: u32 = 20;

/// Kills every member of a cgroup and of all below it with SIGKILL, those too that are forked meanwhile.
///
/// Refused when the caller is a member itself.
pub(super) fn kill(cgroup: &Directory) -> Result<()> {
    if cgroup.pids_below()?.contains(&getpid()) {
        let what = format!("cannot kill the members of {}", cgroup.label());
        return Err(Error::Input(format!("{what}: this process is one of them")));
    }
    if cgroup.version() == Version::V2 {
        match cgroup.write("cgroup.kill", "1") {
            // Before Linux 5.14.
            Err(error) if error.errno() == Some(Errno::ENOENT) => {}
            killed => return killed,
        }
    }
    kill_each(cgroup)
}

/// Where the kernel does not kill them all at once.
fn kill_each(cgroup: &Directory) -> Result<()> {
    // EOPNOTSUPP in a threaded cgroup, as cgroup.kill has it: its threads are parts of processes elsewhere.
    cgroup.pids()?;
    // Frozen members do not fork while we kill them one by one.
    let undo = hold(cgroup, &[("freezer.state", "FROZEN"), ("cgroup.freeze", "1")]);
    let mut killed = kill_until_none_is_left(cgroup, PATIENT_ROUNDS);
    if undo.is_none() && matches!(killed, Ok(false)) {
        // They fork as fast as we kill. Not done at once, since a fork that fails lets a program end in its own way.
        let undo = hold(cgroup, &[("pids.max", "0")]);
        killed = kill_until_none_is_left(cgroup, ROUNDS);
        release(cgroup, undo);
    }
    release(cgroup, undo);
    match killed? {
        true => Ok(()),
        false => Err(Errno::EAGAIN).named(|| format!("kill(the members of {}, SIGKILL)", cgroup.label())),
    }
}

/// What undoes a hold: a file, and what to write to it.
type Undo = Option<(&'static str, String)>;

/// Writes the first of these files that this hierarchy has.
fn hold(cgroup: &Directory, files: &[(&'static str, &str)]) -> Undo {
    files.iter().find_map(|(file, value)| {
        let before = cgroup.read(file).ok()?;
        cgroup.write(file, value).ok()?;
        // FREEZING can be read, but not written.
        Some((*file, if *file == "freezer.state" { "THAWED".into() } else { before }))
    })
}

fn release(cgroup: &Directory, undo: Undo) {
    if let Some((file, value)) = undo {
        // ENODEV: the cgroup is gone with its last member, which is as well.
        let _ = cgroup.write(file, &value);
    }
}

/// False if there are still members after so many rounds.
fn kill_until_none_is_left(cgroup: &Directory, rounds: u32) -> Result<bool> {
    let deadline = Deadline::new();
    for _ in 0..rounds {
        let members = cgroup.pids_below()?;
        if members.is_empty() {
            return Ok(true);
        }
        let mut dying = Vec::new();
        // In portions, since each member costs a descriptor.
        for portion in members.chunks(64) {
            dying.extend(kill_members(cgroup, portion)?);
        }
        // A frozen process of cgroup v1 dies of SIGKILL only once it is thawed, and then at once.
        cgroup.visit(&mut |below| below.write("freezer.state", "THAWED").or(Ok(())))?;
        for one in &dying {
            let mut fds = [PollFd::new(one.as_fd(), PollFlags::POLLIN)];
            deadline.poll(&mut fds, &format!("the members of {} to end", cgroup.label()))?;
        }
        if dying.is_empty() {
            tick();
        }
    }
    Ok(false)
}

/// Kills those of `pids` that are members, and no other process that has got such a PID meanwhile. Gives one of the
/// killed to wait for.
fn kill_members(cgroup: &Directory, pids: &[Pid]) -> Result<Option<OwnedFd>> {
    let mut held = Vec::new();
    for pid in pids {
        held.extend(pidfd(*pid)?.map(|fd| (*pid, fd)));
    }
    // A pidfd stays with its process. If its PID is listed still, that process is the member or has ended.
    let members = cgroup.pids_below()?;
    held.retain(|(pid, _)| members.contains(pid));
    let mut killed = None;
    for (pid, fd) in held {
        match pidfd_send_signal(&fd, Signal::KILL) {
            Ok(()) => killed = Some(fd),
            Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error).named(|| format!("kill({pid}, SIGKILL)")),
        }
    }
    Ok(killed)
}

/// A descriptor of a process, or `None` when it has ended.
fn pidfd(pid: Pid) -> Result<Option<OwnedFd>> {
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

/// For what passes within moments and gives no event.
fn tick() {
    let _ = poll(&mut [], PollTimeout::from(10_u8));
}

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

/// v2: waits until cgroup.events has the line `wanted`. It tells of each change by POLLPRI (cgroup-v2.rst,
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

/// v1 tells of no change. But a first member comes by a write to one of two files, which inotify(7) sees.
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
/// Two changes have none: another process removes the cgroup (a janitor and a sweep may meet), or, on v1, moves a
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

/// Kills, waits, and removes the cgroup, which is `name` in `parent`, with all below it.
pub(super) fn end(cgroup: &Directory, parent: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    for _ in 0..ROUNDS {
        match kill(cgroup) {
            // A threaded cgroup cannot be killed, only the domain that it is part of. It may be empty already.
            Err(error) if error.errno() == Some(Errno::EOPNOTSUPP) => return cgroup.rmdir(parent, name),
            killed => killed.or_else(unless_gone)?,
        }
        wait_populated(cgroup, false).or_else(unless_gone)?;
        match cgroup.rmdir(parent, name) {
            // Something came in or was made between the last look and this. Or, on v1, a member that has ended is
            // not off the kernel's list yet.
            Err(error) if error.errno() == Some(Errno::EBUSY) => tick(),
            removed => return removed,
        }
    }
    cgroup.rmdir(parent, name)
}
