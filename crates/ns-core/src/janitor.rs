//! Removes what outlives us, even when we are killed with SIGKILL.
//!
//! Processes, namespaces and mounts go with their last member. A cgroup and a directory stay. Their guards
//! ([`crate::cgroup::Cgroup`], [`TemporaryDirectory`]) remove them, but a killed process runs no guard. So the first
//! registration makes a *watcher*: a small process in a session of its own, which reads from a pipe what we are
//! about to make. When we are gone, however that came about, the pipe ends, and the watcher removes what we did not.
//!
//! The order is what makes it sound. A name is registered first, and made then: whatever the moment of our death,
//! either the watcher knows of the thing or the thing is not there. A registered path that was never made does no
//! harm.
//!
//! The orders are lines, so that `strace -f -e trace=write` shows them: `cgroup PATH`, `directory PATH`,
//! `link PATH`, `forget PATH`, `finish`.

mod directory;
mod owner;
mod watcher;

use std::fmt;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

pub use directory::{TemporaryDirectory, sweep_directories};
pub(crate) use owner::{Owner, PREFIX, is_abandoned, is_ours, lock, unique_name};

use crate::deadline::Deadline;
use crate::error::{Error, Named, Result};
use crate::sys;

static JANITOR: Mutex<Option<Janitor>> = Mutex::new(None);

/// Our side of the watcher.
struct Janitor {
    /// The process that made the watcher. A child that was forked from it has a copy of this, and no claim to it.
    owner: Owner,
    watcher: OwnedFd,
    orders: OwnedFd,
    registered: Vec<Leftover>,
}

/// What may outlive us.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Leftover {
    kind: Kind,
    path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cgroup,
    Directory,
    Link,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Cgroup => "cgroup",
            Kind::Directory => "directory",
            Kind::Link => "link",
        })
    }
}

/// Starts the watcher now, where it would otherwise start with the first registration.
///
/// A watcher lives in the namespaces in which it was made. Call this before unshare(2), so that it sees the paths
/// that we see now and does not die with a PID namespace of ours.
///
/// # Errors
/// Refused while other threads run, and after unshare(2) of a PID or time namespace, which the watcher would be the
/// first to enter. Else those of fork(2), such as EAGAIN at a limit on processes.
pub fn start() -> Result<()> {
    ours(&mut locked()).map(drop)
}

/// Has the watcher remove the cgroup at `path` when we are gone, with all that is in it: its processes are killed.
///
/// To be called with an absolute path whose last part begins with `inception-`, before the cgroup is made.
///
/// # Errors
/// [`Error::Input`] for any other path; those of [`start`].
pub(crate) fn register_cgroup(path: &Path) -> Result<()> {
    register(Leftover::new(Kind::Cgroup, path)?)
}

/// Has the watcher remove the directory at `path` when we are gone, with all that is in it.
///
/// Symbolic links in it are removed and not followed, and mounts are not entered. To be called with an absolute path
/// whose last part begins with `inception-`, before the directory is made.
///
/// # Errors
/// [`Error::Input`] for any other path; those of [`start`].
pub(crate) fn register_directory(path: &Path) -> Result<()> {
    register(Leftover::new(Kind::Directory, path)?)
}

/// Has the watcher remove the link that `path`, below /sys/class/net, stands for: a port of [`crate::net::switch`].
///
/// # Errors
/// As [`register_directory`].
pub(crate) fn register_link(path: &Path) -> Result<()> {
    register(Leftover::new(Kind::Link, path)?)
}

/// Takes a registration back, since we removed `path` ourselves.
///
/// This cannot fail in a way that matters: the watcher passes over what is no longer there.
pub fn forget(path: &Path) {
    let mut slot = locked();
    let Some(janitor) = slot.as_mut().filter(|janitor| janitor.owner.is_this_process()) else { return };
    let before = janitor.registered.len();
    janitor.registered.retain(|leftover| leftover.path != path);
    if janitor.registered.len() < before {
        let _ = janitor.tell("forget", path);
    }
}

