//! How one process stops and looks at another: ptrace(2), and the waiting for its stops.

use nix::errno::Errno;
use nix::unistd::Pid;

/// `struct ptrace_syscall_info` of linux/ptrace.h up to Linux 6.18, without its union: what the three forms of the union
/// hold lies in `words`, 64 bits each.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RawSyscallInfo {
    pub(crate) op: u8,
    reserved: [u8; 3],
    pub(crate) arch: u32,
    pub(crate) instruction_pointer: u64,
    pub(crate) stack_pointer: u64,
    pub(crate) words: [u64; 8],
}

/// linux/ptrace.h; the C libraries do not all have it.
const PTRACE_GET_SYSCALL_INFO: libc::c_long = 0x420e;

/// linux/prctl.h.
const PR_SET_PTRACER: libc::c_int = 0x5961_6d61;

/// A request that neither reads nor writes memory of ours: `data` is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Seize,
    Continue,
    ContinueToCall,
    Listen,
    Interrupt,
    Detach,
}

impl Request {
    /// Values of linux/ptrace.h, as system calls take them.
    fn number(self) -> libc::c_long {
        match self {
            Request::Continue => 7,
            Request::Detach => 17,
            Request::ContinueToCall => 24,
            Request::Seize => 0x4206,
            Request::Interrupt => 0x4207,
            Request::Listen => 0x4208,
        }
    }
}

/// ptrace(`request`, `thread`, 0, `data`).
///
/// # Errors
/// The kernel's: ESRCH where the thread is not stopped, or not traced by the caller; EPERM where it may not be.
pub(crate) fn ptrace(request: Request, thread: Pid, data: libc::c_long) -> Result<(), Errno> {
    // SAFETY: none of these requests takes a pointer; the kernel reads `data` as flags or as a signal's number.
    let answer = unsafe { libc::syscall(libc::SYS_ptrace, request.number(), thread.as_raw(), 0, data) };
    Errno::result(answer).map(drop)
}

/// PTRACE_GETEVENTMSG: the number that belongs to the event that stopped the thread.
///
/// # Errors
/// ESRCH where the thread is not stopped.
pub(crate) fn event_message(thread: Pid) -> Result<u64, Errno> {
    const PTRACE_GETEVENTMSG: libc::c_long = 0x4201;
    let mut message: libc::c_ulong = 0;
    // SAFETY: the kernel writes one unsigned long into a live one.
    let answer =
        unsafe { libc::syscall(libc::SYS_ptrace, PTRACE_GETEVENTMSG, thread.as_raw(), 0, &raw mut message) };
    Errno::result(answer).map(|_| message as u64)
}

/// PTRACE_GET_SYSCALL_INFO (since Linux 5.3).
///
/// # Errors
/// EIO before Linux 5.3; ESRCH where the thread is not stopped.
pub(crate) fn syscall_info(thread: Pid) -> Result<RawSyscallInfo, Errno> {
    let mut info = RawSyscallInfo::default();
    let size = size_of::<RawSyscallInfo>();
    // SAFETY: the kernel writes at most `size` bytes into a live struct of integers of that size.
    let answer = unsafe {
        libc::syscall(libc::SYS_ptrace, PTRACE_GET_SYSCALL_INFO, thread.as_raw(), size, &raw mut info)
    };
    Errno::result(answer).map(|_| info)
}

/// waitpid(`whom`, `options` | __WALL): which thread changed its state, and the status as the kernel has it; `None`
/// where WNOHANG was given and none did. nix gives no number of a real-time signal, which is to be delivered all the same.
///
/// # Errors
/// ECHILD where nobody is left to wait for.
pub(crate) fn wait(whom: Pid, options: libc::c_int) -> Result<Option<(Pid, i32)>, Errno> {
    let mut status = 0;
    loop {
        // SAFETY: the kernel writes one int into a live one.
        let answer = unsafe { libc::waitpid(whom.as_raw(), &raw mut status, options | libc::__WALL) };
        match Errno::result(answer) {
            Ok(0) => return Ok(None),
            Ok(pid) => return Ok(Some((Pid::from_raw(pid), status))),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// kcmp(`one`, `other`, KCMP_FILES): whether both have the same table of descriptors.
///
/// # Errors
/// The kernel's: ESRCH where one has ended, EPERM where the caller may not ask, ENOSYS where it was built without.
pub(crate) fn shares_descriptors(one: Pid, other: Pid) -> Result<bool, Errno> {
    const KCMP_FILES: libc::c_long = 2;
    // SAFETY: for this type the kernel reads no more than numbers.
    let answer = unsafe { libc::syscall(libc::SYS_kcmp, one.as_raw(), other.as_raw(), KCMP_FILES, 0, 0) };
    Errno::result(answer).map(|order| order == 0)
}

/// prctl(PR_SET_PTRACER, `tracer`): lets a process that is no ancestor trace the caller, where Yama asks for that.
///
/// # Errors
/// EINVAL where the kernel has no Yama.
pub(crate) fn allow_tracer(tracer: Pid) -> Result<(), Errno> {
    // SAFETY: this operation takes a number.
    Errno::result(unsafe { libc::prctl(PR_SET_PTRACER, tracer.as_raw(), 0, 0, 0) }).map(drop)
}
