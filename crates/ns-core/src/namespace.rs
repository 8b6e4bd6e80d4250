//! The eight kinds of namespace: their identity, their relations, and the calls that change a process's own.
//!
//! namespaces(7), ioctl_ns(2), setns(2), unshare(2).

mod handle;
mod socket;

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::unistd::Pid;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use serde::{Deserialize, Serialize};

pub use handle::NsHandle;

use crate::child;
use crate::error::{Error, Named, Result};
use crate::{files, sabotage, sys};

/// A kind of namespace, in the order of namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The root directory of the cgroup hierarchies, as seen by the members.
    Cgroup,
    /// System V IPC objects and POSIX message queues.
    Ipc,
    /// Network devices, stacks, ports.
    Net,
    /// Mount points.
    Mnt,
    /// Process IDs.
    Pid,
    /// The boot and monotonic clocks.
    Time,
    /// User and group IDs.
    User,
    /// The hostname and the NIS domain name.
    Uts,
}

impl Kind {
    /// All eight.
    pub const ALL: [Kind; 8] =
        [Kind::Cgroup, Kind::Ipc, Kind::Net, Kind::Mnt, Kind::Pid, Kind::Time, Kind::User, Kind::Uts];

    /// Its link's name under /proc/PID/ns.
    pub const fn link(self) -> &'static str {
        match self {
            Kind::Cgroup => "cgroup",
            Kind::Ipc => "ipc",
            Kind::Net => "net",
            Kind::Mnt => "mnt",
            Kind::Pid => "pid",
            Kind::Time => "time",
            Kind::User => "user",
            Kind::Uts => "uts",
        }
    }

    /// Its flag for clone3(2), unshare(2) and setns(2), as typed.
    pub const fn flag(self) -> &'static str {
        match self {
            Kind::Cgroup => "CLONE_NEWCGROUP",
            Kind::Ipc => "CLONE_NEWIPC",
            Kind::Net => "CLONE_NEWNET",
            Kind::Mnt => "CLONE_NEWNS",
            Kind::Pid => "CLONE_NEWPID",
            Kind::Time => "CLONE_NEWTIME",
            Kind::User => "CLONE_NEWUSER",
            Kind::Uts => "CLONE_NEWUTS",
        }
    }

    /// What it isolates, in the words of namespaces(7).
    pub const fn isolates(self) -> &'static str {
        match self {
            Kind::Cgroup => "cgroup root directory",
            Kind::Ipc => "System V IPC, POSIX message queues",
            Kind::Net => "network devices, stacks, ports",
            Kind::Mnt => "mount points",
            Kind::Pid => "process IDs",
            Kind::Time => "boot and monotonic clocks",
            Kind::User => "user and group IDs",
            Kind::Uts => "hostname and NIS domain name",
        }
    }

    /// The set that holds this kind alone.
    pub const fn only(self) -> Namespaces {
        match self {
            Kind::Cgroup => Namespaces::CGROUP,
            Kind::Ipc => Namespaces::IPC,
            Kind::Net => Namespaces::NET,
            Kind::Mnt => Namespaces::MNT,
            Kind::Pid => Namespaces::PID,
            Kind::Time => Namespaces::TIME,
            Kind::User => Namespaces::USER,
            Kind::Uts => Namespaces::UTS,
        }
    }

    fn from_link(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.link() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.link())
    }
}

bitflags::bitflags! {
    /// A set of kinds: what a child is born into anew, what is unshared or entered.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Namespaces: u64 {
        /// CLONE_NEWCGROUP
        const CGROUP = libc::CLONE_NEWCGROUP as u64;
        /// CLONE_NEWIPC
        const IPC = libc::CLONE_NEWIPC as u64;
        /// CLONE_NEWNET
        const NET = libc::CLONE_NEWNET as u64;
        /// CLONE_NEWNS
        const MNT = libc::CLONE_NEWNS as u64;
        /// CLONE_NEWPID
        const PID = libc::CLONE_NEWPID as u64;
        /// CLONE_NEWTIME: lies inside clone(2)'s exit-signal byte, so clone3, unshare and setns alone can carry it.
        const TIME = libc::CLONE_NEWTIME as u64;
        /// CLONE_NEWUSER
        const USER = libc::CLONE_NEWUSER as u64;
        /// CLONE_NEWUTS
        const UTS = libc::CLONE_NEWUTS as u64;
    }
}

impl Namespaces {
    /// None: an ordinary child.
    pub const NONE: Namespaces = Namespaces::empty();

    /// The kinds in the set, in the order of [`Kind::ALL`].
    pub fn kinds(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.contains(kind.only()))
    }

    /// The flags as typed: `CLONE_NEWUSER|CLONE_NEWPID`, or `0`.
    pub fn as_typed(self) -> String {
        let flags: Vec<_> = self.kinds().map(Kind::flag).collect();
        if flags.is_empty() { "0".into() } else { flags.join("|") }
    }

    pub(crate) fn unless_sabotaged(self) -> Namespaces {
        if sabotage::on() { Namespaces::NONE } else { self }
    }

    fn clone_flags(self) -> CloneFlags {
        // nix knows no CLONE_NEWTIME, but passes on what it is given.
        CloneFlags::from_bits_retain(self.bits() as i32)
    }
}

