//! How a cgroup ends: its members are killed, waited for, and its directory is removed.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal::SIGKILL;
use nix::unistd::{Pid, getpid};
use rustix::fs::{AtFlags, unlinkat};
use rustix::process::{Signal, pidfd_send_signal};

use super::Version;
use super::directory::{Directory, unless_gone};
use super::wait::{pidfd, wait_populated};
use crate::deadline::Deadline;
use crate::error::{AsErrno, Error, Named, Result};

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
        match kill_one(pid, &fd) {
            Ok(()) => killed = Some(fd),
            Err(Errno::ESRCH) => {}
            Err(errno) => return Err(errno).named(|| format!("kill({pid}, SIGKILL)")),
        }
    }
    Ok(killed)
}

fn kill_one(pid: Pid, fd: &OwnedFd) -> std::result::Result<(), Errno> {
    match pidfd_send_signal(fd, Signal::KILL) {
        // A seccomp filter may hide the call, and then kill(2) is asked. It takes a PID, so the process is looked at
        // once more. It would have to end just now, and the kernel to give away all other PIDs first. Where EPERM is
        // the kernel's own answer, this gives it too.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {
            let ended = poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO)? > 0;
            if ended { Err(Errno::ESRCH) } else { nix::sys::signal::kill(pid, SIGKILL) }
        }
        sent => sent.map_err(|error| error.as_errno()),
    }
}

/// For what passes within moments and gives no event.
fn tick() {
    let _ = poll(&mut [], PollTimeout::from(10_u8));
}

/// Kills, waits, and removes the cgroup, which is `name` in `parent`, with all below it.
pub(super) fn end(cgroup: &Directory, parent: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    // One without members and cgroups below goes at once: rmdir(2) is refused with EBUSY for every other.
    if unlinkat(parent, name, AtFlags::REMOVEDIR).is_ok() {
        return Ok(());
    }
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
