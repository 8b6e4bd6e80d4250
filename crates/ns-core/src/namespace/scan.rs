//! The namespaces of every process of a procfs.
//!
//! What matters is the number of system calls a process: open(2) of /proc/PID/ns, and a readlinkat(2) for each kind. The
//! directories are closed many at a time. To open a link instead, and to ask fstat(2), costs the kernel three times as
//! much.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::Pid;
use observation::{Kind, NsId};
use rustix::fs::{CWD, Mode, OFlags, RawDir, openat, readlinkat_raw};

use super::links::nsfs_device;
use crate::batch::Batch;
use crate::error::{Named, Result};

/// The inode numbers of the namespaces that a process is in, in the order of [`Kind::ALL`]. 0 stands for a kind that the
/// kernel lacks, and for those that a zombie is in no more.
pub type Inodes = [u64; Kind::ALL.len()];

/// The links under /proc/PID/ns, in the order of [`Kind::ALL`].
const LINKS: [&CStr; Kind::ALL.len()] = [c"cgroup", c"ipc", c"net", c"mnt", c"pid", c"time", c"user", c"uts"];

/// Gives every process of the procfs at `proc` to `each`, with the namespaces that it is in. One that ends meanwhile is
/// left out. EACCES stands for one that the caller may not look at (PTRACE_MODE_READ_FSCREDS, ptrace(2)).
///
/// # Errors
/// Those of open(2) and getdents64(2) on `proc`.
pub fn scan(proc: &Path, mut each: impl FnMut(Pid, std::result::Result<Inodes, Errno>)) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory =
        openat(CWD, proc, flags, Mode::empty()).named(|| format!("open(\"{}\")", proc.display()))?;
    let mut batch = Batch::new();
    let mut room = Vec::with_capacity(1 << 15);
    let mut entries = RawDir::new(&directory, room.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry.named(|| format!("getdents64(\"{}\")", proc.display()))?;
        let Some(pid) = number(entry.file_name().to_bytes()) else { continue };
        match of_process(directory.as_fd(), entry.file_name(), &mut batch) {
            Ok(inodes) if inodes.iter().all(|inode| *inode == 0) => {}
            Err(Errno::ENOENT | Errno::ESRCH) => {}
            found => each(Pid::from_raw(pid), found),
        }
    }
    Ok(())
}

/// The namespace of `kind` that has this inode number.
///
/// # Errors
/// When /proc is no procfs.
pub fn identity(kind: Kind, ino: u64) -> Result<NsId> {
    Ok(NsId { kind, dev: nsfs_device()?, ino })
}

fn of_process(proc: BorrowedFd<'_>, pid: &CStr, batch: &mut Batch) -> std::result::Result<Inodes, Errno> {
    let mut path = [0; 24];
    let length = pid.to_bytes().len();
    path[..length].copy_from_slice(pid.to_bytes());
    path[length..length + 4].copy_from_slice(b"/ns\0");
    let path = CStr::from_bytes_until_nul(&path).map_err(|_| Errno::EINVAL)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let links = openat(proc, path, flags, Mode::empty()).map_err(raw)?;
    let inodes = of_links(links.as_fd());
    batch.close(links);
    inodes
}

fn of_links(links: BorrowedFd<'_>) -> std::result::Result<Inodes, Errno> {
    let mut inodes = [0; Kind::ALL.len()];
    for (inode, link) in inodes.iter_mut().zip(LINKS) {
        let mut text = [MaybeUninit::uninit(); 40];
        match readlinkat_raw(links, link, &mut text[..]) {
            Ok((text, _)) => *inode = in_brackets(text),
            Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(raw(errno)),
        }
    }
    Ok(inodes)
}

fn raw(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error())
}

fn number(name: &[u8]) -> Option<i32> {
    if !name.first().is_some_and(u8::is_ascii_digit) || name.len() > 10 {
        return None;
    }
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// The number in `uts:[4026531838]`; 0 if there is none.
fn in_brackets(text: &[u8]) -> u64 {
    let digits =
        text.iter().skip_while(|byte| **byte != b'[').skip(1).take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number: u64, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace;

    #[test]
    fn it_finds_what_the_links_of_each_process_say() {
        let mut found = None;
        let mut count = 0;
        scan(Path::new("/proc"), |pid, inodes| {
            count += 1;
            if pid == nix::unistd::getpid() {
                found = Some(inodes.unwrap());
            }
        })
        .unwrap();
        let found = found.expect("the caller is in /proc");
        for id in namespace::of(None).unwrap() {
            let at = Kind::ALL.iter().position(|kind| *kind == id.kind).unwrap();
            assert_eq!(identity(id.kind, found[at]).unwrap(), id);
        }
        assert!(count > 0);
    }

    #[test]
    fn what_is_no_procfs_is_named() {
        let error = scan(Path::new("/nonexistent"), |_, _| {}).unwrap_err();
        assert!(error.to_string().contains("/nonexistent"), "{error}");
        let mut none = 0;
        scan(Path::new("/etc"), |_, _| none += 1).unwrap();
        assert_eq!(none, 0);
    }

    #[test]
    fn an_inode_number_stands_between_brackets() {
        assert_eq!(in_brackets(b"uts:[4026531838]"), 4026531838);
        assert_eq!(in_brackets(b"uts"), 0);
        assert_eq!(in_brackets(b"uts:[99999999999999999999999]"), in_brackets(b"[99999999999999999999999"));
    }
}
