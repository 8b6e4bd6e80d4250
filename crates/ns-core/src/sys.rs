//! Every `unsafe` of the workspace, each behind a signature that is safe to call.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::Pid;

use crate::error::{Error, Named, Result};
use crate::{Namespaces, process};

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
    // without CLONE_VM the child runs on its own copy of the stack.
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

/// An ioctl that gives a new descriptor of a namespace: NS_GET_USERNS, NS_GET_PARENT, SIOCGSKNS.
pub(crate) fn ns_ioctl_fd(fd: BorrowedFd<'_>, request: libc::Ioctl) -> Result<OwnedFd, Errno> {
    // SAFETY: these requests take no argument, so the kernel touches no memory of ours.
    let answer = Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), request) })?;
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(answer) })
}

/// NS_GET_NSTYPE, whose answer is the return value.
pub(crate) fn ns_ioctl_type(fd: BorrowedFd<'_>, request: libc::Ioctl) -> Result<i32, Errno> {
    // SAFETY: this request takes no argument, so the kernel touches no memory of ours.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), request) })
}

/// NS_GET_OWNER_UID, which writes a uid_t.
pub(crate) fn ns_ioctl_u32(fd: BorrowedFd<'_>, request: libc::Ioctl) -> Result<u32, Errno> {
    let mut answer = 0_u32;
    // SAFETY: the kernel writes one uid_t (32 bits) at the address of a live u32.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut answer) })?;
    Ok(answer)
}

/// NS_GET_ID, which writes a 64-bit number.
pub(crate) fn ns_ioctl_u64(fd: BorrowedFd<'_>, request: libc::Ioctl) -> Result<u64, Errno> {
    let mut answer = 0_u64;
    // SAFETY: the kernel writes one 64-bit number at the address of a live u64.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut answer) })?;
    Ok(answer)
}

/// NS_GET_PID_IN_PIDNS and its like, which take a number and answer with one.
pub(crate) fn ns_ioctl_number(fd: BorrowedFd<'_>, request: libc::Ioctl, number: i32) -> Result<i32, Errno> {
    // SAFETY: the argument of these requests is a number, not an address, so the kernel touches no memory of ours.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), request, libc::c_long::from(number)) })
}

/// recvmsg(2) of one datagram, whose bytes are dropped: the credentials that came along, if any did.
pub(crate) fn receive_credentials(fd: BorrowedFd<'_>) -> Result<Option<libc::ucred>, Errno> {
    let mut bytes = [0_u8; 64];
    // Of u64, so that it is aligned as a cmsghdr has to be; room for a header and a ucred.
    let mut control = [0_u64; 8];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: msghdr is a struct of integers and pointers, for which all zero bits are a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: every pointer in `message` is to a live buffer of the length given beside it.
    Errno::result(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, 0) })?;
    // SAFETY: `message` was filled by recvmsg, and its control buffer still lives.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    // SAFETY: CMSG_FIRSTHDR gives a null pointer, or one to a whole header inside the control buffer.
    let Some(found) = (unsafe { header.as_ref() }) else { return Ok(None) };
    if found.cmsg_level != libc::SOL_SOCKET || found.cmsg_type != libc::SCM_CREDENTIALS {
        return Ok(None);
    }
    // SAFETY: the header, checked to be one, lies in the control buffer, and its data follow it.
    let data = unsafe { libc::CMSG_DATA(header) }.cast::<libc::ucred>();
    // SAFETY: the kernel wrote a ucred there, as the header's type says; it need not be aligned.
    Ok(Some(unsafe { data.read_unaligned() }))
}

/// Room for the largest file handle (MAX_HANDLE_SZ), after its two fields of 32 bits: how many bytes it has, and its type.
const HANDLE: usize = 8 + 128;

/// name_to_handle_at(2), following a link: the handle with its two fields.
pub(crate) fn name_to_handle(path: &CStr) -> Result<Vec<u8>, Errno> {
    let mut handle = [0_u32; HANDLE / 4];
    handle[0] = (HANDLE - 8) as u32;
    let mut mount: libc::c_int = 0;
    // SAFETY: the kernel reads a string that ends with NUL, and writes at most as many bytes as the first field of the
    // array says, all of which lie in it, and one int.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            path.as_ptr(),
            handle.as_mut_ptr(),
            &raw mut mount,
            libc::AT_SYMLINK_FOLLOW,
        )
    };
    Errno::result(answer)?;
    Ok(handle.iter().flat_map(|word| word.to_ne_bytes()).collect())
}

