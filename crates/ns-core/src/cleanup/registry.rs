//! Our side of the cleanup worker: what is sent to it, and whether it lives.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use super::leftover::{Leftover, Removal};
use super::owner::Owner;
use super::worker;
use crate::deadline::Deadline;
use crate::error::{Error, Named, Result};
use crate::sys;

const FINISH: &[u8] = b"finish\n";

static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);

/// Our side of the worker.
struct Registry {
    /// The process that made the worker. A child that was forked from it has a copy of this, and no claim to it.
    owner: Owner,
    worker: OwnedFd,
    orders: OwnedFd,
    /// What hangs up when the worker is ready; `None` once it is.
    armed: Option<OwnedFd>,
    /// What the worker can remove: it is a copy of this process, made when this was known.
    removals: Vec<Removal>,
    registered: Vec<Leftover>,
}

/// Starts the worker now, where it would otherwise start with the first registration. It can remove what `removals` are
/// for; a registration of another kind makes another. It gets ready while the caller goes on. The first registration
/// waits for that.
///
/// A worker lives in the namespaces in which it was made. Call this before unshare(2), so that it sees the paths
/// that we see now and does not die with a PID namespace of ours.
///
/// # Errors
/// Refused while other threads run, and after unshare(2) of a PID or time namespace, which the worker would be the
/// first to enter. Else those of fork(2), such as EAGAIN at a limit on processes.
pub fn start(removals: &[Removal]) -> Result<()> {
    able_to(removals, &mut locked()).map(drop)
}

/// Has the worker remove what is at `path` by `removal` when we are gone.
///
/// To be called with an absolute path whose last part begins with [`super::PREFIX`], before the thing is made.
///
/// # Errors
/// [`Error::Input`] for any other path; those of [`start`].
pub fn register(removal: Removal, path: &Path) -> Result<()> {
    let leftover = Leftover::new(removal, path)?;
    let mut slot = locked();
    able_to(&[removal], &mut slot)?.add(leftover)
}

/// Takes a registration back, since we removed `path` ourselves.
///
/// This cannot fail in a way that matters: the worker passes over what is no longer there.
pub fn forget(path: &Path) {
    let mut slot = locked();
    let Some(registry) = slot.as_mut().filter(|registry| registry.owner.is_this_process()) else { return };
    let before = registry.registered.len();
    registry.registered.retain(|leftover| leftover.path != path);
    if registry.registered.len() < before {
        let _ = registry.order("forget", path);
    }
}

/// Ends the worker, which removes first what is registered still, and waits for its end.
///
/// A finished experiment so leaves no process behind. A process that exits without this call leaves a worker that
/// does its work and ends by itself.
///
/// # Errors
/// [`Error::Deadline`] if the worker is still at work after 10 s.
pub fn finish() -> Result<()> {
    let Some(registry) = locked().take() else { return Ok(()) };
    if !registry.owner.is_this_process() {
        registry.disown();
        return Ok(());
    }
    // The end of the pipe alone would do, unless some process that we do not know of holds a copy of our end.
    let _ = write_line(&registry.orders, FINISH);
    let Registry { worker, orders, .. } = registry;
    drop(orders);
    wait_for(worker.as_fd())
}

/// Ends the worker as [`finish`] does, if nothing is registered that it would remove.
///
/// # Errors
/// Those of [`finish`].
pub fn finish_if_idle() -> Result<()> {
    let is_idle = locked().as_ref().is_none_or(|registry| registry.registered.is_empty());
    if is_idle { finish() } else { Ok(()) }
}

/// The writing end of the pipe to the worker, if there is one.
///
/// Every child that we create inherits a copy, and must close it, as ours do at once. While any copy is open, the pipe
/// does not end, and the worker takes us for alive.
pub fn writer_fd() -> Option<RawFd> {
    let slot = locked();
    slot.as_ref()
        .filter(|registry| registry.owner.is_this_process())
        .map(|registry| registry.orders.as_raw_fd())
}

/// For a child that was just made by fork(2) or clone3(2): the worker and all that is registered stay its parent's.
///
/// Closes the child's copy of [`writer_fd`]. The guards that the child has copies of do nothing from here on when
/// they are dropped. What the child registers itself makes a worker of its own.
pub(crate) fn leave_to_parent() {
    Owner::renew();
    drop(locked().take());
}

fn locked() -> MutexGuard<'static, Option<Registry>> {
    // A panic while it was held left it whole: every change to it is a single assignment.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This process's worker, alive and able to remove what `removals` are for: another is made if there is none, if
/// someone killed it, or if it is not able.
fn able_to<'a>(removals: &[Removal], slot: &'a mut Option<Registry>) -> Result<&'a mut Registry> {
    let mut before = slot.take();
    if before.as_ref().is_some_and(|registry| !registry.owner.is_this_process()) {
        before.take().into_iter().for_each(Registry::disown);
    }
    let mut able = before.as_ref().map_or_else(Vec::new, |registry| registry.removals.clone());
    let known = able.len();
    for removal in removals {
        if !able.iter().any(|own| own.kind == removal.kind) {
            able.push(*removal);
        }
    }
    let before = match before {
        Some(registry) if registry.lives() && able.len() == known => return Ok(slot.insert(registry)),
        other => other,
    };
    let after = Registry::start(able);
    let (registry, before) = match (after, before) {
        (Ok(registry), before) => (slot.insert(registry), before),
        (Err(error), before) => {
            *slot = before;
            return Err(error);
        }
    };
    let Some(before) = before else { return Ok(registry) };
    for leftover in &before.registered {
        registry.add(leftover.clone())?;
    }
    // Only now, so that there is no moment at which nobody knows of them.
    before.end_empty_handed()?;
    Ok(registry)
}

