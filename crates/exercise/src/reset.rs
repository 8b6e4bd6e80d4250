//! What the learner made in an attempt is taken away again.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::poll::{PollFd, PollFlags};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use ns_core::cgroup::{self, parse_pids};
use ns_core::cleanup::DIRECTORY;
use ns_core::{Outcome, Signal, in_words, mount, pids, poll_until, until};

use crate::attempt::Attempt;
use crate::model::CGROUP;
use crate::owned::Owned;
use crate::process::{self, Process};
use crate::sentence::who;

/// How long a cgroup may still be busy once its members are killed, and how often that is looked at: no event says so in
/// both versions.
const MOMENT: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(2);

/// What was done, and what was left alone and why, each in one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleared {
    /// What was done.
    pub did: Vec<String>,
    /// What was left alone, and why.
    pub left: Vec<String>,
}

/// Takes away what `attempt` left in the kernel: ends its processes and what descends from them, unmounts what is mounted
/// in its directory, and removes its cgroups. A process is its own if it met a requirement and was typed in this terminal,
/// or met all of its subject's. What was there before stays, and the caller with its ancestors.
///
/// Children of the caller that it ends are waited for.
///
/// # Errors
/// From other namespaces than those in which the attempt began, where PIDs and mounts are others.
pub fn clear(attempt: &Attempt) -> Result<Cleared> {
    let mut cleared = Cleared::default();
    if !attempt.snapshot.is_of_this_boot() {
        // Whatever was made has gone with the machine's last run, and its PIDs are those of others.
        return Ok(cleared);
    }
    attempt.snapshot.require_comparable()?;
    let made = made_cgroups(attempt);
    end_processes(attempt, &made, &mut cleared)?;
    unmount(&attempt.dir, &mut cleared)?;
    remove_cgroups(&made, &mut cleared)?;
    Ok(cleared)
}

impl Cleared {
    /// The same, once the directory of the attempt is removed with all that is in it. No mount is entered, and no link
    /// followed.
    #[must_use]
    pub fn without_dir(mut self, dir: &Path) -> Cleared {
        if fs::symlink_metadata(dir).is_err() {
            return self;
        }
        let is_empty = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
        match (DIRECTORY.remove)(dir) {
            Ok(()) if is_empty => {}
            Ok(()) => self.did.push(format!("removed {}", dir.display())),
            Err(error) => self.left.push(format!("{}: {error}", dir.display())),
        }
        self
    }
}

fn end_processes(attempt: &Attempt, made: &BTreeSet<PathBuf>, cleared: &mut Cleared) -> Result<()> {
    let all = process::all()?;
    let members = made.iter().flat_map(|path| members(path)).collect();
    let owned = Owned::of(attempt, &all, &members);
    let mut ended: Vec<(&Process, OwnedFd)> = Vec::new();
    for process in all.iter().filter(|process| !process.is_zombie) {
        if !owned.is_to_end(process) {
            let why = owned.why_not(process).filter(|_| owned.is_matched(process));
            cleared.left.extend(why.map(|why| format!("{}: {why}", who(process))));
            continue;
        }
        let Ok(pidfd) = pids::open(process.subject.pid) else { continue };
        // The descriptor stays with its process: if that has this start, it is the one that was found.
        if !process.lives_on() {
            continue;
        }
        match pids::signal(pidfd.as_fd(), Signal::SIGKILL)? {
            Outcome::Done => ended.push((process, pidfd)),
            Outcome::Failed(Errno::ESRCH) => {}
            Outcome::Failed(errno) => {
                cleared.left.push(format!("{}: kill(): {}", who(process), in_words(errno)));
            }
        }
    }
    for (process, pidfd) in &ended {
        until(&format!("{} to end", who(process)), || {
            // Where we are the subreaper of the dead, the init of their namespace ends once they are waited for.
            for (other, _) in &ended {
                let _ = waitpid(other.subject.pid, Some(WaitPidFlag::WNOHANG));
            }
            let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
            Ok(poll_until(&mut fds, Some(Instant::now()))?.then_some(()))
        })?;
        cleared.did.push(format!("ended {}", who(process)));
    }
    Ok(())
}

/// Takes the mounts in `dir` away, the last first: the directory was empty when the attempt began.
fn unmount(dir: &Path, cleared: &mut Cleared) -> Result<()> {
    for mount in mount::list(None)?.iter().rev().filter(|mount| mount.mount_point.starts_with(dir)) {
        let point = mount.mount_point.display();
        match umount2(&mount.mount_point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => cleared.did.push(format!("unmounted {point}")),
            Err(errno) => cleared.left.push(format!("{point}: umount2(): {}", in_words(errno))),
        }
    }
    Ok(())
}

/// The cgroups that were made for the attempt, with all below them. A process of it was in them, or they are below
/// `{cgroup}` and called as one of its values.
fn made_cgroups(attempt: &Attempt) -> BTreeSet<PathBuf> {
    let place = attempt.values.get(CGROUP).map(Path::new);
    let is_name = |value: &&str| !value.is_empty() && !value.contains('/') && !value.starts_with('.');
    let called = attempt.values.iter().map(|(_, value)| value).filter(is_name);
    let called = called.filter_map(|value| place.map(|place| place.join(value)));
    let tops = attempt.trace.cgroups.iter().cloned().chain(called);
    let tops = tops.filter(|path| !attempt.snapshot.had_cgroup(path));
    let all = tops.filter_map(|path| cgroup::walk(&path).ok()).flatten().map(|node| node.path);
    all.filter(|path| is_cgroup(path)).collect()
}

/// Removes cgroups, the deepest first. No member of one is ended for that.
fn remove_cgroups(made: &BTreeSet<PathBuf>, cleared: &mut Cleared) -> Result<()> {
    for path in made.iter().rev() {
        let moment = Instant::now() + MOMENT;
        let removed = loop {
            match fs::remove_dir(path) {
                // A member that ends is in the kernel's list for a moment.
                Err(error)
                    if error.raw_os_error() == Some(Errno::EBUSY as i32) && Instant::now() < moment =>
                {
                    poll_until(&mut [], Some(Instant::now() + TICK))?;
                }
                removed => break removed,
            }
        };
        match removed {
            Ok(()) => cleared.did.push(format!("removed the cgroup {}", path.display())),
            Err(error) => cleared.left.push(format!("the cgroup {}: {error}", path.display())),
        }
    }
    Ok(())
}

fn is_cgroup(path: &Path) -> bool {
    mount::filesystem_type(path).is_ok_and(|found| found.starts_with("cgroup"))
}

/// The processes in a cgroup.
fn members(path: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    parse_pids(&text).unwrap_or_default()
}
