//! An open namespace, and its relations: ioctl_ns(2), setns(2).

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::unistd::Pid;
use observation::{Kind, NsId};
use rustix::fs::{CWD, Mode, OFlags};

use super::Namespaces;
use super::moves::has_moved;
use crate::error::{Error, Named, Result};
use crate::{files, sys, tether};

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
    pub(super) fd: OwnedFd,
    pub(super) path: String,
}

impl NsFile {
    /// Opens the namespace of `kind` that a process (a PID, or `None` for the caller) is a member of.
    ///
    /// # Errors
    /// As [`super::of`].
    pub fn of(process: Option<Pid>, kind: Kind) -> Result<NsFile> {
        NsFile::open(files::of(process, &format!("ns/{kind}")))
    }

    /// Opens the namespace that the caller's next children of `kind` (PID or time) will be created in.
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

    /// A descriptor that another process sent.
    pub(crate) fn from_fd(fd: OwnedFd, path: impl Into<String>) -> NsFile {
        NsFile { fd, path: path.into() }
    }

    /// Its identity: NS_GET_NSTYPE for the kind, fstat(2) for device and inode.
    ///
    /// # Errors
    /// ENOTTY if this is no namespace.
    pub fn id(&self) -> Result<NsId> {
        self.id_as(self.kind()?)
    }

    /// Its identity, where its kind is known: fstat(2) alone.
    ///
    /// # Errors
    /// None that is expected of an open file.
    pub fn id_as(&self, kind: Kind) -> Result<NsId> {
        let stat = rustix::fs::fstat(&self.fd).named(|| format!("fstat({self})"))?;
        Ok(NsId { kind, dev: stat.st_dev, ino: stat.st_ino })
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
        let flags = kind.map_or(Namespaces::NONE, Namespaces::only);
        nix::sched::setns(&self.fd, flags.clone_flags())
            .named(|| format!("setns({self}, {})", flags.as_typed()))?;
        has_moved(kind.map_or(Namespaces::all(), Namespaces::only));
        tether::arm_again()
    }

    fn relative(&self, request: libc::Ioctl, name: &str) -> Result<NsFile> {
        let fd = sys::ns_ioctl_fd(self.fd.as_fd(), request).named(|| format!("ioctl({self}, {name})"))?;
        Ok(NsFile { fd, path: format!("ioctl({self}, {name})") })
    }
}

impl From<NsFile> for OwnedFd {
    fn from(file: NsFile) -> OwnedFd {
        file.fd
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
