//! A kind of namespace that a kernel was built without has no files in /proc. A supervisor hides them: whoever looks for
//! one gets ENOENT, and lists of /proc/PID/ns have none (seccomp_unotify(2)).

use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use libc::c_long;
use ns_core::seccomp::{Action, Filter, Listener, Notification, Rule};
use ns_core::{Errno, Error, Kind, Named, Result, process};
use rustix::fs::RawDir;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// Calls that are given a path: which argument it is, and which the descriptor of the directory that it begins in.
const CALLS: &[(c_long, usize, Option<usize>)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_access, 0, None),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lstat, 0, None),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 0, None),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_readlink, 0, None),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_stat, 0, None),
    (libc::SYS_faccessat, 1, Some(0)),
    (libc::SYS_faccessat2, 1, Some(0)),
    (libc::SYS_mount, 0, None),
    (libc::SYS_name_to_handle_at, 1, Some(0)),
    #[cfg(not(target_arch = "riscv64"))]
    (libc::SYS_newfstatat, 1, Some(0)),
    (libc::SYS_open_tree, 1, Some(0)),
    (libc::SYS_openat, 1, Some(0)),
    (libc::SYS_openat2, 1, Some(0)),
    (libc::SYS_readlinkat, 1, Some(0)),
    (libc::SYS_statx, 1, Some(0)),
];

/// As long as a path can be, with its NUL (PATH_MAX).
const LONGEST: usize = 4096;

/// Lets the process at the other end of standard input answer for the files of a kind, from here on. Standard input is
/// empty then.
///
/// # Errors
/// Those of seccomp(2); EPIPE or an early end where nobody is at the other end.
pub(crate) fn let_others_answer() -> Result<()> {
    let mut rules: Vec<_> = CALLS.iter().map(|(number, ..)| Rule::call(*number)).collect();
    rules.push(Rule::call(libc::SYS_getdents64));
    let listener = Filter::new(&rules, Action::Ask)?.install_with_listener()?;
    // Until the other end has a copy of the listener, a call with a path would wait for ever. Here is none.
    let end = std::io::stdin();
    nix::unistd::write(&end, &listener.number().to_ne_bytes())
        .named(|| "write(0, the listener's number)".into())?;
    let taken = nix::unistd::read(&end, &mut [0]).named(|| "read(0)".into())?;
    if taken == 0 {
        return Err(Error::Input("nobody answers for the files of /proc".into()));
    }
    process::empty_stdin()
}

/// Answers the process that `link` leads to, and all that come from it, as a kernel without `kind`; until all have ended.
/// One that was never put behind the filter is not waited for.
pub(crate) fn answer_for(kind: Kind, process: u32, mut link: &UnixStream) {
    let Some(listener) = taken_over(process, link) else { return };
    if std::io::Write::write_all(&mut link, b".").is_err() {
        return;
    }
    loop {
        let answered = match listener.next() {
            Ok(Some(call)) => answer(kind, &listener, call),
            Ok(None) => return,
            // Nobody asks for anything, and somebody still may.
            Err(Error::Deadline { .. }) => Ok(()),
            Err(error) => Err(error),
        };
        match answered {
            // ENOENT: who asked was killed meanwhile.
            Ok(()) | Err(Error::Call { errno: Errno::ENOENT | Errno::EINTR, .. }) => {}
            // Whoever asks gets ENOSYS from here on, and says so.
            Err(_) => return,
        }
    }
}

fn taken_over(process: u32, mut link: &UnixStream) -> Option<Listener> {
    let mut number = [0; size_of::<i32>()];
    std::io::Read::read_exact(&mut link, &mut number).ok()?;
    let pidfd = pidfd_open(pid(process)?, PidfdFlags::empty()).ok()?;
    let listener = pidfd_getfd(pidfd, i32::from_ne_bytes(number), PidfdGetfdFlags::empty()).ok()?;
    Some(listener.into())
}

fn pid(process: u32) -> Option<Pid> {
    Pid::from_raw(process.try_into().ok()?)
}

fn answer(kind: Kind, listener: &Listener, call: Notification) -> Result<()> {
    if call.number == libc::SYS_getdents64 {
        return match listed_without(kind, &call) {
            Some(Ok(length)) => listener.give(call, length),
            Some(Err(errno)) => listener.refuse(call, errno),
            None => listener.let_through(call),
        };
    }
    if path_of(&call).is_some_and(|path| is_of(kind, &path)) {
        listener.refuse(call, Errno::ENOENT)
    } else {
        // Also where the path cannot be read: then the kernel cannot read it either.
        listener.let_through(call)
    }
}

