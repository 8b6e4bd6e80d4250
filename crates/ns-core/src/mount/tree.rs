//! Mounts as descriptors: open_tree(2), fsmount(2), move_mount(2), mount_setattr(2).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::Restriction;
use crate::error::{Named, Result};
use crate::sys::{self, MountAttr};
use crate::{Kind, NsFile, host};

/// A mount as a descriptor. A copy and a new filesystem stand nowhere until they are attached, and go with it if they
/// never are.
#[derive(Debug)]
pub struct Tree {
    fd: OwnedFd,
    /// How messages call it.
    name: String,
}

impl Tree {
    /// A copy of the mount at `path` that is mounted nowhere (OPEN_TREE_CLONE).
    ///
    /// # Errors
    /// Those of open_tree(2), which exists since Linux 5.2; [`crate::Error::WouldChangeHost`], without a call.
    pub fn copy_of(path: &Path) -> Result<Tree> {
        Tree::copy(CWD, path, OpenTreeFlags::empty(), path.display().to_string())
    }

    /// As [`Tree::copy_of`], with copies of all that is mounted below it.
    ///
    /// # Errors
    /// As [`Tree::copy_of`].
    pub fn copy_of_all(path: &Path) -> Result<Tree> {
        Tree::copy(CWD, path, OpenTreeFlags::AT_RECURSIVE, path.display().to_string())
    }

    /// As [`Tree::copy_of`], of the file or directory that is open as `fd`, whatever stands at its name by now. `name` is
    /// for messages.
    ///
    /// # Errors
    /// As [`Tree::copy_of`].
    pub fn copy_of_open(fd: impl AsFd, name: &str) -> Result<Tree> {
        Tree::copy(fd.as_fd(), Path::new(""), OpenTreeFlags::AT_EMPTY_PATH, name.into())
    }

    /// As [`Tree::copy_of`], of `name` below this one, a link of which is not followed.
    ///
    /// # Errors
    /// As [`Tree::copy_of`]; ENOENT if there is no such name.
    pub fn copy_of_below(&self, name: &str) -> Result<Tree> {
        Tree::copy(self.as_fd(), Path::new(name), OpenTreeFlags::AT_SYMLINK_NOFOLLOW, name.into())
    }