/// Ends the watcher, which removes first what is registered still, and waits for its end.
///
/// A finished experiment so leaves no process behind. A process that exits without this call leaves a watcher that
/// does its work and ends by itself.
///
/// # Errors
/// [`Error::Deadline`] if the watcher is still at work after 10 s.
pub fn finish() -> Result<()> {
    let Some(janitor) = locked().take() else { return Ok(()) };
    if !janitor.owner.is_this_process() {
        janitor.disown();
        return Ok(());
    }
    // The end of the pipe alone would do, unless some process that we do not know of holds a copy of our end.
    let _ = write_line(&janitor.orders, b"finish\n");
    let Janitor { watcher, orders, .. } = janitor;
    drop(orders);
    wait_for(watcher.as_fd())
}

/// The writing end of the pipe to the watcher, if there is one.
///
/// Every child that we make inherits a copy, and must close it, as ours do at once: while any copy is open, the
/// pipe does not end, and the watcher takes us for alive.
pub fn writer_fd() -> Option<RawFd> {
    let slot = locked();
    slot.as_ref().filter(|janitor| janitor.owner.is_this_process()).map(|janitor| janitor.orders.as_raw_fd())
}

/// For a child that was just made by fork(2) or clone3(2): the watcher and all that is registered stay its parent's.
///
/// Closes the child's copy of [`writer_fd`]. The guards that the child has copies of do nothing from here on when
/// they are dropped. What the child registers itself makes a watcher of its own.
pub(crate) fn leave_to_parent() {
    Owner::renew();
    drop(locked().take());
}

fn locked() -> MutexGuard<'static, Option<Janitor>> {
    // A panic while it was held left it whole: every change to it is a single assignment.
    JANITOR.lock().unwrap_or_else(PoisonError::into_inner)
}

fn register(leftover: Leftover) -> Result<()> {
    let mut slot = locked();
    let janitor = ours(&mut slot)?;
    janitor.tell(&leftover.kind.to_string(), &leftover.path)?;
    janitor.registered.push(leftover);
    Ok(())
}

/// This process's watcher, alive: another is made if there is none, or if someone killed it.
fn ours(slot: &mut Option<Janitor>) -> Result<&mut Janitor> {
    let registered = match slot.take() {
        Some(janitor) if !janitor.owner.is_this_process() => {
            janitor.disown();
            Vec::new()
        }
        Some(janitor) if janitor.lives() => return Ok(slot.insert(janitor)),
        Some(killed) => {
            let _ = wait_for(killed.watcher.as_fd());
            killed.registered
        }
        None => Vec::new(),
    };
    let janitor = slot.insert(Janitor::start()?);
    for leftover in registered {
        janitor.tell(&leftover.kind.to_string(), &leftover.path)?;
        janitor.registered.push(leftover);
    }
    Ok(janitor)
}

impl Janitor {
    fn start() -> Result<Janitor> {
        refuse_to_be_first_in_a_namespace()?;
        let (hear, orders) = pipe_with(PipeFlags::CLOEXEC).named(|| "pipe2(O_CLOEXEC)".into())?;
        let (armed, arm) = pipe_with(PipeFlags::CLOEXEC).named(|| "pipe2(O_CLOEXEC)".into())?;
        // Blocked before the fork, so that there is no moment at which a signal to our process group ends the watcher.
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask))
            .named(|| "sigprocmask(SIG_SETMASK, all)".into())?;
        let forked = sys::fork_child();
        if let Ok(None) = forked {
            drop((orders, armed));
            watcher::run(&hear, arm);
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)
            .named(|| "sigprocmask(SIG_SETMASK, the mask before)".into())?;
        // Our copies of the watcher's ends: left open, they would hide its death from us.
        drop((hear, arm));
        let Some(pid) = forked?.and_then(|pid| rustix::process::Pid::from_raw(pid.as_raw())) else {
            return Err(Error::Input("fork() gave no PID".into()));
        };
        let watcher =
            pidfd_open(pid, PidfdFlags::empty()).named(|| format!("pidfd_open({})", pid.as_raw_nonzero()))?;
        // A byte when it is ready, then the end of the pipe: from there on it holds nothing of ours open.
        let mut bytes = 0;
        loop {
            Deadline::new()
                .poll(&mut [PollFd::new(armed.as_fd(), PollFlags::POLLIN)], "the janitor to be ready")?;
            match nix::unistd::read(&armed, &mut [0]).named(|| "read(pipe from the janitor)".into())? {
                0 => break,
                more => bytes += more,
            }
        }
        if bytes == 0 {
            let _ = wait_for(watcher.as_fd());
            let message = "it ended before it was ready".into();
            return Err(Error::Broken { child: "janitor".into(), message });
        }
        Ok(Janitor { owner: Owner::this_process(), watcher, orders, registered: Vec::new() })
    }

    fn lives(&self) -> bool {
        // In doubt it does: who takes a living watcher for dead and closes its pipe has everything removed.
        let mut fds = [PollFd::new(self.watcher.as_fd(), PollFlags::POLLIN)];
        !poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    fn tell(&self, verb: &str, path: &Path) -> Result<()> {
        let line = [verb.as_bytes(), b" ", path.as_os_str().as_bytes(), b"\n"].concat();
        write_line(&self.orders, &line).named(|| format!("write(pipe to the janitor, \"{verb} …\")"))
    }

    /// Drops the copy that a fork left us, without closing numbers that may be other files by now.
    fn disown(self) {
        std::mem::forget(self);
    }
}

