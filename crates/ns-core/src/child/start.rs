//! A child that only executes a program.

use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::unistd::Pid;

use crate::error::Result;
use crate::{namespace, sys};

/// The exit status of a child whose body panicked.
const PANICKED: i32 = 101;

/// Starts a child that shares this process's memory until it executes a program or ends, as posix_spawn(3) does. The
/// caller waits so long, and no page of memory is copied.
///
/// `become_it` runs in the child, which has copies of the descriptors, and its own user, directory and signals. It
/// executes the program, or gives the exit status of the child if it cannot. What it leaves in memory, the caller has too,
/// and so it must not set PR_SET_DUMPABLE. The child reports nothing, and does not die with its parent.
///
/// # Errors
/// Those of clone(2). Refused while other threads run.
pub fn start_program(become_it: impl FnOnce() -> i32) -> Result<Pid> {
    let mut become_it = Some(become_it);
    namespace::kept(|| {
        sys::vfork_child(&mut || {
            let status = become_it.take().map(|become_it| catch_unwind(AssertUnwindSafe(become_it)));
            status.and_then(std::result::Result::ok).unwrap_or(PANICKED)
        })
    })
}
