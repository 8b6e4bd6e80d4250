//! System V message queues: the IPC object that is cheapest to make, find and remove (sysvipc(7)).

use nix::errno::Errno;

use crate::error::{Named, Result};
use crate::{Kind, host, sys};

/// Makes the queue of `key`, which must not exist yet, and gives its identifier.
///
/// # Errors
/// EEXIST; ENOSPC at the limit of /proc/sys/kernel/msgmni. A queue outlives its maker, so it is not made in the IPC
/// namespace that we were started in ([`crate::Error::WouldChangeHost`]).
pub fn make_queue(key: i32) -> Result<i32> {
    let call = || format!("msgget({key:#x}, IPC_CREAT|IPC_EXCL)");
    host::require_left(Kind::Ipc, call)?;
    sys::msgget(key, libc::IPC_CREAT | libc::IPC_EXCL | 0o600).named(call)
}

/// The identifier of the queue of `key`, if the caller's IPC namespace has one.
///
/// # Errors
/// EACCES where it is another user's.
pub fn find_queue(key: i32) -> Result<Option<i32>> {
    match sys::msgget(key, 0) {
        Ok(queue) => Ok(Some(queue)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno).named(|| format!("msgget({key:#x}, 0)")),
    }
}
