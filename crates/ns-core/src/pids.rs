//! PIDs as the numbers that they are: which comes next, which is the highest, and what one is called elsewhere.
//!
//! pid_namespaces(7), proc_sys_kernel(5), ioctl_ns(2), pidfd_open(2).

use std::fs;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg};
use nix::unistd::Pid;

use crate::error::{Error, Named, Result};
use crate::namespace::NsFile;
use crate::{Kind, Signal, files, host, sys};
use observation::Outcome;

const LAST: &str = "/proc/sys/kernel/ns_last_pid";
const MAX: &str = "/proc/sys/kernel/pid_max";

const fn request(number: u32) -> libc::Ioctl {
    // _IOR(0xb7, number, int): ioctl_ns(2), NSIO in linux/nsfs.h. The argument is the number itself, no address.
    (2 << 30 | 4 << 16 | 0xb7 << 8 | number) as libc::Ioctl
}
const NS_GET_PID_FROM_PIDNS: libc::Ioctl = request(6);
const NS_GET_PID_IN_PIDNS: libc::Ioctl = request(8);

/// The number that `process` (a PID of the caller's namespace) has in another PID namespace, by NS_GET_PID_IN_PIDNS
/// (since Linux 6.11).
///
/// # Errors
/// ESRCH if it has none there or does not exist; ENOTTY from older kernels.
pub fn number_in(namespace: &NsFile, process: Pid) -> Result<Pid> {
    translate(namespace, NS_GET_PID_IN_PIDNS, "NS_GET_PID_IN_PIDNS", process)
}

/// The number that `process` (a PID of another PID namespace) has in the caller's, by NS_GET_PID_FROM_PIDNS (since
/// Linux 6.11).
///
/// # Errors
/// As [`number_in`].
pub fn number_from(namespace: &NsFile, process: Pid) -> Result<Pid> {
    translate(namespace, NS_GET_PID_FROM_PIDNS, "NS_GET_PID_FROM_PIDNS", process)
}

fn translate(namespace: &NsFile, request: libc::Ioctl, name: &str, process: Pid) -> Result<Pid> {
    sys::ns_ioctl_number(namespace.as_fd(), request, process.as_raw())
        .map(Pid::from_raw)
        .named(|| format!("ioctl({namespace}, {name}, {process})"))
}

/// Says which PID the caller's namespace gave out last, so that the next process gets the one after it if that is free
/// (/proc/sys/kernel/ns_last_pid). Refused in the PID namespace that we were started in.
///
/// # Errors
/// EPERM without CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the owning user namespace; ENOENT where the kernel was built
/// without it; [`Error::WouldChangeHost`].
pub fn set_last(last: i32) -> Result<()> {
    set(LAST, last)
}

/// The number that PIDs stay below (/proc/sys/kernel/pid_max): since Linux 6.14 that of the caller's PID namespace.
///
/// # Errors
/// When /proc is no procfs.
pub fn max() -> Result<i32> {
    files::number(MAX)
}

/// Sets [`max`]. Refused in the PID namespace that we were started in; but **before Linux 6.14 the whole machine has
/// one**, whatever the namespace: ask [`max_is_ours`] first.
///
/// # Errors
/// EINVAL below 301; EACCES or EPERM without privilege; [`Error::WouldChangeHost`].
pub fn set_max(max: i32) -> Result<()> {
    set(MAX, max)
}

/// Whether the caller may set a pid_max that is its namespace's alone. It is for the root of a new user namespace, in a
/// new PID namespace. Where the file is the machine's, such a root may not open it for writing. Nothing is written.
///
/// # Errors
/// When there is no such file.
pub fn max_is_ours() -> Result<bool> {
    match Outcome::of(
        fs::OpenOptions::new().write(true).open(MAX).named(|| format!("open(\"{MAX}\", O_WRONLY)")),
    )? {
        Outcome::Done => Ok(true),
        Outcome::Failed(nix::errno::Errno::EACCES | nix::errno::Errno::EPERM | nix::errno::Errno::EROFS) => {
            Ok(false)
        }
        Outcome::Failed(errno) => Err(errno).named(|| format!("open(\"{MAX}\", O_WRONLY)")),
    }
}

fn set(file: &str, number: i32) -> Result<()> {
    let call = || format!("echo {number} > {file}");
    host::require_left(Kind::Pid, call)?;
    fs::write(file, number.to_string()).named(call)
}

/// The PIDs that a procfs lists, in the numbers of the PID namespace that it shows, in ascending order.
///
/// # Errors
/// Those of opening a directory.
pub fn listed(proc: &Path) -> Result<Vec<i32>> {
    let call = || format!("readdir(\"{}\")", proc.display());
    let mut pids = Vec::new();
    for entry in fs::read_dir(proc).named(call)? {
        pids.extend(entry.named(call)?.file_name().to_string_lossy().parse::<i32>().ok());
    }
    pids.sort_unstable();
    Ok(pids)
}

/// A descriptor of a process, which children inherit.
///
/// # Errors
/// ESRCH when there is no such process.
pub fn open(process: Pid) -> Result<OwnedFd> {
    let call = || format!("pidfd_open({process})");
    let raw = rustix::process::Pid::from_raw(process.as_raw()).ok_or_else(|| Error::Input(call()))?;
    rustix::process::pidfd_open(raw, rustix::process::PidfdFlags::empty()).named(call)
}

/// Sends `signal` through a descriptor of a process, with the kernel's answer as a value. It need not have a number here.
///
/// # Errors
/// Only what is not the kernel's answer.
pub fn signal(pidfd: BorrowedFd<'_>, signal: Signal) -> Result<Outcome> {
    let number = rustix::process::Signal::from_named_raw(signal as i32)
        .ok_or_else(|| Error::Input(format!("{signal} cannot be sent")))?;
    Outcome::of(
        rustix::process::pidfd_send_signal(pidfd, number)
            .named(|| format!("pidfd_send_signal(pidfd, {signal})")),
    )
}

/// Has the kernel name the sender of every message that comes to `socket`, from now on (unix(7), SO_PASSCRED).
///
/// # Errors
/// None that unix(7) documents.
pub fn name_senders(socket: &UnixDatagram) -> Result<()> {
    nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::PassCred, &true)
        .named(|| "setsockopt(SO_PASSCRED)".into())
}

/// Receives a datagram, and says which PID its sender has here: 0 if none (SCM_CREDENTIALS in unix(7)). To be prepared by
/// [`name_senders`] before it is sent.
///
/// # Errors
/// EAGAIN at the socket's time limit.
pub fn sender_of_next(socket: &UnixDatagram) -> Result<Pid> {
    let call = || "recvmsg(socket) [SCM_CREDENTIALS]".into();
    let mut bytes = [0_u8; 64];
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let mut control = nix::cmsg_space!(UnixCredentials);
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty()).named(call)?;
    let sender = message.cmsgs().named(call)?.find_map(|control| match control {
        ControlMessageOwned::ScmCredentials(sender) => Some(Pid::from_raw(sender.pid())),
        _ => None,
    });
    sender.ok_or_else(|| Error::Unreadable { what: call(), message: "no credentials came along".into() })
}