/// Which namespace: two live ones are the same if and only if type, device and inode are equal (namespaces(7)).
///
/// The kernel uses an inode number again at once when a namespace is gone. A comparison over time needs an open
/// [`NsFile`] or its [`NsFile::serial`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NsId {
    /// The kind.
    pub kind: Kind,
    /// The device of the nsfs filesystem, one for the whole kernel.
    pub dev: u64,
    /// The inode number in it.
    pub ino: u64,
}

impl fmt::Display for NsId {
    /// As readlink(2) gives it: `uts:[4026531838]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:[{}]", self.kind, self.ino)
    }
}

/// Reads what a link under /proc/PID/ns says, such as `uts:[4026531838]`. `None` if it says something else.
fn parse_link(text: &str) -> Option<(Kind, u64)> {
    let (kind, rest) = text.split_once(":[")?;
    Some((Kind::from_link(kind)?, rest.strip_suffix(']')?.parse().ok()?))
}

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
            Err(rustix::io::Errno::NOENT) if self.are_of_the_living() => Ok(None),
            Err(errno) => Err(errno).named(|| self.call(kind)),
        }
    }

    /// Whether the process is still there, and its links with it.
    fn are_of_the_living(&self) -> bool {
        rustix::fs::readlinkat(&self.directory, Kind::User.link(), Vec::new()).is_ok()
    }

    fn call(&self, kind: Kind) -> String {
        format!("readlink(\"{}/{kind}\")", self.path.display())
    }
}

/// Names in /proc/self/ns, sorted: one a kind, and what children will be born into.
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

fn nsfs_device() -> Result<u64> {
    use std::sync::OnceLock;
    static DEVICE: OnceLock<u64> = OnceLock::new();
    if let Some(device) = DEVICE.get() {
        return Ok(*device);
    }
    let stat = rustix::fs::statat(CWD, "/proc/self/ns/user", AtFlags::empty())
        .named(|| "stat(\"/proc/self/ns/user\")".into())?;
    Ok(*DEVICE.get_or_init(|| stat.st_dev))
}

const fn request(number: u32) -> libc::Ioctl {
    // _IO(0xb7, number): ioctl_ns(2), NSIO in linux/nsfs.h
    (0xb7 << 8 | number) as libc::Ioctl
}
const NS_GET_USERNS: libc::Ioctl = request(1);
const NS_GET_PARENT: libc::Ioctl = request(2);
const NS_GET_NSTYPE: libc::Ioctl = request(3);
const NS_GET_OWNER_UID: libc::Ioctl = request(4);
/// _IOR(0xb7, 13, __u64), since Linux 6.18.
const NS_GET_ID: libc::Ioctl = (2 << 30 | 8 << 16 | 0xb7 << 8 | 13) as libc::Ioctl;

/// An open namespace. While it is open, the namespace lives, even without a member.
#[derive(Debug)]
pub struct NsFile {
    fd: OwnedFd,
    path: String,
}

impl NsFile {
    /// Opens the namespace of `kind` that a process (a PID, or `None` for the caller) is a member of.
    ///
    /// # Errors
    /// As [`of`].
    pub fn of(process: Option<Pid>, kind: Kind) -> Result<NsFile> {
        NsFile::open(files::of(process, &format!("ns/{kind}")))
    }

    /// Opens the namespace that the caller's next children of `kind` (PID or time) will be born into.
    ///
    /// # Errors
    /// ENOENT after unshare(CLONE_NEWPID) while no child was made yet.
    pub fn for_children(kind: Kind) -> Result<NsFile> {
        NsFile::open(format!("/proc/self/ns/{kind}_for_children"))
    }