impl Registry {
    fn start(removals: Vec<Removal>) -> Result<Registry> {
        refuse_to_be_first_in_a_namespace()?;
        let (taken, orders) = pipe_with(PipeFlags::CLOEXEC).named(|| "pipe2(O_CLOEXEC)".into())?;
        let (armed, arm) = pipe_with(PipeFlags::CLOEXEC).named(|| "pipe2(O_CLOEXEC)".into())?;
        // Blocked before the fork, so that there is no moment at which a signal to our process group ends the worker.
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask))
            .named(|| "sigprocmask(SIG_SETMASK, all)".into())?;
        let forked = sys::fork_child();
        if let Ok(None) = forked {
            drop((orders, armed));
            worker::run(&taken, arm, &removals);
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)
            .named(|| "sigprocmask(SIG_SETMASK, the mask before)".into())?;
        // Our copies of the worker's ends: left open, they would hide its death from us.
        drop((taken, arm));
        let Some(pid) = forked?.and_then(|pid| rustix::process::Pid::from_raw(pid.as_raw())) else {
            return Err(Error::Input("fork() gave no PID".into()));
        };
        let worker =
            pidfd_open(pid, PidfdFlags::empty()).named(|| format!("pidfd_open({})", pid.as_raw_nonzero()))?;
        Ok(Registry {
            owner: Owner::this_process(),
            worker,
            orders,
            armed: Some(armed),
            removals,
            registered: Vec::new(),
        })
    }

    /// Waits until the worker would outlive whatever ends us, and holds nothing of ours open.
    fn wait_until_ready(&mut self) -> Result<()> {
        let Some(armed) = self.armed.take() else { return Ok(()) };
        // A byte when it is ready, then the end of the pipe.
        let mut bytes = 0;
        loop {
            let mut fds = [PollFd::new(armed.as_fd(), PollFlags::POLLIN)];
            Deadline::new().poll(&mut fds, "the cleanup worker to be ready")?;
            match nix::unistd::read(&armed, &mut [0]).named(|| "read(pipe from the cleanup worker)".into())? {
                0 => break,
                more => bytes += more,
            }
        }
        if bytes == 0 {
            let _ = wait_for(self.worker.as_fd());
            let message = "it ended before it was ready".into();
            return Err(Error::Broken { child: "cleanup worker".into(), message, refused: None });
        }
        Ok(())
    }

    fn lives(&self) -> bool {
        // In doubt it does: who takes a living worker for dead and closes its pipe has everything removed.
        let mut fds = [PollFd::new(self.worker.as_fd(), PollFlags::POLLIN)];
        !poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    fn add(&mut self, leftover: Leftover) -> Result<()> {
        self.wait_until_ready()?;
        self.order(leftover.removal.kind, &leftover.path)?;
        self.registered.push(leftover);
        Ok(())
    }

    /// Ends a worker whose work another has taken over.
    fn end_empty_handed(self) -> Result<()> {
        // It may be one that was killed: then nobody reads this.
        for leftover in &self.registered {
            let _ = self.order("forget", &leftover.path);
        }
        let _ = write_line(&self.orders, FINISH);
        drop(self.orders);
        wait_for(self.worker.as_fd())
    }

    fn order(&self, verb: &str, path: &Path) -> Result<()> {
        let line = [verb.as_bytes(), b" ", path.as_os_str().as_bytes(), b"\n"].concat();
        write_line(&self.orders, &line).named(|| format!("write(pipe to the cleanup worker, \"{verb} …\")"))
    }

    /// Drops the copy that a fork left us, without closing numbers that may be other files by now.
    fn disown(self) {
        std::mem::forget(self);
    }
}

fn write_line(to: &OwnedFd, line: &[u8]) -> Result<(), nix::errno::Errno> {
    loop {
        match nix::unistd::write(to, line) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Waits for the end of a worker, and reaps it.
fn wait_for(worker: BorrowedFd<'_>) -> Result<()> {
    Deadline::new().poll(&mut [PollFd::new(worker, PollFlags::POLLIN)], "the cleanup worker to end")?;
    // ECHILD: SIGCHLD is ignored, or someone waits for any child. It has ended all the same.
    let _ = waitid(WaitId::PidFd(worker), WaitIdOptions::EXITED);
    Ok(())
}

/// After unshare(CLONE_NEWPID) the next child is the init of the new namespace, and after unshare(CLONE_NEWTIME) it
/// fixes the new namespace's offsets. That must not be the worker: it would take the place of the experiment's child.
fn refuse_to_be_first_in_a_namespace() -> Result<()> {
    for kind in ["pid", "time"] {
        let own = fs::read_link(format!("/proc/self/ns/{kind}")).ok();
        // ENOENT while a new PID namespace has had no first child.
        let of_children = fs::read_link(format!("/proc/self/ns/{kind}_for_children")).ok();
        if own != of_children {
            let what = format!(
                "cannot make the cleanup worker after unshare: it would be the first in the new {kind} namespace"
            );
            return Err(Error::Input(format!("{what}; call cleanup::start() before")));
        }
    }
    Ok(())
}
