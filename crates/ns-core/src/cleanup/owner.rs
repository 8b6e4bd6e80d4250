//! Whose a cgroup or a directory is: this process's, another's that lives, or nobody's any more.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::unistd::{Pid, getpid};
use rustix::fs::{FlockOperation, flock};

use crate::error::Result;
use crate::process;

/// What every name that we make begins with.
pub const PREFIX: &str = "inception-";

static GENERATION: AtomicU32 = AtomicU32::new(0);
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The process that made something. A forked child has a copy of it all, and must leave it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pid: Pid,
    // A PID alone would not do. Parent and child are both PID 1 when the parent is the init of a container and the
    // child that of a new PID namespace.
    generation: u32,
}

impl Owner {
    /// The caller.
    pub fn this_process() -> Owner {
        Owner { pid: getpid(), generation: GENERATION.load(Ordering::Relaxed) }
    }

    /// Whether it is the caller.
    pub fn is_this_process(self) -> bool {
        self == Owner::this_process()
    }

    /// From here on, what was made before is not this process's.
    pub(crate) fn renew() {
        GENERATION.fetch_add(1, Ordering::Relaxed);
    }
}

/// A new name: `inception-PID-STARTTIME-N-PURPOSE`.
///
/// The PID with the time at which the process started is an identity that is not used again before the next boot.
pub(crate) fn unique_name(purpose: &str) -> Result<String> {
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    Ok(format!("{PREFIX}{}-{}-{n}-{purpose}", getpid(), started()?))
}

/// When this process started. It is read once a process: the kernel puts a good deal together for that file.
fn started() -> Result<u64> {
    static STARTED: Mutex<Option<(Owner, u64)>> = Mutex::new(None);
    let mut known = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, started)) = known.filter(|(owner, _)| owner.is_this_process()) {
        return Ok(started);
    }
    let started = process::start_time(None)?;
    *known = Some((Owner::this_process(), started));
    Ok(started)
}

/// Holds what `fd` refers to for this process's lifetime, so that [`is_abandoned`] sees an owner even from another
/// PID namespace, where our PID is a different one.
///
/// On a file system that has no locks, only the PID is left to tell.
pub(crate) fn lock(fd: impl AsFd) {
    let _ = flock(fd, FlockOperation::NonBlockingLockExclusive);
}

/// Whether `name` is one that [`unique_name`] made.
pub(crate) fn is_ours(name: &str) -> bool {
    owner_of(name).is_some()
}

/// Whether `name` is one of ours whose owner is gone; `fd` is what bears the name.
pub(crate) fn is_abandoned(name: &str, fd: impl AsFd) -> bool {
    let Some((pid, started)) = owner_of(name) else { return false };
    // Both are asked. Between mkdir and lock there is a moment when only the PID shows the owner.
    is_gone(pid, started) && flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// The PID and the start time in a name that [`unique_name`] made.
fn owner_of(name: &str) -> Option<(Pid, u64)> {
    let mut parts = name.strip_prefix(PREFIX)?.splitn(4, '-');
    let pid = parts.next()?.parse::<i32>().ok().filter(|pid| *pid > 0)?;
    let started = parts.next()?.parse().ok()?;
    parts.next()?.parse::<u32>().ok()?;
    parts.next().filter(|purpose| !purpose.is_empty())?;
    Some((Pid::from_raw(pid), started))
}

fn is_gone(pid: Pid, started: u64) -> bool {
    if nix::sys::signal::kill(pid, None) == Err(Errno::ESRCH) {
        return true;
    }
    // Where /proc hides the processes of others (hidepid in proc(5)), who exists is taken for the owner.
    let Ok(starts) = process::start_time(Some(pid)) else { return false };
    let dead = process::state(pid).is_ok_and(|state| matches!(state, 'Z' | 'X'));
    starts != started || dead
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gives_its_owner_back() {
        let name = unique_name("a-purpose").unwrap();
        let (pid, started) = owner_of(&name).unwrap();
        assert_eq!(pid, getpid());
        assert!(!is_gone(pid, started));
        assert!(is_gone(pid, started + 1), "a PID that is used again is not the owner");
        assert_ne!(name, unique_name("a-purpose").unwrap());
    }

    #[test]
    fn other_names_have_no_owner() {
        let others = ["", "inception", "inception-", "inception-1-2", "inception-1-2-3", "inception-1-2-3-"];
        for other in
            others.into_iter().chain(["inception-0-2-3-x", "inception--1-2-3-x", "inception-a-2-3-x"])
        {
            assert_eq!(owner_of(other), None, "{other}");
        }
    }
}
