//! The descriptors that tie a child to its parent, and the signal that ends it with its parent.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::error::{Named, Result};
use crate::sys;

thread_local! {
    /// Descriptors of this process that its children must not keep.
    static OURS: RefCell<Vec<RawFd>> = const { RefCell::new(Vec::new()) };
    /// The reading end of this process's gate, if it is a child that dies with its parent.
    static GATE: RefCell<Option<Rc<Ours>>> = const { RefCell::new(None) };
}

/// A descriptor that the children of this process close before they do anything else.
#[derive(Debug)]
pub(super) struct Ours(OwnedFd);

impl Ours {
    pub(super) fn new(fd: OwnedFd) -> Ours {
        OURS.with_borrow_mut(|ours| ours.push(fd.as_raw_fd()));
        Ours(fd)
    }
}

/// For a child that was just born: its copies of its parent's ends. Left open, they would hide the parent's death.
pub(super) fn leave_to_parent() {
    for fd in OURS.take() {
        let _ = nix::unistd::close(fd);
    }
    GATE.set(None);
}

/// From here on this process dies with the parent that holds the other end of `gate`.
pub(super) fn die_with_parent(gate: &Rc<Ours>) -> Result<()> {
    GATE.set(Some(Rc::clone(gate)));
    arm_again()
}

impl Drop for Ours {
    fn drop(&mut self) {
        let fd = self.0.as_raw_fd();
        OURS.with_borrow_mut(|ours| ours.retain(|own| *own != fd));
    }
}

impl AsFd for Ours {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Makes this process, if it is a child that is to, die with its parent. To be called again after every change of
/// credentials: the kernel then forgets PR_SET_PDEATHSIG (prctl(2)).
pub(crate) fn arm_again() -> Result<()> {
    let Some(gate) = GATE.with_borrow(Clone::clone) else { return Ok(()) };
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).named(|| "prctl(PR_SET_PDEATHSIG, SIGKILL)".into())?;
    let mut fds = [PollFd::new((*gate).as_fd(), PollFlags::empty())];
    let ready = poll(&mut fds, PollTimeout::ZERO).named(|| "poll(gate)".into())?;
    if ready > 0 && fds[0].revents().unwrap_or(PollFlags::empty()).contains(PollFlags::POLLHUP) {
        sys::exit_now(0);
    }
    Ok(())
}
