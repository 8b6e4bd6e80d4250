//! What /proc says of a process, and who the caller is.

use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
pub use nix::sys::reboot::RebootMode;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Pid, Uid, dup2_stdin, pipe2, seteuid, setgroups, setresgid, setresuid};
use observation::Kind;
use procfs::FromBufRead;
use procfs::process::{Process, Status};

use crate::deadline::until;
use crate::error::{Error, Named, Result};
use crate::{files, host, sys, tether};

pub use crate::files::thread_count;

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
        Err(error) if error.is_no_process() => Ok(Some(None)),
        Err(error) => Err(error),
    })
}

/// The name of a process's program, at most 15 bytes (proc_pid_comm(5)). It may hold any byte but NUL; what is no UTF-8
/// is replaced.
///
/// # Errors
/// ENOENT when there is no such process.
pub fn name(process: Option<Pid>) -> Result<String> {
    // The line `Name` of status has escapes in it.
    let text = read(process, "comm")?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).into())
}

/// The five capability sets and the rest of /proc/PID/status (proc_pid_status(5)).
///
/// # Errors
/// ENOENT when there is no such process.
pub fn status(process: Option<Pid>) -> Result<Status> {
    let text = read(process, "status")?;
    parse_status(&text).map_err(|error| unreadable(process, "status", &error))
}

/// What the text of a /proc/PID/status says.
///
/// # Errors
/// Where it is not in the form of proc_pid_status(5).
pub fn parse_status(text: &str) -> std::result::Result<Status, procfs::ProcError> {
    Status::from_buf_read(text.as_bytes())
}

/// The text of a process's file. What others named need not be UTF-8, and is no reason not to read the rest.
fn read(process: Option<Pid>, file: &str) -> Result<String> {
    let path = files::of(process, file);
    let bytes = std::fs::read(&path).named(|| format!("open(\"{path}\")"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// When a process started, in clock ticks since boot: with its PID an identity that is not used again.
///
/// # Errors
/// ENOENT when there is no such process.
pub fn start_time(process: Option<Pid>) -> Result<u64> {
    let text = read(process, "stat")?;
    // Field 22 of proc_pid_stat(5). The second, the program's name, may hold blanks and parentheses, so the fields are
    // counted from its end.
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    fields.split_whitespace().nth(19).and_then(|field| field.parse().ok()).ok_or_else(|| Error::Unreadable {
        what: files::of(process, "stat"),
        message: "no field 22, the start time".into(),
    })
}

/// The living children of a process, by PID.
///
/// # Errors
/// When /proc is no procfs.
pub fn children(process: Pid) -> Result<Vec<Pid>> {
    children_that(process, |state| state != 'Z')
}

/// The children of a process that have ended and that it has not waited for, by PID.
///
/// # Errors
/// When /proc is no procfs.
pub fn zombies(process: Pid) -> Result<Vec<Pid>> {
    children_that(process, |state| state == 'Z')
}

fn children_that(process: Pid, is_one: impl Fn(char) -> bool) -> Result<Vec<Pid>> {
    let all = procfs::process::all_processes().map_err(|error| unreadable(None, "stat", &error))?;
    // One that has ended since is no child any more.
    let stats = all.filter_map(|it| it.ok()?.stat().ok());
    let own = stats.filter(|stat| stat.ppid == process.as_raw() && is_one(stat.state));
    let mut children: Vec<Pid> = own.map(|stat| Pid::from_raw(stat.pid)).collect();
    children.sort_unstable();
    Ok(children)
}

/// The children of a process by PID, with those that have ended and were not waited for: /proc/PID/task/TID/children.
///
/// # Errors
/// ENOENT when there is no such process, or the kernel has no such file (CONFIG_PROC_CHILDREN).
pub fn all_children(process: Pid) -> Result<Vec<Pid>> {
    let tasks = files::of(Some(process), "task");
    let call = || format!("readdir(\"{tasks}\")");
    let mut children = Vec::new();
    for entry in std::fs::read_dir(&tasks).named(call)? {
        // Each thread has its own: those that it made.
        let file = format!("task/{}/children", entry.named(call)?.file_name().to_string_lossy());
        let text = read(Some(process), &file)?;
        children.extend(text.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw));
    }
    children.sort_unstable();
    Ok(children)
}

/// The session that a process is in, which has the PID of who began it: getsid(2).
///
/// # Errors
/// ESRCH when there is no such process.
pub fn session(process: Pid) -> Result<Pid> {
    nix::unistd::getsid(Some(process)).named(|| format!("getsid({process})"))
}

/// Whether the caller has a capability, such as `caps::Capability::CAP_SYS_ADMIN`, in its effective set.
pub fn is_capable(capability: caps::Capability) -> bool {
    caps::has_cap(None, caps::CapSet::Effective, capability).unwrap_or(false)
}

/// Has this process and its children to come leave no core file when a signal kills them, whatever limit the caller was
/// started with.
///
/// The soft limit becomes 1 byte. Less than a page writes no file, and of 1 the kernel starts no program that
/// core_pattern pipes to either; 0 would (core(5), fs/coredump.c). Where a filter refuses prlimit(2), it stays as it was:
/// no verdict depends on it.
pub fn leave_no_core() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_CORE) {
        let _ = setrlimit(Resource::RLIMIT_CORE, hard.min(1), hard);
    }
}

