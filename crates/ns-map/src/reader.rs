//! Who reads what is followed: until they have gone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Result;
use map::Looks;
use rustix::fs::{FileType, fstat};

/// Waits until something may have changed since the last look. False if nobody reads standard output any more.
///
/// # Errors
/// Those of poll(2).
pub(crate) fn waited(looks: &mut Looks) -> Result<bool> {
    let stdout = io::stdout();
    // A pipe that is written to has nothing to read: it becomes ready when its reader has gone.
    let pipe: Vec<BorrowedFd<'_>> = is_pipe(&stdout).then(|| stdout.as_fd()).into_iter().collect();
    Ok(looks.wait(&pipe)?.is_none())
}

fn is_pipe(descriptor: impl AsFd) -> bool {
    fstat(descriptor).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_fifo())
}