/// open_by_handle_at(2) with FD_NSFS_ROOT (linux/fcntl.h) in the place of a mount.
pub(crate) fn open_nsfs_handle(handle: &[u8]) -> Result<OwnedFd, Errno> {
    const FD_NSFS_ROOT: libc::c_int = -10003;
    let mut words = [0_u32; HANDLE / 4];
    for (word, bytes) in words.iter_mut().zip(handle.chunks_exact(4)) {
        *word = bytes.try_into().map_or(0, u32::from_ne_bytes);
    }
    words[0] = words[0].min((HANDLE - 8) as u32);
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the kernel reads the two fields and as many bytes as the first says, which lie in the array.
    let answer = Errno::result(unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, FD_NSFS_ROOT, words.as_ptr(), flags)
    })?;
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(answer as RawFd) })
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
pub(crate) fn swapon(path: &std::path::Path) -> Result<(), Errno> {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the path is a string that ends in NUL and outlives the call.
    Errno::result(unsafe { libc::swapon(path.as_ptr(), 0) }).map(drop)
}

/// swapoff(2)
pub(crate) fn swapoff(path: &std::path::Path) -> Result<(), Errno> {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the path is a string that ends in NUL and outlives the call.
    Errno::result(unsafe { libc::swapoff(path.as_ptr()) }).map(drop)
}

/// msgget(2): the System V message queue of `key`.
pub(crate) fn msgget(key: i32, flags: i32) -> Result<i32, Errno> {
    // SAFETY: msgget takes integers only.
    Errno::result(unsafe { libc::msgget(key, flags) })
}

/// msgget(2), semget(2) (one semaphore) or shmget(2) (one page): the System V object of `key`.
pub(crate) fn sysv_get(what: crate::ipc::SysV, key: i32, flags: i32) -> Result<i32, Errno> {
    use crate::ipc::SysV;
    let size = if flags & libc::IPC_CREAT == 0 { 0 } else { crate::ipc::SEGMENT_SIZE };
    Errno::result(match what {
        SysV::Queue => return msgget(key, flags),
        // SAFETY: semget takes integers only.
        SysV::Semaphore => unsafe { libc::semget(key, i32::from(size > 0), flags) },
        // SAFETY: shmget takes integers only.
        SysV::Segment => unsafe { libc::shmget(key, size, flags) },
    })
}

/// msgctl(2), semctl(2) or shmctl(2) with IPC_STAT: whether there is an object of this identifier.
pub(crate) fn sysv_stat(what: crate::ipc::SysV, id: i32) -> Result<(), Errno> {
    use crate::ipc::SysV;
    // The kernel's structures are of about a hundred bytes.
    let mut space = [0_u64; 64];
    let at = space.as_mut_ptr();
    Errno::result(match what {
        // SAFETY: the kernel writes one structure to live memory of 512 bytes, aligned for it.
        SysV::Queue => unsafe { libc::msgctl(id, libc::IPC_STAT, at.cast()) },
        // SAFETY: as above.
        SysV::Semaphore => unsafe { libc::semctl(id, 0, libc::IPC_STAT, at) },
        // SAFETY: as above.
        SysV::Segment => unsafe { libc::shmctl(id, libc::IPC_STAT, at.cast()) },
    })
    .map(drop)
}

/// A message of System V: its type, which is above 0, and its text.
#[repr(C)]
struct Message {
    kind: libc::c_long,
    text: [u8; 64],
}

/// msgsnd(2), without waiting. At most 64 bytes are sent.
pub(crate) fn msgsnd(queue: i32, text: &[u8]) -> Result<(), Errno> {
    let mut message = Message { kind: 1, text: [0; 64] };
    let length = text.len().min(64);
    message.text[..length].copy_from_slice(&text[..length]);
    // SAFETY: the kernel reads the type and `length` bytes, which are inside the message.
    Errno::result(unsafe { libc::msgsnd(queue, (&raw const message).cast(), length, libc::IPC_NOWAIT) })
        .map(drop)
}

/// msgrcv(2), without waiting: the first message.
pub(crate) fn msgrcv(queue: i32) -> Result<Vec<u8>, Errno> {
    let mut message = Message { kind: 0, text: [0; 64] };
    // SAFETY: the kernel writes a type and at most 64 bytes, for which the message has room.
    let length =
        Errno::result(unsafe { libc::msgrcv(queue, (&raw mut message).cast(), 64, 0, libc::IPC_NOWAIT) })?;
    Ok(message.text[..length as usize].to_vec())
}

/// semctl(2) with GETVAL: the value of the first semaphore of a set.
pub(crate) fn semaphore_value(set: i32) -> Result<i32, Errno> {
    // SAFETY: GETVAL takes no fourth argument, so the kernel touches no memory of ours.
    Errno::result(unsafe { libc::semctl(set, 0, libc::GETVAL) })
}

/// semop(2) on the first semaphore of a set: adds `by`, without waiting. With `undo`, the kernel takes it back when this
/// process leaves the namespace or ends.
pub(crate) fn semop(set: i32, by: i16, undo: bool) -> Result<(), Errno> {
    let undo = if undo { libc::SEM_UNDO } else { 0 };
    let mut operation =
        libc::sembuf { sem_num: 0, sem_op: by, sem_flg: (undo | libc::IPC_NOWAIT) as libc::c_short };
    // SAFETY: the kernel reads one sembuf at the address of a live one.
    Errno::result(unsafe { libc::semop(set, &raw mut operation, 1) }).map(drop)
}

