//! Whether standard output was closed when this process started.

use std::sync::atomic::{AtomicBool, Ordering};

/// Before `main`, Rust opens /dev/null in the place of a closed descriptor 0, 1 or 2. Then nobody could tell any
/// more that standard output was closed, and output would vanish in silence. So this looks first.
static STDOUT_CLOSED: AtomicBool = AtomicBool::new(false);

extern "C" fn look_at_stdout() {
    // SAFETY: fcntl(F_GETFD) takes integers only.
    let answer = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    STDOUT_CLOSED.store(answer == -1, Ordering::Relaxed);
}

// SAFETY: functions in .init_array run once, before main, with the C calling convention that is declared here.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK_AT_STDOUT: extern "C" fn() = look_at_stdout;

/// Whether standard output was closed when this process started.
pub fn stdout_was_closed() -> bool {
    STDOUT_CLOSED.load(Ordering::Relaxed)
}
