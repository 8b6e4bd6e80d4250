//! What /proc says of a process, and who the caller is.

use std::os::fd::RawFd;

use nix::errno::Errno;
pub use nix::sys::reboot::RebootMode;
use nix::unistd::{Gid, Pid, Uid, seteuid, setgroups, setresgid, setresuid};
use procfs::process::{Process, Status};

use crate::deadline::until;
use crate::error::{Error, Named, Result};
use crate::{Kind, child, files, host, sys};

/// How many threads the caller has: the entries of /proc/self/task.
///
/// # Errors
/// When /proc is no procfs.
pub fn thread_count() -> Result<usize> {
    let entries = std::fs::read_dir("/proc/self/task")
        .named(|| "readdir(\"/proc/self/task\") [is a procfs mounted at /proc?]".into())?;
    Ok(entries.count())
}

/// A process's PIDs, one a PID namespace from the procfs mount's own down to the process's (`NSpid` in proc(5)).
///
/// `process` is a PID as the procfs at /proc numbers it, or `None` for the caller.
///
/// # Errors
/// ENOENT when there is no such process.
pub fn pids(process: Option<Pid>) -> Result<Vec<i32>> {
    Ok(status(process)?.nspid.unwrap_or_default())
}

/// The one-letter state of a process: R, S, D, T (stopped), Z (zombie), … (proc_pid_stat(5)).
///
/// # Errors
/// ENOENT when there is no such process.
pub fn state(process: Pid) -> Result<char> {
    Ok(open(Some(process))?.stat().map_err(|error| unreadable(Some(process), "stat", &error))?.state)
}

/// Waits until a process is in one of `states` or gone (`None`), and says in which.
///
/// # Errors
/// [`Error::Deadline`] if it is in none in time.
pub fn wait_for_state(process: Pid, states: &[char]) -> Result<Option<char>> {
    // A process that is not our child changes its state without an event for us.
    until(&format!("state of process {process}"), || match state(process) {
        Ok(state) if states.contains(&state) => Ok(Some(Some(state))),
        Ok(_) => Ok(None),
        Err(Error::Call { errno: Errno::ENOENT | Errno::ESRCH, .. }) => Ok(Some(None)),
        Err(error) => Err(error),
    })
}

/// The name of a process's program, at most 15 bytes (proc_pid_comm(5)). It may hold any byte but NUL.
///
/// # Errors
/// ENOENT when there is no such process.
pub fn name(process: Option<Pid>) -> Result<String> {
    Ok(status(process)?.name)
}

/// The five capability sets and the rest of /proc/PID/status (proc_pid_status(5)).
///
/// # Errors
/// ENOENT when there is no such process.
pub fn status(process: Option<Pid>) -> Result<Status> {
    open(process)?.status().map_err(|error| unreadable(process, "status", &error))
}

/// When a process started, in clock ticks since boot: with its PID an identity that is not used again.
///
/// # Errors
/// ENOENT when there is no such process.
pub fn start_time(process: Option<Pid>) -> Result<u64> {
    Ok(open(process)?.stat().map_err(|error| unreadable(process, "stat", &error))?.starttime)
}

/// The living children of a process, by PID.
///
/// # Errors
/// When /proc is no procfs.
pub fn children(process: Pid) -> Result<Vec<Pid>> {
    let all = procfs::process::all_processes().map_err(|error| unreadable(None, "stat", &error))?;
    // One that has ended since is no child any more.
    let stats = all.filter_map(|it| it.ok()?.stat().ok());
    let own = stats.filter(|stat| stat.ppid == process.as_raw() && stat.state != 'Z');
    let mut children: Vec<Pid> = own.map(|stat| Pid::from_raw(stat.pid)).collect();
    children.sort_unstable();
    Ok(children)
}

/// Whether the caller has a capability, such as `caps::Capability::CAP_SYS_ADMIN`, in its effective set.
pub fn is_capable(capability: caps::Capability) -> bool {
    caps::has_cap(None, caps::CapSet::Effective, capability).unwrap_or(false)
}

/// Gives up all privilege for good: becomes `uid` and the group of the same number, with no other group.
///
/// The kernel then counts the process as not dumpable, and its /proc/self would belong to root: set back, as an
/// ordinary login's would be (prctl(2), PR_SET_DUMPABLE).
///
/// # Errors
/// EPERM without CAP_SETUID and CAP_SETGID; EINVAL where the user namespace does not map `uid`.
pub fn become_user(uid: u32) -> Result<()> {
    setgroups(&[]).named(|| "setgroups([])".into())?;
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    setresgid(group, group, group).named(|| format!("setresgid({uid}, {uid}, {uid})"))?;
    setresuid(user, user, user).named(|| format!("setresuid({uid}, {uid}, {uid})"))?;
    nix::sys::prctl::set_dumpable(true).named(|| "prctl(PR_SET_DUMPABLE, 1)".into())?;
    child::arm_again()
}

