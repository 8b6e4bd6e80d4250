//! Calls that another process answers: seccomp_unotify(2).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use libc::c_long;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::unistd::Pid;

use crate::deadline::Deadline;
use crate::error::{Named, Result};
use crate::sys;

/// Where the calls arrive that a filter lets a supervisor answer. When its last copy is closed, such calls get ENOSYS.
#[derive(Debug)]
pub struct Listener(OwnedFd);

/// A call that waits for an answer.
#[derive(Debug, Clone, Copy)]
pub struct Notification {
    id: u64,
    /// Who makes the call, as our PID namespace numbers it.
    pub caller: Pid,
    /// The number of the call, such as `libc::SYS_mount`.
    pub number: c_long,
    /// Its arguments. What a pointer leads to is in the caller's memory, which it may change at any time: nothing that
    /// keeps anybody out may rest on it (seccomp_unotify(2), "Caveats").
    pub arguments: [u64; 6],
}

impl From<OwnedFd> for Listener {
    /// A descriptor that another process has for its filter.
    fn from(fd: OwnedFd) -> Listener {
        Listener(fd)
    }
}

impl Listener {
    /// The number of its descriptor.
    pub fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Waits for the next call; `None` if there will be none, since all processes behind the filter have ended.
    ///
    /// # Errors
    /// [`crate::Error::Deadline`] if there is none; ENOENT when the caller was killed meanwhile.
    pub fn next(&self) -> Result<Option<Notification>> {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        Deadline::new().poll(&mut fds, "a call to answer")?;
        if !fds[0].revents().unwrap_or(PollFlags::empty()).contains(PollFlags::POLLIN) {
            return Ok(None);
        }
        let it = sys::receive_notification(self.0.as_fd())
            .named(|| "ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV)".into())?;
        let caller = Pid::from_raw(it.pid.try_into().unwrap_or_default());
        let (number, arguments) = (it.data.nr.into(), it.data.args);
        Ok(Some(Notification { id: it.id, caller, number, arguments }))
    }

    /// The kernel makes the call after all.
    ///
    /// # Errors
    /// ENOENT when the caller is gone; EINVAL before Linux 5.5.
    pub fn let_through(&self, to: Notification) -> Result<()> {
        self.send(to, 0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32)
    }

    /// The call returns `value`, and the kernel does not make it.
    ///
    /// # Errors
    /// ENOENT when the caller is gone.
    pub fn give(&self, to: Notification, value: i64) -> Result<()> {
        self.send(to, value, 0, 0)
    }

    /// The call fails with `errno`, and the kernel does not make it.
    ///
    /// # Errors
    /// ENOENT when the caller is gone.
    pub fn refuse(&self, to: Notification, errno: Errno) -> Result<()> {
        self.send(to, 0, -(errno as i32), 0)
    }

    /// The call returns a descriptor: a copy of `fd`, which the caller has from then on.
    ///
    /// # Errors
    /// ENOENT when the caller is gone; EINVAL before Linux 5.9.
    pub fn give_descriptor(&self, to: Notification, fd: BorrowedFd<'_>) -> Result<()> {
        let number = sys::add_descriptor(self.0.as_fd(), to.id, fd)
            .named(|| "ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD)".into())?;
        self.give(to, number.into())
    }

    fn send(&self, to: Notification, val: i64, error: i32, flags: u32) -> Result<()> {
        let answer = libc::seccomp_notif_resp { id: to.id, val, error, flags };
        sys::answer_notification(self.0.as_fd(), &answer)
            .named(|| "ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND)".into())
    }
}
