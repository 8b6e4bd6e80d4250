//! Every `unsafe` of the workspace, here and in the modules below, each behind a signature that is safe to call.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::Pid;

use crate::error::{Error, Named, Result};
use crate::{Namespaces, process};

mod ipc;
mod keys;
mod nsfs;

pub(crate) use ipc::*;
pub(crate) use keys::*;
pub(crate) use nsfs::*;

/// libc's constant of this name overflows its type, so the kernel's own value stands here (linux/sched.h).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// A text as system calls take it: with a NUL at its end.
///
/// # Errors
/// [`Error::Input`] where it has one before.
pub fn c_string(text: impl AsRef<OsStr>) -> Result<CString> {
    let text = text.as_ref();
    CString::new(text.as_encoded_bytes()).map_err(|_| Error::Input(format!("{text:?} has a NUL")))
}

/// What clone3(2) gives back.
pub(crate) enum Forked {
    /// We are the parent.
    Parent { pid: Pid, pidfd: OwnedFd },
    /// We are the child.
    Child,
}

/// A child inherits the locks of threads that it does not have, so only a process with one thread may make one.
fn require_one_thread(what: &str) -> Result<()> {
    match process::thread_count()? {
        1 => Ok(()),
        threads => Err(Error::Input(format!("cannot {what}: {threads} threads run, and only one may"))),
    }
}

/// Makes a child that has a copy of this process's memory, as fork(2) does.
///
/// `flags` are CLONE_NEW* flags; `cgroup`, if any, is the directory of the cgroup v2 in which the child is born.
/// Where a seccomp filter hides clone3 from us (as container engines do), clone(2) is asked, which can carry neither
/// CLONE_NEWTIME nor a cgroup nor numbers. `numbers` are the child's PIDs from its own PID namespace upwards, as many as
/// are to be chosen. `typed` is the call as one would type it.
///
/// # Errors
/// The kernel's answer. Refused unless exactly one thread runs: the child would inherit the locks of threads that it does not have.
pub(crate) fn clone3(
    flags: u64,
    cgroup: Option<BorrowedFd<'_>>,
    numbers: &[libc::pid_t],
    typed: impl FnOnce() -> String,
) -> Result<Forked> {
    require_one_thread("make a child")?;
    let mut pidfd: RawFd = -1;
    let into = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    // SAFETY: clone_args is a struct of integers, for which all zero bits are a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags | into | libc::CLONE_PIDFD as u64;
    args.pidfd = &raw mut pidfd as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    args.cgroup = cgroup.map_or(0, |fd| fd.as_raw_fd() as u64);
    args.set_tid = if numbers.is_empty() { 0 } else { numbers.as_ptr() as u64 };
    args.set_tid_size = numbers.len() as u64;
    // SAFETY: this process has one thread (checked above), so no lock is held by a thread that the child lacks;
    // without CLONE_VM the child runs on its own copy of the stack. The kernel reads `args` and `numbers` and writes
    // `pidfd`, all of which live through the call.
    let mut answer = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    let only_clone3 = into != 0 || !numbers.is_empty() || flags & libc::CLONE_NEWTIME as u64 != 0;
    if answer == -1 && Errno::last() == Errno::ENOSYS && !only_clone3 {
        let word = flags as libc::c_long | libc::c_long::from(libc::CLONE_PIDFD | libc::SIGCHLD);
        // SAFETY: as above; the third argument is where the pidfd goes on every architecture, and no flag given
        // here uses the last two.
        answer = unsafe { libc::syscall(libc::SYS_clone, word, 0, &raw mut pidfd, 0, 0) };
    }
    match answer {
        -1 => Err(Errno::last()).named(typed),
        0 => Ok(Forked::Child),
        pid => {
            // SAFETY: the kernel has just opened this descriptor for us (CLONE_PIDFD), and nobody else owns it.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Forked::Parent { pid: Pid::from_raw(pid as i32), pidfd })
        }
    }
}

/// Makes a child with `flags` exactly as they stand, by clone(2) if `legacy` and else by clone3(2), and gives its PID;
/// in the child `None`, which then ends by [`exit_now`].
///
/// # Errors
/// The kernel's answer. Refused as [`clone3`], and for flags other than CLONE_NEW*, CLONE_FS and CLONE_SYSVSEM.
pub(crate) fn clone_as_typed(legacy: bool, flags: u64) -> Result<Option<Pid>> {
    let harmless = Namespaces::all().bits() | (libc::CLONE_FS | libc::CLONE_SYSVSEM) as u64;
    require_one_thread("make a child")?;
    if flags & !harmless != 0 {
        return Err(Error::Input(format!("cannot make a child with flags {flags:#x}")));
    }
    let answer = if legacy {
        let word = flags as libc::c_long | libc::c_long::from(libc::SIGCHLD);
        // SAFETY: this process has one thread, and CLONE_VM is not among the flags (both checked above), so the child
        // runs on its own copy of the stack; no flag given here uses the last four arguments.
        unsafe { libc::syscall(libc::SYS_clone, word, 0, 0, 0, 0) }
    } else {
        // SAFETY: clone_args is a struct of integers, for which all zero bits are a value.
        let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
        args.flags = flags;
        args.exit_signal = libc::SIGCHLD as u64;
        // SAFETY: as for clone(2) above.
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) }
    };
    match answer {
        -1 => Err(Errno::last()).named(|| format!("{}({flags:#x})", if legacy { "clone" } else { "clone3" })),
        0 => Ok(None),
        pid => Ok(Some(Pid::from_raw(pid as i32))),
    }
}

