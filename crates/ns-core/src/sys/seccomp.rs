//! Which system calls are left to a process: seccomp(2), seccomp_unotify(2).

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// seccomp(SECCOMP_SET_MODE_STRICT): from here on read(2), write(2), _exit(2) and sigreturn(2), or SIGKILL.
///
/// # Errors
/// The kernel's: EINVAL where it was built without, or another mode is on already.
pub(crate) fn set_strict_mode() -> Result<(), Errno> {
    // SAFETY: this operation takes no flags and no argument, so the kernel touches no memory of ours.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_STRICT, 0, std::ptr::null::<()>()) };
    Errno::result(answer).map(drop)
}

/// seccomp(SECCOMP_SET_MODE_FILTER) with `program`; with `listens` a descriptor too, which receives the calls on which
/// the program says so.
///
/// # Errors
/// The kernel's: EACCES without no_new_privs and CAP_SYS_ADMIN, EINVAL for a program that is none, EBUSY where there is a
/// listener already.
pub(crate) fn set_filter(program: &[libc::sock_filter], listens: bool) -> Result<Option<OwnedFd>, Errno> {
    let len = program.len().try_into().map_err(|_| Errno::EINVAL)?;
    // The kernel copies the program; that the field is no pointer to a constant is the header's age.
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    let flags = if listens { libc::SECCOMP_FILTER_FLAG_NEW_LISTENER } else { 0 };
    let operation = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the kernel reads the struct and as many instructions as it says, all of which live through the call.
    let answer = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const program) };
    let listener = Errno::result(answer)?;
    // SAFETY: with this flag the kernel has just opened the descriptor that it gives, and nobody else owns it.
    Ok(listens.then(|| unsafe { OwnedFd::from_raw_fd(listener as RawFd) }))
}

/// SECCOMP_IOCTL_NOTIF_RECV: the next call that waits for an answer.
///
/// # Errors
/// The kernel's: ENOENT when the caller was killed meanwhile; EOVERFLOW, without a call, where a newer kernel's
/// notification is larger than what is known here.
pub(crate) fn receive_notification(listener: BorrowedFd<'_>) -> Result<libc::seccomp_notif, Errno> {
    let mut sizes = libc::seccomp_notif_sizes { seccomp_notif: 0, seccomp_notif_resp: 0, seccomp_data: 0 };
    let operation = libc::SECCOMP_GET_NOTIF_SIZES;
    // SAFETY: the kernel writes three 16-bit numbers into a live struct of three.
    Errno::result(unsafe { libc::syscall(libc::SYS_seccomp, operation, 0, &raw mut sizes) })?;
    if usize::from(sizes.seccomp_notif) > size_of::<libc::seccomp_notif>() {
        return Err(Errno::EOVERFLOW);
    }
    // SAFETY: seccomp_notif is a struct of integers, for which all zero bits are a value. The kernel wants it so.
    let mut notification: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    let (fd, request) = (listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV);
    // SAFETY: the kernel writes a seccomp_notif, which is no larger than ours (checked above), into a live one.
    Errno::result(unsafe { libc::ioctl(fd, request, &raw mut notification) })?;
    Ok(notification)
}

/// SECCOMP_IOCTL_NOTIF_SEND: answers a call that waits.
///
/// # Errors
/// The kernel's: ENOENT when the caller is gone.
pub(crate) fn answer_notification(
    listener: BorrowedFd<'_>,
    answer: &libc::seccomp_notif_resp,
) -> Result<(), Errno> {
    let (fd, request) = (listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND);
    // SAFETY: the kernel reads one live struct, whose size the request's number has in it.
    Errno::result(unsafe { libc::ioctl(fd, request, std::ptr::from_ref(answer)) }).map(drop)
}

/// SECCOMP_IOCTL_NOTIF_ADDFD: puts a copy of `fd` into the process whose call `id` waits, and gives its number there.
///
/// # Errors
/// The kernel's: ENOENT when the caller is gone, EMFILE where it may have no more; EINVAL before Linux 5.9.
pub(crate) fn add_descriptor(listener: BorrowedFd<'_>, id: u64, fd: BorrowedFd<'_>) -> Result<RawFd, Errno> {
    let added = libc::seccomp_notif_addfd {
        id,
        flags: 0,
        srcfd: fd.as_raw_fd() as u32,
        newfd: 0,
        newfd_flags: libc::O_CLOEXEC as u32,
    };
    let (fd, request) = (listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD);
    // SAFETY: the kernel reads one live struct, whose size the request's number has in it.
    Errno::result(unsafe { libc::ioctl(fd, request, &raw const added) })
}

/// exit(2), the system call, which strict mode allows; _exit(3) calls exit_group(2), which it does not.
pub(crate) fn exit_thread(status: i32) -> ! {
    loop {
        // SAFETY: exit(2) takes an integer and does not return.
        unsafe { libc::syscall(libc::SYS_exit, status) };
    }
}