    /// Opens any file, in the hope that it stands for a namespace. Every call below says ENOTTY or EINVAL if not.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open(path: impl Into<String>) -> Result<NsFile> {
        let path = path.into();
        let fd = rustix::fs::openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .named(|| format!("open(\"{path}\")"))?;
        Ok(NsFile { fd, path })
    }

    /// Its identity: NS_GET_NSTYPE for the kind, fstat(2) for device and inode.
    ///
    /// # Errors
    /// ENOTTY if this is no namespace.
    pub fn id(&self) -> Result<NsId> {
        let stat = rustix::fs::fstat(&self.fd).named(|| format!("fstat({self})"))?;
        Ok(NsId { kind: self.kind()?, dev: stat.st_dev, ino: stat.st_ino })
    }

    /// Its kind, by NS_GET_NSTYPE (since Linux 4.11).
    ///
    /// # Errors
    /// ENOTTY if this is no namespace.
    pub fn kind(&self) -> Result<Kind> {
        let flag = sys::ns_ioctl_type(self.fd.as_fd(), NS_GET_NSTYPE)
            .named(|| format!("ioctl({self}, NS_GET_NSTYPE)"))?;
        Namespaces::from_bits_retain(flag as u32 as u64).kinds().next().ok_or_else(|| Error::Unreadable {
            what: format!("ioctl({self}, NS_GET_NSTYPE)"),
            message: format!("unknown kind {flag:#x}"),
        })
    }

    /// The user namespace that owns it, by NS_GET_USERNS (since Linux 4.9).
    ///
    /// # Errors
    /// EPERM if the owner is outside the caller's user namespace; ENOTTY if this is no namespace.
    pub fn owner(&self) -> Result<NsFile> {
        self.relative(NS_GET_USERNS, "NS_GET_USERNS")
    }

    /// Its parent, by NS_GET_PARENT (since Linux 4.9). PID and user namespaces have one.
    ///
    /// # Errors
    /// EPERM if the parent is outside the caller's namespace, or there is none; EINVAL for the other kinds.
    pub fn parent(&self) -> Result<NsFile> {
        self.relative(NS_GET_PARENT, "NS_GET_PARENT")
    }

    /// The user ID (in the caller's user namespace) of the owner of a user namespace, by NS_GET_OWNER_UID.
    ///
    /// # Errors
    /// EINVAL for the other kinds.
    pub fn owner_uid(&self) -> Result<u32> {
        sys::ns_ioctl_u32(self.fd.as_fd(), NS_GET_OWNER_UID)
            .named(|| format!("ioctl({self}, NS_GET_OWNER_UID)"))
    }

    /// Its 64-bit number, which is never used again, by NS_GET_ID.
    ///
    /// # Errors
    /// ENOTTY before Linux 6.18.
    pub fn serial(&self) -> Result<u64> {
        sys::ns_ioctl_u64(self.fd.as_fd(), NS_GET_ID).named(|| format!("ioctl({self}, NS_GET_ID)"))
    }

    /// Makes the caller a member, by setns(2); for PID and (before its first child) time it is the next children.
    ///
    /// `kind` is what setns checks the file against; `None` lets any kind pass.
    ///
    /// # Errors
    /// EINVAL if the file is no namespace or not of that kind; EPERM without CAP_SYS_ADMIN in the owning user
    /// namespace (and, but for user namespaces, in one's own).
    pub fn enter(&self, kind: Option<Kind>) -> Result<()> {
        if sabotage::on() {
            return Ok(());
        }
        let flags = kind.map_or(Namespaces::NONE, Kind::only);
        nix::sched::setns(&self.fd, flags.clone_flags())
            .named(|| format!("setns({self}, {})", flags.as_typed()))?;
        child::arm_again()
    }

    fn relative(&self, request: libc::Ioctl, name: &str) -> Result<NsFile> {
        let fd = sys::ns_ioctl_fd(self.fd.as_fd(), request).named(|| format!("ioctl({self}, {name})"))?;
        Ok(NsFile { fd, path: format!("ioctl({self}, {name})") })
    }
}

impl fmt::Display for NsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl AsFd for NsFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Moves the caller (for PID and time: its next children) into new namespaces, by unshare(2).
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN, unless USER is among them; ENOSPC where a limit of /proc/sys/user is reached.
pub fn unshare(namespaces: Namespaces) -> Result<()> {
    unshare_always(namespaces.unless_sabotaged())
}

/// As [`unshare`], but not subject to sabotage: for the stage, which keeps an experiment from the host.
pub(crate) fn unshare_always(namespaces: Namespaces) -> Result<()> {
    nix::sched::unshare(namespaces.clone_flags()).named(|| format!("unshare({})", namespaces.as_typed()))?;
    child::arm_again()
}

/// Enters several namespaces of one process in one step, by setns(2) with a pidfd (since Linux 5.8).
///
/// # Errors
/// EINVAL for an empty set, ESRCH when the process is gone, EPERM as [`NsFile::enter`]. None is entered on error.
pub fn enter_all_of(pidfd: BorrowedFd<'_>, namespaces: Namespaces) -> Result<()> {
    if sabotage::on() {
        return Ok(());
    }
    nix::sched::setns(pidfd, namespaces.clone_flags())
        .named(|| format!("setns(pidfd, {})", namespaces.as_typed()))?;
    child::arm_again()
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

    #[test]
    fn flags_read_as_typed() {
        assert_eq!((Namespaces::PID | Namespaces::USER).as_typed(), "CLONE_NEWPID|CLONE_NEWUSER");
        assert_eq!(Namespaces::NONE.as_typed(), "0");
    }

    #[test]
    fn a_fabricated_proc_is_read_without_privilege() {
        let proc = std::env::temp_dir().join(format!("ns-core-proc-{}", std::process::id()));
        let ns = proc.join("7/ns");
        std::fs::create_dir_all(&ns).unwrap();
        for (kind, ino) in [(Kind::User, 11), (Kind::Uts, 12)] {
            std::os::unix::fs::symlink(format!("{kind}:[{ino}]"), ns.join(kind.link())).unwrap();
        }
        let found = of_under(&proc, Some(Pid::from_raw(7)));
        let gone = of_under(&proc, Some(Pid::from_raw(8)));
        std::fs::remove_dir_all(&proc).unwrap();
        let found: Vec<_> = found.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, ["user:[11]", "uts:[12]"], "a kernel without the other six kinds");
        assert_eq!(gone.unwrap_err().errno(), Some(Errno::ENOENT));
    }
}
