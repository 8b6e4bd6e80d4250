//! Directories that go with their guard, or with us.

use std::ffi::{CStr, OsStr};
use std::fs::{self, Permissions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, StatxFlags, mkdirat, open, openat, statx, unlinkat};
use rustix::io::Errno;

use super::leftover::Removal;
use super::owner::{Owner, is_abandoned, lock, unique_name};
use super::registry::{forget, register};
use crate::cgroup::CgroupName;
use crate::error::{Error, Named, Result};

/// Directories, which are removed with all that is in them. Symbolic links in them are removed and not followed, and
/// mounts are not entered.
pub const DIRECTORY: Removal = Removal { kind: "directory", remove: remove_all };

/// A directory that is removed with all that is in it when the guard is dropped, or else when we are gone.
#[derive(Debug)]
pub struct TemporaryDirectory {
    path: PathBuf,
    owner: Owner,
    // Kept for its lock: see `lock`.
    _fd: OwnedFd,
}

impl TemporaryDirectory {
    /// Makes a directory for us alone (mode 0700) in $TMPDIR, or in /tmp where that is not set.
    ///
    /// `purpose` is 1 to 64 of the characters that [`CgroupName`] allows. The directory is called
    /// `inception-PID-STARTTIME-N-PURPOSE`.
    ///
    /// # Errors
    /// [`Error::Input`] for a bad purpose; those of mkdir(2), such as ENOENT when $TMPDIR does not exist; those of
    /// [`super::start`].
    pub fn new(purpose: &str) -> Result<TemporaryDirectory> {
        let purpose = CgroupName::new(purpose)?;
        let wanted = std::env::temp_dir();
        // As it is now: TMPDIR may be relative, and the worker's working directory is another.
        let base = fs::canonicalize(&wanted).named(|| format!("realpath(\"{}\")", wanted.display()))?;
        let parent = open_path(&base).named(|| format!("open(\"{}\")", base.display()))?;
        let mut tries = 100;
        loop {
            let name = unique_name(purpose.as_str())?;
            let path = base.join(&name);
            register(DIRECTORY, &path)?;
            match mkdirat(&parent, &name, Mode::RWXU) {
                Ok(()) => {
                    let fd = open_directory(parent.as_fd(), OsStr::new(&name));
                    let fd = fd.named(|| format!("open(\"{}\")", path.display()))?;
                    lock(&fd);
                    return Ok(TemporaryDirectory { path, owner: Owner::this_process(), _fd: fd });
                }
                Err(error) => {
                    forget(&path);
                    tries -= 1;
                    // Someone else's, then: never touch it, take another name.
                    if error != Errno::EXIST || tries == 0 {
                        return Err(error).named(|| format!("mkdir(\"{}\", 0700)", path.display()));
                    }
                }
            }
        }
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // What is left after a failure stays registered: the worker tries again when we are gone.
        if self.owner.is_this_process() && remove_all(&self.path).is_ok() {
            forget(&self.path);
        }
    }
}

/// Removes the directories of this user in $TMPDIR (else /tmp) whose owner is gone and was removed by nobody, as when
/// its worker was killed too. Those of a living owner stay.
///
/// Returns the paths that it removed.
///
/// # Errors
/// Those of reading the directory. What cannot be removed is passed over.
pub fn sweep_directories() -> Result<Vec<PathBuf>> {
    let wanted = std::env::temp_dir();
    let base = fs::canonicalize(&wanted).named(|| format!("realpath(\"{}\")", wanted.display()))?;
    let mut removed = Vec::new();
    for entry in fs::read_dir(&base).named(|| format!("readdir(\"{}\")", base.display()))?.flatten() {
        let path = entry.path();
        let Some(name) = path.file_name().and_then(OsStr::to_str) else { continue };
        let Ok(fd) = open(&path, OPEN_DIRECTORY, Mode::empty()) else { continue };
        let mine =
            rustix::fs::fstat(&fd).is_ok_and(|stat| stat.st_uid == rustix::process::geteuid().as_raw());
        if mine && is_abandoned(name, &fd) && remove_all(&path).is_ok() {
            removed.push(path);
        }
    }
    Ok(removed)
}

