//! Which namespaces a process is in, by its links under /proc/PID/ns: namespaces(7).

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::Pid;
use observation::{Kind, NsId};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use crate::error::{Error, Named, Result};

/// The namespaces of one process at one moment, by kind; a kind that this kernel lacks is absent.
///
/// `process` is a PID, or `None` for the caller. The eight links are read with readlinkat(2) and not followed, which
/// costs the kernel a third of opening them.
///
/// # Errors
/// ESRCH or ENOENT when there is no such process, EACCES when the caller may not look (PTRACE_MODE_READ_FSCREDS).
pub fn of(process: Option<Pid>) -> Result<Vec<NsId>> {
    of_under(Path::new("/proc"), process)
}

/// As [`of`], but reading another procfs than the one at /proc, or a directory that looks like one.
pub fn of_under(proc: &Path, process: Option<Pid>) -> Result<Vec<NsId>> {
    let links = Links::open(proc, process)?;
    Kind::ALL.into_iter().filter_map(|kind| links.read(kind).transpose()).collect()
}

/// The one namespace of `kind` that a process is a member of, by its link alone. Arguments and errors as [`of`].
pub fn of_kind(process: Option<Pid>, kind: Kind) -> Result<NsId> {
    let links = Links::open(Path::new("/proc"), process)?;
    links.read(kind)?.ok_or_else(|| Error::Call { call: links.call(kind), errno: Errno::ENOENT })
}

/// A process's /proc/PID/ns.
struct Links {
    directory: OwnedFd,
    path: PathBuf,
    dev: u64,
}

impl Links {
    fn open(proc: &Path, process: Option<Pid>) -> Result<Links> {
        let who = process.map_or("self".into(), |pid| pid.to_string());
        let path = proc.join(&who).join("ns");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, &path, flags, Mode::empty())
            .named(|| format!("open(\"{}\")", path.display()))?;
        Ok(Links { directory, path, dev: nsfs_device()? })
    }

    /// `None` for a kind that the kernel was built without.
    fn read(&self, kind: Kind) -> Result<Option<NsId>> {
        match rustix::fs::readlinkat(&self.directory, kind.link(), Vec::with_capacity(32)) {
            Ok(text) => {
                let text = text.to_string_lossy();
                let (_, ino) = parse_link(&text).ok_or_else(|| Error::Unreadable {
                    what: format!("{}/{kind}", self.path.display()),
                    message: format!("expected {kind}:[NUMBER], found {text:?}"),
                })?;
                Ok(Some(NsId { kind, dev: self.dev, ino }))
            }
            Err(rustix::io::Errno::NOENT) if self.are_there() => Ok(None),
            Err(errno) => Err(errno).named(|| self.call(kind)),
        }
    }

    /// Whether the process is still there: some link of it can be read. Which, depends: a kernel may lack a kind, and a
    /// zombie keeps its PID and user namespaces alone.
    fn are_there(&self) -> bool {
        let mut kinds = Kind::ALL.into_iter();
        kinds.any(|kind| rustix::fs::readlinkat(&self.directory, kind.link(), Vec::new()).is_ok())
    }

    fn call(&self, kind: Kind) -> String {
        format!("readlink(\"{}/{kind}\")", self.path.display())
    }
}

/// Reads what a link under /proc/PID/ns says, such as `uts:[4026531838]`. `None` if it says something else.
pub fn parse_link(text: &str) -> Option<(Kind, u64)> {
    let (kind, rest) = text.split_once(":[")?;
    Some((Kind::from_link(kind)?, rest.strip_suffix(']')?.parse().ok()?))
}

/// Names in /proc/self/ns, sorted: one a kind, and what children will be created in.
///
/// # Errors
/// When /proc is not there or is no procfs.
pub fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir("/proc/self/ns").named(|| "readdir(\"/proc/self/ns\")".into())? {
        let entry = entry.named(|| "readdir(\"/proc/self/ns\")".into())?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

pub(super) fn nsfs_device() -> Result<u64> {
    use std::sync::OnceLock;
    static DEVICE: OnceLock<u64> = OnceLock::new();
    if let Some(device) = DEVICE.get() {
        return Ok(*device);
    }
    // Of any kind that this kernel has: all of them are files of one filesystem.
    let path = |kind: Kind| format!("/proc/self/ns/{kind}");
    let stat = |kind: Kind| rustix::fs::statat(CWD, path(kind), AtFlags::empty());
    let of_another = Kind::ALL.into_iter().find_map(|kind| stat(kind).ok());
    let stat = of_another.map_or_else(|| stat(Kind::Mnt), Ok);
    let stat = stat.named(|| format!("stat(\"{}\")", path(Kind::Mnt)))?;
    Ok(*DEVICE.get_or_init(|| stat.st_dev))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_and_printed_alike() {
        assert_eq!(parse_link("mnt:[4026531832]"), Some((Kind::Mnt, 4026531832)));
        let id = NsId { kind: Kind::Mnt, dev: 4, ino: 4026531832 };
        assert_eq!(id.to_string(), "mnt:[4026531832]");
    }

    #[test]
    fn what_is_no_link_is_refused() {
        for text in
            ["", "mnt", "mnt:[]", "mnt:[1", "mnt:1]", "moon:[1]", "mnt:[-1]", "mnt:[99999999999999999999]"]
        {
            assert_eq!(parse_link(text), None, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_link_is_read_as_it_is_printed(kind in 0_usize..8, ino: u64) {
            let id = NsId { kind: Kind::ALL[kind], dev: 4, ino };
            proptest::prop_assert_eq!(parse_link(&id.to_string()), Some((id.kind, ino)));
        }

        #[test]
        fn no_text_can_make_it_panic(text: String, other in "[a-z:\\[\\]0-9]{0,24}") {
            let _ = (parse_link(&text), parse_link(&other));
        }
    }

    #[test]
    fn a_fabricated_proc_is_read_without_privilege() {
        let proc = std::env::temp_dir().join(format!("ns-core-proc-{}", std::process::id()));
        let ns = proc.join("7/ns");
        std::fs::create_dir_all(&ns).unwrap();
        for (kind, ino) in [(Kind::Mnt, 11), (Kind::Uts, 12)] {
            std::os::unix::fs::symlink(format!("{kind}:[{ino}]"), ns.join(kind.link())).unwrap();
        }
        let found = of_under(&proc, Some(Pid::from_raw(7)));
        let gone = of_under(&proc, Some(Pid::from_raw(8)));
        std::fs::remove_dir_all(&proc).unwrap();
        let found: Vec<_> = found.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, ["mnt:[11]", "uts:[12]"], "a kernel without the other six kinds");
        assert_eq!(gone.unwrap_err().errno(), Some(Errno::ENOENT));
    }
}
