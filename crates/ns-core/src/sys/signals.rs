//! Signals: sigaction(2), fcntl(2) on SIGIO, and a fault that is real.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::Pid;

use crate::error::{Named, Result};

/// Where the signal handler writes what it caught; -1 while none is installed.
static CAUGHT: AtomicI32 = AtomicI32::new(-1);

extern "C" fn note_signal(number: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let errno = Errno::last_raw();
    // SAFETY: with SA_SIGINFO the kernel passes a pointer to a siginfo_t that is valid during the handler.
    let info = unsafe { &*info };
    // SAFETY: si_pid is set for a signal that kill(2) sent; for another, the union holds other integers, and any
    // bits are a value.
    let sender = unsafe { info.si_pid() };
    let record: [i32; 2] = [number, sender];
    // SAFETY: write(2) is async-signal-safe, and the record lives on this stack.
    unsafe { libc::write(CAUGHT.load(Ordering::Relaxed), record.as_ptr().cast(), size_of_val(&record)) };
    Errno::set_raw(errno);
}

/// Installs a handler that writes (signal number, sender's PID) as two native-endian i32 to `to`.
pub(crate) fn handle_signal(signal: Signal, to: BorrowedFd<'_>) -> Result<()> {
    CAUGHT.store(to.as_raw_fd(), Ordering::Relaxed);
    // All signals wait while it runs. Otherwise, of two that are pending, the handler of the second to be delivered
    // would run on top of the first's, and write first.
    let action = SigAction::new(SigHandler::SigAction(note_signal), SaFlags::SA_RESTART, SigSet::all());
    // SAFETY: note_signal makes async-signal-safe calls only, and saves errno.
    unsafe { sigaction(signal, &action) }.named(|| format!("sigaction({signal}, handler)"))?;
    Ok(())
}

/// Has the handler write no more to `to`, whose number may be another file's once it is closed.
pub(crate) fn forget_handled(to: BorrowedFd<'_>) {
    // Unless another has taken its place meanwhile.
    let _ = CAUGHT.compare_exchange(to.as_raw_fd(), -1, Ordering::Relaxed, Ordering::Relaxed);
}

/// Gives a signal back its default disposition.
pub(crate) fn default_signal(signal: Signal) -> Result<()> {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: SIG_DFL runs no code of ours.
    unsafe { sigaction(signal, &action) }.named(|| format!("sigaction({signal}, SIG_DFL)"))?;
    Ok(())
}

/// Has a signal ignored.
pub(crate) fn ignore_signal(signal: Signal) -> Result<()> {
    let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: SIG_IGN runs no code of ours.
    unsafe { sigaction(signal, &action) }.named(|| format!("sigaction({signal}, SIG_IGN)"))?;
    Ok(())
}

/// Has the kernel send SIGIO to `owner` when `file` becomes ready: fcntl(2), F_SETOWN and O_ASYNC.
pub(crate) fn send_sigio(file: BorrowedFd<'_>, owner: Pid) -> Result<()> {
    // SAFETY: F_SETOWN takes an integer, and changes nothing but whom the kernel signals about this open file.
    let answer = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETOWN, owner.as_raw()) };
    Errno::result(answer).named(|| format!("fcntl(fd, F_SETOWN, {owner})"))?;
    let flags = fcntl(file, FcntlArg::F_GETFL).named(|| "fcntl(fd, F_GETFL)".into())?;
    let flags = OFlag::from_bits_retain(flags) | OFlag::O_ASYNC;
    fcntl(file, FcntlArg::F_SETFL(flags)).named(|| "fcntl(fd, F_SETFL, O_ASYNC)".into()).map(drop)
}

/// A real fault: reads a page that may not be read, for which the kernel sends SIGSEGV.
///
/// # Errors
/// Only if the page cannot be had. The read itself does not return unless SIGSEGV is handled.
pub(crate) fn fault() -> Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, placed by the kernel, aliases no memory in use.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_NONE, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(Errno::last()).named(|| "mmap(PROT_NONE)".into());
    }
    // SAFETY: the byte is inside the mapping made above, which is ours; the processor refuses the load.
    unsafe { page.cast::<u8>().read_volatile() };
    Ok(())
}