/// The path that a call names, with the directory that it begins in where that matters.
fn path_of(call: &Notification) -> Option<PathBuf> {
    let (_, path, directory) = CALLS.iter().find(|(number, ..)| *number == call.number)?;
    let memory = File::open(format!("/proc/{}/mem", call.caller)).ok()?;
    let mut bytes = [0; LONGEST];
    let mut length = 0;
    // One page at a time: what follows the path need not be mapped.
    while !bytes[..length].contains(&0) && length < LONGEST {
        let address = call.arguments[*path] + length as u64;
        let rest = (LONGEST - address as usize % LONGEST).min(LONGEST - length);
        match memory.read_at(&mut bytes[length..length + rest], address).ok()? {
            0 => return None,
            read => length += read,
        }
    }
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let path = Path::new(std::ffi::OsStr::from_bytes(&bytes[..end]));
    // What has two slashes in it ends as it ends wherever it begins.
    if path.is_absolute() || path.components().count() > 2 {
        return Some(path.into());
    }
    let descriptor = directory.map_or(libc::AT_FDCWD, |at| call.arguments[at] as i32);
    directory_of(call, descriptor).map(|directory| directory.join(path))
}

fn directory_of(call: &Notification, descriptor: i32) -> Option<PathBuf> {
    let of = format!("/proc/{}", call.caller);
    let link = if descriptor == libc::AT_FDCWD { "cwd".into() } else { format!("fd/{descriptor}") };
    fs::read_link(Path::new(&of).join(link)).ok()
}

/// Whether it is a file of /proc that a kernel without this kind does not have.
fn is_of(kind: Kind, path: &Path) -> bool {
    let mut parts = path.iter().rev().map(|part| part.to_string_lossy());
    let Some(name) = parts.next() else { return false };
    let Some(above) = parts.next() else { return false };
    let is_process = |part: &str| {
        ["self", "thread-self"].contains(&part)
            || !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())
    };
    if above == "ns" {
        return is_link_of(kind, &name) && parts.next().is_some_and(|part| is_process(&part));
    }
    let besides: &[&str] = match kind {
        Kind::Time => &["timens_offsets"],
        Kind::User => &["uid_map", "gid_map", "projid_map", "setgroups"],
        _ => &[],
    };
    besides.contains(&&*name) && is_process(&above)
}

/// Whether it is a name of this kind in /proc/PID/ns.
fn is_link_of(kind: Kind, name: &str) -> bool {
    name.strip_suffix("_for_children").unwrap_or(name) == kind.link()
}

/// Answers getdents64(2) of /proc/PID/ns, without the names of this kind: as many bytes as it returns are written to the
/// caller. `None` for any other directory.
fn listed_without(kind: Kind, call: &Notification) -> Option<Result<i64, Errno>> {
    let [descriptor, address, room, ..] = call.arguments;
    let directory = directory_of(call, descriptor as i32)?;
    if !is_of(kind, &directory.join(kind.link())) {
        return None;
    }
    // A copy has the same offset, so the list goes on where the caller was.
    let pidfd = pidfd_open(pid(call.caller.as_raw().try_into().ok()?)?, PidfdFlags::empty()).ok()?;
    let copy = pidfd_getfd(pidfd, descriptor as i32, PidfdGetfdFlags::empty()).ok()?;
    let mut buffer = vec![MaybeUninit::uninit(); (room as usize).min(1 << 16)];
    let mut entries = RawDir::new(copy, &mut buffer);
    let mut kept = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(errno) => return Some(Err(Errno::from_raw(errno.raw_os_error()))),
        };
        if !is_link_of(kind, &entry.file_name().to_string_lossy()) {
            kept.extend(as_the_kernel_writes(&entry));
        }
        if entries.is_buffer_empty() && !kept.is_empty() {
            break;
        }
    }
    let memory = File::options().write(true).open(format!("/proc/{}/mem", call.caller)).ok()?;
    let written = memory.write_all_at(&kept, address);
    Some(written.map(|()| kept.len() as i64).map_err(|_| Errno::EFAULT))
}

/// A struct linux_dirent64 of getdents64(2).
fn as_the_kernel_writes(entry: &rustix::fs::RawDirEntry<'_>) -> Vec<u8> {
    let name = entry.file_name().to_bytes_with_nul();
    let length = (8 + 8 + 2 + 1 + name.len()).next_multiple_of(8);
    let kind = match entry.file_type() {
        rustix::fs::FileType::Directory => libc::DT_DIR,
        rustix::fs::FileType::Symlink => libc::DT_LNK,
        _ => libc::DT_UNKNOWN,
    };
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(entry.ino().to_ne_bytes());
    bytes.extend(entry.next_entry_cookie().to_ne_bytes());
    bytes.extend((length as u16).to_ne_bytes());
    bytes.push(kind);
    bytes.extend(name);
    bytes.resize(length, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_kind_are_told_from_others() {
        let hidden = |path: &str| is_of(Kind::Time, Path::new(path));
        for path in [
            "/proc/self/ns/time",
            "/proc/1/ns/time_for_children",
            "/proc/self/task/7/ns/time",
            "self/ns/time",
            "/mnt/proc/7/timens_offsets",
        ] {
            assert!(hidden(path), "{path}");
        }
        for path in ["/proc/self/ns/uts", "/run/ns/time", "/proc/self/ns", "time", "/proc/self/time", "", "/"]
        {
            assert!(!hidden(path), "{path}");
        }
        assert!(is_of(Kind::User, Path::new("/proc/7/uid_map")));
        assert!(!is_of(Kind::User, Path::new("/proc/self/ns/uts")));
    }
}
