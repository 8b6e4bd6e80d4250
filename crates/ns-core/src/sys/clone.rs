//! Processes that are made, and that end: clone(2), clone3(2), fork(2), _exit(2).

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::unistd::Pid;

use crate::error::{Error, Named, Result};
use crate::files;
use crate::namespace::Namespaces;

/// libc's constant of this name overflows its type, so the kernel's own value stands here (linux/sched.h).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What clone3(2) gives back.
pub(crate) enum Forked {
    /// We are the parent.
    Parent { pid: Pid, pidfd: OwnedFd },
    /// We are the child.
    Child,
}

/// A child inherits the locks of threads that it does not have, so only a process with one thread may make one.
fn require_one_thread(what: &str) -> Result<()> {
    // unshare(CLONE_THREAD) is allowed to a process with one thread, and changes nothing then (unshare(2)). It is one call,
    // and needs no /proc/self, which is not there after a mount namespace was entered without its PID namespace.
    if nix::sched::unshare(CloneFlags::CLONE_THREAD).is_ok() {
        return Ok(());
    }
    match files::thread_count()? {
        1 => Ok(()),
        threads => Err(Error::Input(format!("cannot {what}: {threads} threads run, and only one may"))),
    }
}

/// Makes a child that has a copy of this process's memory, as fork(2) does.
///
/// `flags` are CLONE_NEW* flags; `cgroup`, if any, is the directory of the cgroup v2 in which the child is created.
/// Where a seccomp filter hides clone3 from us, clone(2) is asked, which can carry neither CLONE_NEWTIME nor a cgroup nor
/// numbers. A filter cannot read clone3's flags, since they lie behind a pointer: container engines answer ENOSYS for
/// the whole call, and older ones EPERM. Where EPERM is the kernel's own answer, clone(2) gives it too. `numbers` are the child's PIDs from its own PID namespace upwards, as many as
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
    // SAFETY: this process has one thread (checked above), so no lock is held by a thread that the child lacks. Without
    // CLONE_VM the child runs on its own copy of the stack. The kernel reads `args` and `numbers` and writes `pidfd`,
    // all of which live through the call.
    let mut answer = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    let only_clone3 = into != 0 || !numbers.is_empty() || flags & libc::CLONE_NEWTIME as u64 != 0;
    if answer == -1 && matches!(Errno::last(), Errno::ENOSYS | Errno::EPERM) && !only_clone3 {
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
        // runs on its own copy of the stack. No flag given here uses the last four arguments.
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

/// fork(2) for the one child that must outlive us, the [`crate::cleanup`]'s.
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

/// Creates a child that shares this process's memory, and runs `body` in it (CLONE_VM and CLONE_VFORK in clone(2)). This
/// process waits until the child executes a program, or ends with the status that `body` gives. `body` must not unwind.
///
/// # Errors
/// The kernel's answer. Refused while other threads run.
pub(crate) fn vfork_child(body: &mut dyn FnMut() -> i32) -> Result<Pid> {
    require_one_thread("start a program")?;
    let mut stack = Stack::new()?;
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
    // SAFETY: this process has one thread (checked above), and the kernel stops it while the child runs (CLONE_VFORK). So no
    // two run in this memory at a time. The stack and `body` live until the child has left them, since the call returns
    // only then.
    unsafe { nix::sched::clone(Box::new(|| body() as isize), stack.bytes(), flags, Some(libc::SIGCHLD)) }
        .named(|| "clone(CLONE_VM|CLONE_VFORK)".into())
}

/// Memory for a stack, of which only what is used takes a page.
struct Stack(*mut libc::c_void);

impl Stack {
    const LENGTH: usize = 1 << 20;

    fn new() -> Result<Stack> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: new memory, at an address that the kernel chooses.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), Stack::LENGTH, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(Errno::last()).named(|| "mmap(a stack)".into());
        }
        Ok(Stack(start))
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the memory is this value's alone, is all zeros at first, and is unmapped when the value is dropped.
        unsafe { std::slice::from_raw_parts_mut(self.0.cast(), Stack::LENGTH) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: `new` has mapped it, and nothing refers to it any more.
        let _ = unsafe { libc::munmap(self.0, Stack::LENGTH) };
    }
}

/// Ends this process at once: no destructors, no buffers flushed. They belong to the parent.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: _exit takes an integer and does not return.
    unsafe { libc::_exit(status) }
}