/// Refuses to begin where RLIMIT_AS leaves less room than some experiments fill. An allocation that fails aborts the
/// process, which could then tell nobody why.
///
/// # Errors
/// [`Error::Input`], with the limit and its remedy.
pub fn require_address_space() -> Result<()> {
    const LEAST: u64 = 128 << 20;
    // Where a filter refuses the question, there may be room.
    let Some((soft, _)) = getrlimit(Resource::RLIMIT_AS).ok().filter(|(soft, _)| *soft < LEAST) else {
        return Ok(());
    };
    Err(Error::Input(format!(
        "RLIMIT_AS allows {soft} bytes of address space, and {LEAST} are needed; to get it: ulimit -v unlimited"
    )))
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
    tether::arm_again()
}

/// Becomes user and group 0 of the user namespace that the caller is in, with no other group unless setgroups(2) is denied
/// there. The capabilities that a new user namespace gives stay.
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
    tether::arm_again()
}

/// Gives this process an empty standard input: a pipe that nobody writes to, which is at its end. It needs no /dev/null,
/// which not every machine has.
///
/// # Errors
/// Those of pipe(2) and dup2(2).
pub fn empty_stdin() -> Result<()> {
    let (empty, _) = pipe2(OFlag::O_CLOEXEC).named(|| "pipe()".into())?;
    dup2_stdin(empty).named(|| "dup2(pipe, 0)".into())
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
    tether::arm_again()?;
    done
}

/// Ends this process at once, by _exit(2): nothing that is buffered is written, and no memory is given back one by one, which
/// the kernel takes as a whole.
pub fn exit_now(status: i32) -> ! {
    sys::exit_now(status)
}

/// Gives up one capability for good: it leaves the effective and the permitted set.
///
/// # Errors
/// None that capset(2) documents for giving up.
pub fn drop_capability(capability: caps::Capability) -> Result<()> {
    for set in [caps::CapSet::Effective, caps::CapSet::Permitted] {
        caps::drop(None, set, capability).named(|| format!("capset(without {capability})"))?;
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
        caps::clear(None, set).named(|| "capset(none)".into())?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use procfs::FromRead;
    use procfs::process::Stat;
    use proptest::prelude::*;

    use super::*;

    fn own(file: &str) -> Vec<u8> {
        std::fs::read(format!("/proc/thread-self/{file}")).unwrap()
    }

    /// What `look` finds while the calling thread has this name.
    fn named<T>(name: &[u8], look: impl FnOnce() -> T) -> T {
        let before = own("comm");
        let set = |name: &[u8]| std::fs::write("/proc/thread-self/comm", name).unwrap();
        set(name);
        let found = look();
        set(before.trim_ascii_end());
        found
    }

    #[test]
    fn a_process_may_have_any_name() {
        let thread = nix::unistd::gettid();
        let me = Some(thread);
        for name_set in
            [&b"a:b"[..], b"\xff\xfe", b"a\nb", b"a\\b", b"x) R 1 1", b"Pid:\t7", b" a ", "호".as_bytes()]
        {
            let (found, status, stat) = named(name_set, || (name(me), status(me), start_time(me)));
            assert_eq!(found.unwrap(), String::from_utf8_lossy(name_set));
            assert_eq!(status.unwrap().pid, thread.as_raw(), "{name_set:?}");
            assert!(stat.is_ok(), "{name_set:?}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_file_is_no_panic(at in 0_usize..2000, byte: u8, keep in 0_usize..2000, bytes: Vec<u8>) {
            let read = |bytes: &[u8]| {
                let _ = parse_status(&String::from_utf8_lossy(bytes));
            };
            read(&bytes);
            let mut status = own("status");
            let length = status.len();
            status[at % length] = byte;
            read(&status);
            status.truncate(keep);
            read(&status);
        }

        #[test]
        fn what_the_name_holds_is_no_other_field(name in "[^\\x00]{1,15}") {
            let stat = own("stat");
            let (start, end) = (stat.iter().position(|it| *it == b'('), stat.iter().rposition(|it| *it == b')'));
            let (start, end) = (start.unwrap(), end.unwrap());
            let plain = Stat::from_read(stat.as_slice()).unwrap();
            let other = [&stat[..=start], name.as_bytes(), &stat[end..]].concat();
            let found = Stat::from_read(other.as_slice()).unwrap();
            prop_assert_eq!((found.state, found.ppid, found.starttime), (plain.state, plain.ppid, plain.starttime));
        }
    }
}