const OPEN_DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn open_path(path: &Path) -> rustix::io::Result<OwnedFd> {
    open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Removes a directory and what is in it, without following a symbolic link or entering a mount.
///
/// By hand, since [`fs::remove_dir_all`] and the crates for it follow no link either, but empty what is mounted inside, and
/// stop at a directory of ours without permissions.
///
/// # Errors
/// [`Error::Call`] for the first thing that stays; a directory that is not there is no error.
fn remove_all(path: &Path) -> Result<()> {
    let (Some(base), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::Input(format!("rm -r \"{}\": not a path with a name", path.display())));
    };
    let removed = match open_path(base) {
        Ok(parent) => remove_beneath(parent.as_fd(), name),
        Err(error) => Err(error),
    };
    match removed {
        Err(Errno::NOENT) => Ok(()),
        other => other.named(|| format!("rm -r \"{}\"", path.display())),
    }
}

fn remove_beneath(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<()> {
    // Another process may still be writing while we remove, but not for ever.
    for _ in 0..100 {
        match unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            other => return other,
        }
        let directory = open_directory(parent, name)?;
        if mount_of(parent)? != mount_of(directory.as_fd())? {
            return Err(Errno::XDEV);
        }
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            if is_dot(entry.file_name()) {
                continue;
            }
            // EISDIR and not a look at its type: what was a file when it was listed may be a directory by now.
            match unlinkat(&directory, entry.file_name(), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::ISDIR) => {
                    match remove_beneath(directory.as_fd(), OsStr::from_bytes(entry.file_name().to_bytes())) {
                        Ok(()) | Err(Errno::NOENT) => {}
                        Err(other) => return Err(other),
                    }
                }
                Err(other) => return Err(other),
            }
        }
    }
    Err(Errno::NOTEMPTY)
}

fn is_dot(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

fn open_directory(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    match openat(parent, name, OPEN_DIRECTORY, Mode::empty()) {
        // Ours, but without permissions, as overlayfs leaves its `work` directory.
        Err(Errno::ACCESS) => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let found = openat(parent, name, flags, Mode::empty())?;
            // chmod(2) through /proc, since it cannot follow a link here and fchmod(2) refuses O_PATH (open(2)).
            let path = format!("/proc/self/fd/{}", found.as_raw_fd());
            fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(|_| Errno::ACCESS)?;
            openat(parent, name, OPEN_DIRECTORY, Mode::empty())
        }
        other => other,
    }
}

/// Which mount a descriptor is on. A bind mount of the same file system has the same device, but not the same mount.
fn mount_of(fd: BorrowedFd<'_>) -> rustix::io::Result<(u64, u32, u32)> {
    let found = statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)?;
    Ok((found.stx_mnt_id, found.stx_dev_major, found.stx_dev_minor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A directory of this test's own; the cleanup worker is not at hand, since tests run in threads.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("ns-core-test-{}-{name}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn links_are_removed_and_not_followed() {
        let scratch = Scratch::new("links");
        let (kept, doomed) = (scratch.0.join("kept"), scratch.0.join("doomed"));
        fs::create_dir_all(kept.join("precious")).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        fs::create_dir_all(doomed.join("a/b/c")).unwrap();
        symlink(&kept, doomed.join("link")).unwrap();
        symlink("..", doomed.join("a/up")).unwrap();
        symlink(kept.join("file"), doomed.join("a/b/to-file")).unwrap();
        remove_all(&doomed).unwrap();
        assert!(!doomed.exists());
        assert!(kept.join("precious").is_dir() && kept.join("file").is_file());
    }

    #[test]
    fn a_link_in_the_place_of_the_directory_is_refused() {
        let scratch = Scratch::new("root-link");
        fs::create_dir_all(scratch.0.join("kept/inside")).unwrap();
        symlink(scratch.0.join("kept"), scratch.0.join("link")).unwrap();
        assert!(remove_all(&scratch.0.join("link")).is_err());
        assert!(scratch.0.join("kept/inside").is_dir());
    }

    #[test]
    fn directories_without_permissions_go_too() {
        let scratch = Scratch::new("modes");
        let doomed = scratch.0.join("doomed");
        fs::create_dir_all(doomed.join("work/work/deep")).unwrap();
        fs::set_permissions(doomed.join("work/work"), Permissions::from_mode(0o000)).unwrap();
        remove_all(&doomed).unwrap();
        assert!(!doomed.exists());
    }

    #[test]
    fn what_is_not_there_is_no_error() {
        remove_all(Path::new("/no/such/inception-1")).unwrap();
    }
}
