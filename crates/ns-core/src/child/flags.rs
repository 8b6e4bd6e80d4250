//! Questions about the flags of clone(2) and clone3(2).

use nix::fcntl::OFlag;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::pipe2;

use crate::error::{Named, Result};
use observation::NsId;

use crate::namespace;
use crate::{sys, tether};

/// The two calls that make a child with flags of one's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// clone(2), whose flags share a word with the exit signal.
    Clone,
    /// clone3(2).
    Clone3,
}

/// Makes a child by `call` with `flags` exactly as they stand, looks which namespaces it is in, and ends it: a
/// question about flags, not a process to work with. CLONE_NEW*, CLONE_FS and CLONE_SYSVSEM may be asked about.
///
/// # Errors
/// The kernel's answer to the call, such as EINVAL for flags that exclude each other.
pub fn clone_with_flags(call: Call, flags: u64) -> Result<Vec<NsId>> {
    let (checkpoint, open) = pipe2(OFlag::O_CLOEXEC).named(|| "pipe()".into())?;
    let Some(pid) = sys::clone_as_typed(call == Call::Clone, flags)? else {
        // It ends when the checkpoint does: when its parent lets go, or dies.
        drop(open);
        tether::leave_to_parent();
        let _ = nix::unistd::read(&checkpoint, &mut [0]);
        sys::exit_now(0)
    };
    drop(checkpoint);
    let found = namespace::of(Some(pid));
    drop(open);
    // An ordinary wait does not see a child whose exit signal is not SIGCHLD (waitpid(2), __WALL).
    waitpid(pid, Some(WaitPidFlag::__WALL)).named(|| format!("waitpid({pid}, __WALL)"))?;
    found
}