/// fork(2) for the one child that must outlive us, the [`crate::janitor`]'s.
///
/// # Errors
/// As [`clone3`].
pub(crate) fn fork_child() -> Result<Option<Pid>> {
    require_one_thread("fork")?;
    // SAFETY: this process has one thread (checked above), so no lock is held by a thread that the child lacks.
    match unsafe { nix::unistd::fork() }.named(|| "fork()".into())? {
        nix::unistd::ForkResult::Parent { child } => Ok(Some(child)),
        nix::unistd::ForkResult::Child => Ok(None),
    }
}

/// Ends this process at once: no destructors, no buffers flushed. They belong to the parent.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: _exit takes an integer and does not return.
    unsafe { libc::_exit(status) }
}

/// close_range(2) with CLOSE_RANGE_CLOEXEC: every descriptor from `first` on is closed by the next execve(2).
pub(crate) fn close_on_exec_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: close_range takes integers only, and with this flag it closes nothing yet.
    let answer =
        unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Errno::result(answer).map(drop)
}

/// What mount_setattr(2) takes: struct mount_attr in linux/mount.h, which libc lacks.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct MountAttr {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    pub(crate) propagation: u64,
    pub(crate) user_namespace: u64,
}

/// mount_setattr(2) on the mount that `fd` refers to; `recursively` on those below it too.
pub(crate) fn mount_setattr(fd: BorrowedFd<'_>, recursively: bool, attr: &MountAttr) -> Result<(), Errno> {
    let flags = libc::AT_EMPTY_PATH | if recursively { libc::AT_RECURSIVE } else { 0 };
    let (attr, size) = (std::ptr::from_ref(attr), size_of::<MountAttr>());
    // SAFETY: the path is a string with its NUL, and the struct is alive, laid out as the kernel's, of the size given.
    let answer =
        unsafe { libc::syscall(libc::SYS_mount_setattr, fd.as_raw_fd(), c"".as_ptr(), flags, attr, size) };
    Errno::result(answer).map(drop)
}

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

/// clock_gettime(2) as a system call, past the vDSO: seconds and nanoseconds.
pub(crate) fn clock_gettime(clock: libc::clockid_t) -> Result<[libc::c_long; 2], Errno> {
    let mut time: [libc::c_long; 2] = [0; 2];
    // SAFETY: the kernel writes two longs (its timespec for this call) at the address of a live array of two.
    Errno::result(unsafe { libc::syscall(libc::SYS_clock_gettime, clock, &raw mut time) })?;
    Ok(time)
}

/// The first published form of perf_event_attr (linux/perf_event.h).
#[repr(C)]
struct EventAttr {
    kind: u32,
    size: u32,
    config: u64,
    rest: [u64; 6],
}

/// perf_event_open(2) for the page faults of a cgroup's members on one CPU.
pub(crate) fn count_page_faults(cgroup: BorrowedFd<'_>, cpu: i32) -> Result<OwnedFd, Errno> {
    const OF_A_CGROUP: u64 = 4 | 8; // PERF_FLAG_PID_CGROUP | PERF_FLAG_FD_CLOEXEC
    // PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS
    let attr = EventAttr { kind: 1, size: size_of::<EventAttr>() as u32, config: 2, rest: [0; 6] };
    let fd = cgroup.as_raw_fd();
    // SAFETY: the kernel reads as many bytes as `size` says, which is all of a struct that outlives the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const attr, fd, cpu, -1, OF_A_CGROUP) };
    let event = Errno::result(answer)?;
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(event as RawFd) })
}

/// swapon(2)
pub(crate) fn swapon(path: &CStr) -> Result<(), Errno> {
    // SAFETY: the path is a string that ends in NUL and outlives the call.
    Errno::result(unsafe { libc::swapon(path.as_ptr(), 0) }).map(drop)
}

/// swapoff(2)
pub(crate) fn swapoff(path: &CStr) -> Result<(), Errno> {
    // SAFETY: the path is a string that ends in NUL and outlives the call.
    Errno::result(unsafe { libc::swapoff(path.as_ptr()) }).map(drop)
}

/// settimeofday(2) with neither a time nor a time zone, past the C library, which would look for the time.
pub(crate) fn settimeofday_nothing() -> Result<(), Errno> {
    // SAFETY: both pointers are null, which the kernel takes for "leave it".
    Errno::result(unsafe { libc::syscall(libc::SYS_settimeofday, 0, 0) }).map(drop)
}

/// delete_module(2), not waiting.
pub(crate) fn delete_module(name: &CStr) -> Result<(), Errno> {
    // SAFETY: the kernel reads a string that ends in NUL and lives through the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_delete_module, name.as_ptr(), libc::O_NONBLOCK) })
        .map(drop)
}

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
