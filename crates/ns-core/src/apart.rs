//! A process that outlives the one that it was forked from shares nothing with it that would let the end of the one touch
//! the other.

use std::ffi::CStr;
use std::fs;
use std::os::fd::RawFd;

use nix::unistd::{chdir, close, dup2_stderr, dup2_stdin, dup2_stdout, pipe, setsid};

use crate::error::{Named, Result};
use crate::sys;

/// Makes the caller, which is called `name` from here on, such a process. Of its descriptors it keeps those in `keep`.
///
/// # Errors
/// EPERM where the caller leads a process group; EMFILE.
pub(crate) fn stand_apart(name: &CStr, keep: &[RawFd]) -> Result<()> {
    // A signal to the other's process group or a hang-up of its terminal is not for us.
    setsid().named(|| "setsid()".into())?;
    let _ = nix::sys::prctl::set_name(name);
    // The directory that the other was started in may be unmounted while we live.
    chdir("/").named(|| "chdir(\"/\")".into())?;
    // Who reads the other's output to its end must not have to wait for ours. It goes into a pipe that nobody
    // reads (EPIPE), and not to /dev/null, which not every machine has.
    let (unread, nowhere) = pipe().named(|| "pipe()".into())?;
    drop(unread);
    dup2_stdin(&nowhere).named(|| "dup2(pipe, 0)".into())?;
    dup2_stdout(&nowhere).named(|| "dup2(pipe, 1)".into())?;
    dup2_stderr(&nowhere).named(|| "dup2(pipe, 2)".into())?;
    drop(nowhere);
    close_all_but(keep)
}

/// Among the rest are the other's pipes, and our copy of its end of this one.
fn close_all_but(keep: &[RawFd]) -> Result<()> {
    if sys::close_all_but(keep).is_ok() {
        return Ok(());
    }
    let entries = fs::read_dir("/proc/self/fd").named(|| "readdir(\"/proc/self/fd\")".into())?;
    let open: Vec<RawFd> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2 && !keep.contains(fd)) {
        // EBADF: the descriptor that the list itself was read from.
        let _ = close(fd);
    }
    Ok(())
}
