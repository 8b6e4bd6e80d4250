//! File descriptors of the caller.

use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// close_range(2) with CLOSE_RANGE_CLOEXEC: every descriptor from `first` on is closed by the next execve(2).
pub(crate) fn close_on_exec_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: close_range takes integers only, and with this flag it closes nothing yet.
    let answer =
        unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Errno::result(answer).map(drop)
}

/// close_range(2): closes every descriptor from 3 on that is not in `keep`, whoever opened it. For a process that was
/// forked and goes its own way: no value of its parent's that owns a descriptor is dropped in it.
///
/// # Errors
/// ENOSYS before Linux 5.9, EPERM where a filter hides it. Then none is closed.
pub(crate) fn close_all_but(keep: &[RawFd]) -> Result<(), Errno> {
    let mut keep = keep.to_vec();
    keep.sort_unstable();
    let ends = keep.iter().copied().chain([RawFd::MAX]);
    let mut first = 3;
    for end in ends {
        if first < end {
            // SAFETY: it takes integers only. What it closes is used by nobody, as the caller promises by its kind.
            Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, end - 1, 0) })?;
        }
        first = first.max(end.saturating_add(1));
    }
    Ok(())
}

/// close_range(2): closes `descriptors` by one call for each run of successive numbers.
pub(crate) fn close_all(descriptors: Vec<OwnedFd>) {
    let mut numbers: Vec<RawFd> = descriptors.into_iter().map(IntoRawFd::into_raw_fd).collect();
    numbers.sort_unstable();
    for run in numbers.chunk_by(|number, next| *next == number + 1) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        // SAFETY: every descriptor from `first` to `last` is one of those that were given to this function, which owned
        // them, and nothing else does.
        let answer = unsafe { libc::syscall(libc::SYS_close_range, *first, *last, 0) };
        if answer != 0 {
            run.iter().copied().for_each(close);
        }
    }
}

/// close(2), where close_range(2) is missing (before Linux 5.9) or filtered.
fn close(number: RawFd) {
    // SAFETY: the caller has taken this descriptor from its only owner, and close_range(2) has not closed it.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
}