    /// The mount at `path` itself.
    ///
    /// # Errors
    /// Those of open_tree(2), which exists since Linux 5.2.
    pub fn at(path: &Path) -> Result<Tree> {
        let name = path.display().to_string();
        let opened = open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLOEXEC);
        Ok(Tree { fd: opened.named(|| format!("open_tree(\"{name}\", 0)"))?, name })
    }

    /// A new filesystem of type `kind` that is mounted nowhere: fsopen(2), fsmount(2). An option without a value, such as
    /// `("userxattr", "")`, is a flag.
    ///
    /// # Errors
    /// ENODEV for a type that the kernel does not know, EINVAL for an option, EPERM without CAP_SYS_ADMIN. cgroup2 has one
    /// set of options for the machine, so it is refused in the cgroup namespace that we were started in
    /// ([`crate::Error::WouldChangeHost`]).
    pub fn new_filesystem(
        kind: &str,
        options: &[(&str, &str)],
        restrictions: &[Restriction],
    ) -> Result<Tree> {
        let call = || {
            let typed = options.iter().map(|(key, value)| match *value {
                "" => format!(" -o {key}"),
                value => format!(" -o {key}={value}"),
            });
            format!("mount -t {kind}{}", typed.collect::<String>())
        };
        if kind == "cgroup2" {
            host::require_left(Kind::Cgroup, call)?;
        }
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).named(call)?;
        for (key, value) in options {
            let set = match *value {
                "" => fsconfig_set_flag(&context, *key),
                value => fsconfig_set_string(&context, *key, value),
            };
            set.named(call)?;
        }
        fsconfig_create(&context).named(call)?;
        let attributes = restrictions.iter().map(|it| it.attribute()).collect();
        let fd = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).named(call)?;
        Ok(Tree { fd, name: kind.into() })
    }

    /// Puts it at `target`, a path, whose links are followed: a copy or a new filesystem is mounted there, a mount is moved.
    ///
    /// # Errors
    /// EINVAL for a mount that was unmounted; [`crate::Error::WouldChangeHost`], without a call.
    pub fn attach(&self, target: &Path) -> Result<()> {
        let typed = format!("\"{}\", 0", target.display());
        self.put(CWD, target, MoveMountFlags::empty(), &typed)
    }

    /// Puts it at `target`, beneath what is mounted there already (since Linux 6.5).
    ///
    /// # Errors
    /// As [`Tree::attach`]; EINVAL also before Linux 6.5, and where nothing is mounted.
    pub fn attach_beneath(&self, target: &Path) -> Result<()> {
        let typed = format!("\"{}\", MOVE_MOUNT_BENEATH", target.display());
        self.put(CWD, target, MoveMountFlags::MOVE_MOUNT_BENEATH, &typed)
    }

    /// Puts it on the file or directory that is open as `place`, whatever stands at its name by now. It is for a name
    /// that is not to be trusted, and was looked up with care. `name` is for messages.
    ///
    /// # Errors
    /// As [`Tree::attach`].
    pub fn attach_to(&self, place: impl AsFd, name: &str) -> Result<()> {
        let flags = MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        self.put(place.as_fd(), Path::new(""), flags, &format!("\"{name}\", 0"))
    }

    /// Puts it on `name` below `tree`, a link of which is not followed.
    ///
    /// # Errors
    /// As [`Tree::attach`]; ENOENT if there is no such name, EINVAL for a file on a directory, and the reverse.
    pub fn attach_below(&self, tree: &Tree, name: &str) -> Result<()> {
        self.put(tree.as_fd(), Path::new(name), MoveMountFlags::empty(), &format!("\"{name}\", 0"))
    }

    /// Makes it read-only, with those below it, and leaves its other restrictions as they are (mount_setattr(2), since Linux
    /// 5.12). A mount that stands nowhere yet can so be read-only before anyone sees it.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN; [`crate::Error::WouldChangeHost`], without a call.
    pub fn make_read_only(&self) -> Result<()> {
        self.add(Restriction::ReadOnly, true)
    }

    /// As [`Tree::make_read_only`], of that mount alone.
    ///
    /// # Errors
    /// As [`Tree::make_read_only`].
    pub fn make_one_read_only(&self) -> Result<()> {
        self.restrict(Restriction::ReadOnly)
    }

    /// Adds a restriction to that mount alone, and leaves those that it has.
    ///
    /// # Errors
    /// As [`Tree::make_read_only`].
    pub fn restrict(&self, restriction: Restriction) -> Result<()> {
        self.add(restriction, false)
    }

    /// As [`Tree::restrict`], with the mounts below it.
    ///
    /// # Errors
    /// As [`Tree::make_read_only`].
    pub fn restrict_all(&self, restriction: Restriction) -> Result<()> {
        self.add(restriction, true)
    }

    fn copy(from: BorrowedFd<'_>, path: &Path, flags: OpenTreeFlags, name: String) -> Result<Tree> {
        let call = || format!("open_tree(\"{name}\", OPEN_TREE_CLONE)");
        host::require_left(Kind::Mnt, call)?;
        let flags = flags | OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let fd = open_tree(from, path, flags).named(call)?;
        Ok(Tree { fd, name })
    }

    fn put(&self, at: BorrowedFd<'_>, path: &Path, flags: MoveMountFlags, typed: &str) -> Result<()> {
        let call = || format!("move_mount({}, {typed})", self.name);
        host::require_left(Kind::Mnt, call)?;
        move_mount(&self.fd, "", at, path, flags | MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).named(call)
    }

    fn add(&self, restriction: Restriction, recursively: bool) -> Result<()> {
        let attribute = restriction.attribute();
        let call = || {
            let name: String = attribute.iter_names().map(|(name, _)| name).collect();
            format!("mount_setattr({}, {name})", self.name)
        };
        host::require_left(Kind::Mnt, call)?;
        let set = u64::from(attribute.bits());
        sys::mount_setattr(self.fd.as_fd(), recursively, &MountAttr { set, ..MountAttr::default() })
            .named(call)
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Has a copy that stands nowhere yet ([`Tree::copy_of`], here or in another process) show its files' owners through
/// the ID map of `users`, a user namespace. A file of user N belongs to whoever is user N in it. The files do not
/// change (MOUNT_ATTR_IDMAP, since Linux 5.12).
///
/// It asks for no mount namespace of our own: the kernel refuses it for a mount that anybody can see.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN in the user namespace that the filesystem was mounted in; EINVAL where the filesystem
/// cannot do it, or the mount stands somewhere.
pub fn map_owners(fd: BorrowedFd<'_>, users: &NsFile) -> Result<()> {
    let attr = MountAttr {
        set: u64::from(MountAttrFlags::MOUNT_ATTR_IDMAP.bits()),
        user_namespace: users.as_fd().as_raw_fd().try_into().unwrap_or(u64::MAX),
        ..MountAttr::default()
    };
    sys::mount_setattr(fd, false, &attr).named(|| format!("mount_setattr(fd, MOUNT_ATTR_IDMAP, {users})"))
}
