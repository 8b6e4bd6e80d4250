//! What ties a child to its parent: descriptors, and the signal that ends it with its parent.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::error::{Named, Result};
use crate::sys;

thread_local! {
    /// Descriptors of this process that its children must not keep.
    static PARENT_ONLY: RefCell<Vec<RawFd>> = const { RefCell::new(Vec::new()) };
    /// The reading end of this process's checkpoint, if it is a child that dies with its parent.
    static CHECKPOINT: RefCell<Option<Rc<ParentOnlyFd>>> = const { RefCell::new(None) };
}

/// A descriptor that the children of this process close before they do anything else.
#[derive(Debug)]
pub(crate) struct ParentOnlyFd(OwnedFd);

impl ParentOnlyFd {
    pub(crate) fn new(fd: OwnedFd) -> ParentOnlyFd {
        PARENT_ONLY.with_borrow_mut(|fds| fds.push(fd.as_raw_fd()));
        ParentOnlyFd(fd)
    }
}

/// For a child that was just created: its copies of its parent's ends. Left open, they would hide the parent's death.
pub(crate) fn leave_to_parent() {
    for fd in PARENT_ONLY.take() {
        let _ = nix::unistd::close(fd);
    }
    CHECKPOINT.set(None);
}

/// For a process that shares this one's memory, and has copies of its descriptors: closes those that are its parent's, but
/// for `kept`. Left open, they would hide the parent's death.
pub(crate) fn close_copies_but(kept: BorrowedFd<'_>) {
    PARENT_ONLY.with_borrow(|fds| {
        for fd in fds.iter().filter(|fd| **fd != kept.as_raw_fd()) {
            let _ = nix::unistd::close(*fd);
        }
    });
}

/// From here on this process dies with the parent that holds the other end of `checkpoint`.
pub(crate) fn die_with_parent(checkpoint: &Rc<ParentOnlyFd>) -> Result<()> {
    CHECKPOINT.set(Some(Rc::clone(checkpoint)));
    arm_again()
}

impl Drop for ParentOnlyFd {
    fn drop(&mut self) {
        let fd = self.0.as_raw_fd();
        PARENT_ONLY.with_borrow_mut(|fds| fds.retain(|own| *own != fd));
    }
}

impl AsFd for ParentOnlyFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Makes this process, if it is a child that is to, die with its parent. To be called again after every change of
/// credentials: the kernel then forgets PR_SET_PDEATHSIG (prctl(2)).
pub(crate) fn arm_again() -> Result<()> {
    let Some(checkpoint) = CHECKPOINT.with_borrow(Clone::clone) else { return Ok(()) };
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).named(|| "prctl(PR_SET_PDEATHSIG, SIGKILL)".into())?;
    let mut fds = [PollFd::new((*checkpoint).as_fd(), PollFlags::empty())];
    let ready = poll(&mut fds, PollTimeout::ZERO).named(|| "poll(checkpoint)".into())?;
    if ready > 0 && fds[0].revents().unwrap_or(PollFlags::empty()).contains(PollFlags::POLLHUP) {
        sys::exit_now(0);
    }
    Ok(())
}