impl Leftover {
    /// The only place that lets a path in, on either end of the pipe.
    fn new(kind: Kind, path: &Path) -> Result<Leftover> {
        let name = path.file_name().unwrap_or_default().as_bytes();
        let bytes = path.as_os_str().as_bytes();
        let why = if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
            "the path is not absolute, or has `..` in it"
        } else if !name.starts_with(PREFIX.as_bytes()) || !bytes.ends_with(name) {
            "its name does not begin with `inception-`"
        } else if bytes.len() > LONGEST_PATH || bytes.contains(&b'\n') {
            "the path is too long, or has a newline in it"
        } else {
            return Ok(Leftover { kind, path: path.into() });
        };
        Err(Error::Input(format!("the janitor does not take {kind} \"{}\": {why}", bytes.escape_ascii())))
    }
}

/// With the verb before it a line stays below PIPE_BUF (4096), up to which a write to a pipe is atomic (pipe(7)).
const LONGEST_PATH: usize = 4000;

fn write_line(to: &OwnedFd, line: &[u8]) -> Result<(), nix::errno::Errno> {
    loop {
        match nix::unistd::write(to, line) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Waits for the end of a watcher, and reaps it.
fn wait_for(watcher: BorrowedFd<'_>) -> Result<()> {
    Deadline::new().poll(&mut [PollFd::new(watcher, PollFlags::POLLIN)], "the janitor to end")?;
    // ECHILD: SIGCHLD is ignored, or someone waits for any child. It has ended all the same.
    let _ = waitid(WaitId::PidFd(watcher), WaitIdOptions::EXITED);
    Ok(())
}

/// After unshare(CLONE_NEWPID) the next child is the init of the new namespace, and after unshare(CLONE_NEWTIME) it
/// fixes the new namespace's offsets. That must not be the watcher: it would take the place of the experiment's child.
fn refuse_to_be_first_in_a_namespace() -> Result<()> {
    for kind in ["pid", "time"] {
        let own = fs::read_link(format!("/proc/self/ns/{kind}")).ok();
        // ENOENT while a new PID namespace has had no first child.
        let of_children = fs::read_link(format!("/proc/self/ns/{kind}_for_children")).ok();
        if own != of_children {
            let what = format!(
                "cannot make the janitor after unshare: it would be the first in the new {kind} namespace"
            );
            return Err(Error::Input(format!("{what}; call janitor::start() before")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_with_our_prefix_are_taken() {
        let taken = |path: &str| Leftover::new(Kind::Directory, Path::new(path)).is_ok();
        assert!(taken("/tmp/inception-1-2-3-x"));
        for other in
            ["/tmp", "/", "", "/tmp/other", "/tmp/inception-/x", "tmp/inception-1", "/tmp/../inception-1"]
        {
            assert!(!taken(other), "{other}");
        }
        for other in ["/tmp/inception-1/..", "/tmp/inception-1/.", "/tmp/inception-1/", "/tmp/inception-\n1"]
        {
            assert!(!taken(other), "{other}");
        }
        assert!(!taken(&format!("/tmp/inception-{}", "x".repeat(5000))));
    }

    #[test]
    fn a_refusal_is_one_line_and_escaped() {
        let refusal = Leftover::new(Kind::Cgroup, Path::new("/tmp/\u{1b}[2J\n")).unwrap_err().to_string();
        assert!(!refusal.contains(['\n', '\u{1b}']), "{refusal:?}");
    }
}