/// shmat(2): where the segment is now. It stays there until [`shmdt`] or the end of the process.
pub(crate) fn shmat(segment: i32) -> Result<*mut u8, Errno> {
    // SAFETY: the kernel chooses a place that is not in use.
    let at = unsafe { libc::shmat(segment, std::ptr::null(), 0) };
    if at as isize == -1 { Err(Errno::last()) } else { Ok(at.cast()) }
}

/// A number in a segment of at least eight bytes. Others may write it at any time, so it is atomic.
pub(crate) fn shared_number(segment: &crate::ipc::Segment) -> &std::sync::atomic::AtomicU64 {
    // SAFETY: a Segment's address is that of a page which shmat() has mapped for reading and writing, which no reference
    // but those of this function is into, and which stays as long as the Segment.
    unsafe { std::sync::atomic::AtomicU64::from_ptr(segment.address().cast()) }
}

/// shmdt(2).
pub(crate) fn shmdt(address: *mut u8) {
    // SAFETY: only a Segment calls this, at its end, when no reference into it is left.
    unsafe { libc::shmdt(address.cast()) };
}

/// mq_open(2): the queue of `name`, which begins without a slash here, not waiting when it is empty or full. A new one has
/// room for four messages of 128 bytes: by default it would take a tenth of what a user has (RLIMIT_MSGQUEUE).
pub(crate) fn mq_open(name: &CStr, flags: i32) -> Result<OwnedFd, Errno> {
    let flags = flags | libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC;
    // struct mq_attr: flags, messages, bytes of one, messages now, and four that are reserved.
    let attributes: [libc::c_long; 8] = [0, 4, 128, 0, 0, 0, 0, 0];
    // SAFETY: the kernel reads a string that ends with a NUL, and eight longs at the address of a live array of eight.
    let fd = Errno::result(unsafe {
        libc::syscall(libc::SYS_mq_open, name.as_ptr(), flags, 0o600, attributes.as_ptr())
    })?;
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// mq_send(3).
pub(crate) fn mq_send(queue: BorrowedFd<'_>, text: &[u8]) -> Result<(), Errno> {
    let (at, length, forever) = (text.as_ptr(), text.len(), std::ptr::null::<libc::timespec>());
    // SAFETY: the kernel reads `length` bytes of a live slice.
    Errno::result(unsafe { libc::syscall(libc::SYS_mq_timedsend, queue.as_raw_fd(), at, length, 0, forever) })
        .map(drop)
}

/// mq_receive(3): the first message, of at most 8192 bytes, which is what a queue takes by default.
pub(crate) fn mq_receive(queue: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    let mut text = vec![0_u8; 8192];
    let (at, length, forever) = (text.as_mut_ptr(), text.len(), std::ptr::null::<libc::timespec>());
    let nobody = std::ptr::null_mut::<libc::c_uint>();
    // SAFETY: the kernel writes at most `length` bytes to a live buffer of that length, and no priority.
    let length = Errno::result(unsafe {
        libc::syscall(libc::SYS_mq_timedreceive, queue.as_raw_fd(), at, length, nobody, forever)
    })?;
    text.truncate(length as usize);
    Ok(text)
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

/// KEY_SPEC_USER_KEYRING, KEYCTL_GET_KEYRING_ID and KEYCTL_SEARCH of linux/keyctl.h.
const USER_KEYRING: libc::c_long = -4;
const GET_KEYRING_ID: libc::c_long = 0;
const SEARCH: libc::c_long = 10;

/// add_key(2) of an empty-handed key of type `user` to the user keyring.
pub(crate) fn add_user_key(description: &CStr) -> Result<i32, Errno> {
    let (kind, payload) = (c"user", [0_u8]);
    // SAFETY: the kernel reads two strings that end in NUL and one byte, which all live through the call.
    let serial = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            kind.as_ptr(),
            description.as_ptr(),
            payload.as_ptr(),
            payload.len(),
            USER_KEYRING,
        )
    };
    Errno::result(serial).map(|serial| serial as i32)
}

/// keyctl(KEYCTL_SEARCH) for a key of type `user` in the user keyring.
pub(crate) fn find_user_key(description: &CStr) -> Result<i32, Errno> {
    let kind = c"user";
    // SAFETY: the kernel reads two strings that end in NUL and live through the call.
    let serial = unsafe {
        libc::syscall(libc::SYS_keyctl, SEARCH, USER_KEYRING, kind.as_ptr(), description.as_ptr(), 0)
    };
    Errno::result(serial).map(|serial| serial as i32)
}

/// keyctl(KEYCTL_GET_KEYRING_ID) of the user keyring, made if there is none.
pub(crate) fn user_keyring() -> Result<i32, Errno> {
    // SAFETY: this command takes integers only.
    let serial = unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, USER_KEYRING, 1) };
    Errno::result(serial).map(|serial| serial as i32)
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