/// Becomes user and group 0 of the user namespace that it is in, with no other group unless setgroups(2) is denied there.
/// The capabilities that a new user namespace gives stay.
///
/// # Errors
/// EINVAL where the user namespace does not map 0.
pub fn become_root() -> Result<()> {
    match setgroups(&[]) {
        // Denied by an unprivileged writer of the maps, and then the groups are those of the host, unmapped.
        Ok(()) | Err(Errno::EPERM) => {}
        Err(errno) => return Err(errno).named(|| "setgroups([])".into()),
    }
    let (user, group) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(group, group, group).named(|| "setresgid(0, 0, 0)".into())?;
    setresuid(user, user, user).named(|| "setresuid(0, 0, 0)".into())?;
    nix::sys::prctl::set_dumpable(true).named(|| "prctl(PR_SET_DUMPABLE, 1)".into())?;
    child::arm_again()
}

/// Has every descriptor from `first` on closed by the next execve(2), whoever opened it: close_range(2) with
/// CLOSE_RANGE_CLOEXEC.
///
/// # Errors
/// ENOSYS or EINVAL before Linux 5.11.
pub fn close_on_exec_from(first: RawFd) -> Result<()> {
    sys::close_on_exec_from(first).named(|| format!("close_range({first}, ~0, CLOSE_RANGE_CLOEXEC)"))
}

/// Does `body` with the effective user ID `uid`, and is the user of before again when it has ended: as a program does that
/// acts for somebody else. Only the effective ID changes, and with 0 go the effective capabilities (capabilities(7)).
///
/// # Errors
/// EPERM without CAP_SETUID, EINVAL where the user namespace does not map `uid`; those of `body`.
pub fn with_effective_user<T>(uid: u32, body: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = nix::unistd::geteuid();
    seteuid(Uid::from_raw(uid)).named(|| format!("seteuid({uid})"))?;
    let done = body();
    seteuid(before).named(|| format!("seteuid({before})"))?;
    child::arm_again()?;
    done
}

/// Gives up one capability for good: it leaves the effective and the permitted set.
///
/// # Errors
/// None that capset(2) documents for giving up.
pub fn drop_capability(capability: caps::Capability) -> Result<()> {
    for set in [caps::CapSet::Effective, caps::CapSet::Permitted] {
        caps::drop(None, set, capability).map_err(|error| capset_failed(&error))?;
    }
    Ok(())
}

/// Gives up every capability for good, and stays the user that it is.
///
/// # Errors
/// As [`drop_capability`].
pub fn drop_all_capabilities() -> Result<()> {
    // Effective first: no capability may be effective that is not permitted.
    for set in [caps::CapSet::Effective, caps::CapSet::Permitted] {
        caps::clear(None, set).map_err(|error| capset_failed(&error))?;
    }
    Ok(())
}

fn capset_failed(error: &caps::errors::CapsError) -> Error {
    Error::Unreadable { what: "capset()".into(), message: error.to_string() }
}

fn open(process: Option<Pid>) -> Result<Process> {
    process
        .map_or_else(Process::myself, |pid| Process::new(pid.as_raw()))
        .map_err(|error| unreadable(process, "", &error))
}

fn unreadable(process: Option<Pid>, file: &str, error: &procfs::ProcError) -> Error {
    let errno = match error {
        procfs::ProcError::NotFound(_) => Some(Errno::ENOENT),
        procfs::ProcError::PermissionDenied(_) => Some(Errno::EACCES),
        procfs::ProcError::Io(error, _) => error.raw_os_error().map(Errno::from_raw),
        _ => None,
    };
    let what = files::of(process, file).trim_end_matches('/').to_string();
    match errno {
        Some(errno) => Error::Call { call: format!("open(\"{what}\")"), errno },
        None => Error::Unreadable { what, message: error.to_string() },
    }
}

/// reboot(2) in a PID namespace: the kernel kills the namespace's init by SIGHUP for `RB_AUTOBOOT`, and by SIGINT for
/// `RB_HALT_SYSTEM` and `RB_POWER_OFF` (pid_namespaces(7)).
///
/// # Errors
/// EINVAL for other commands, EPERM without CAP_SYS_BOOT. In the PID namespace that we were started in the machine
/// itself would go down, so there it is refused ([`Error::WouldChangeHost`]).
pub fn reboot(how: RebootMode) -> Result<()> {
    let call = || format!("reboot({how:?})");
    host::require_left(Kind::Pid, call)?;
    nix::sys::reboot::reboot(how).map(drop).named(call)
}
