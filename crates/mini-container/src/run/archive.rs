//! A root filesystem from an archive: tar(5), or an image as `docker save` writes it ([`layers`](super::layers)).
//!
//! It is unpacked into memory, in the container's mount namespace: gone with it, and with the rights of its root, who
//! is nobody outside. An archive is not to be trusted all the same. Every name in it is looked up with the new root as
//! the root of all, so that a symbolic link that came earlier leads nowhere else; and names that mean to climb, and
//! devices, are refused.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use ns_core::{Errno, Error, Named, Result};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, chmodat, chownat, fchmod,
    futimens, linkat, mkdirat, mknodat, openat, openat2, statat, symlinkat, unlinkat,
};
use tar::{Archive, Entry, EntryType};

use super::layers::{self, Layer};

/// What there is to say about an archive that was unpacked.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    /// Files whose owner has no ID in the container.
    pub(crate) unmapped: u32,
}

/// Unpacks the archive `file` into `directory`, and calls `tell` now and then, so that whoever waits knows that we live.
///
/// # Errors
/// [`Error::Input`], in one line, for what is no archive, is cut short, or holds what it must not.
pub(super) fn unpack(
    file: &File,
    path: &Path,
    directory: &OwnedFd,
    mut tell: impl FnMut() -> Result<()>,
) -> Result<Unpacked> {
    let name = path.display().to_string();
    must_be_whole(file, &name)?;
    let layers = layers::of(file, &name)?;
    let image = layers.is_some();
    let whole = Layer { offset: 0, length: u64::MAX };
    let mut unpacker =
        Unpacker { name, root: directory, added: HashSet::new(), image, unpacked: Unpacked::default() };
    for layer in layers.unwrap_or_else(|| vec![whole]) {
        unpacker.added.clear();
        let mut bytes = file;
        bytes.seek(SeekFrom::Start(layer.offset)).named(|| "lseek(archive)".into())?;
        let mut archive = Archive::new(BufReader::with_capacity(1 << 16, bytes.take(layer.length)));
        let entries = archive.entries().map_err(|error| unpacker.damaged(&error))?;
        for (number, entry) in entries.enumerate() {
            let mut entry = entry.map_err(|error| unpacker.damaged(&error))?;
            unpacker.add(&mut entry)?;
            if number % 512 == 0 {
                tell()?;
            }
        }
    }
    Ok(unpacker.unpacked)
}

/// A tar archive ends with two blocks of zeros. Cut off between two files it would pass for a shorter one.
fn must_be_whole(file: &File, name: &str) -> Result<()> {
    let call = || format!("read(\"{name}\")");
    let length = file.metadata().named(call)?.len();
    let mut start = [0; 512];
    let mut bytes = file;
    let read = bytes.read(&mut start).named(call)?;
    let packed = match start {
        [0x1f, 0x8b, ..] => Some("gunzip"),
        [0xfd, b'7', b'z', ..] => Some("unxz"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("unzstd"),
        [b'B', b'Z', b'h', ..] => Some("bunzip2"),
        _ => None,
    };
    if let Some(program) = packed {
        return Err(Error::Input(format!("{name}: it is compressed; unpack it first: {program} {name}")));
    }
    // "ustar" stands in the header of every archive since 1988 (tar(5)).
    if read < 512 || start[257..262] != *b"ustar" {
        return Err(Error::Input(format!("{name}: neither a directory nor a tar archive")));
    }
    let mut end = [1; 1024];
    let found =
        bytes.seek(SeekFrom::Start(length.saturating_sub(1024))).and_then(|_| bytes.read_exact(&mut end));
    if found.is_err() || end.iter().any(|byte| *byte != 0) {
        return Err(Error::Input(format!("{name}: the archive is cut short; get it again")));
    }
    Ok(())
}

struct Unpacker<'a> {
    name: String,
    root: &'a OwnedFd,
    /// What the layer in hand has brought.
    added: HashSet<PathBuf>,
    /// Whether names that begin with `.wh.` remove what a layer below has.
    image: bool,
    unpacked: Unpacked,
}

impl Unpacker<'_> {
    fn add<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<()> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let path = self.inside(&entry.path_bytes())?;
        let Some(name) = path.file_name().map(OsStr::to_owned) else { return Ok(()) }; // "./"
        let parent = self.parent(&path)?;
        let parent = parent.as_fd();
        if self.image && name.as_bytes().starts_with(b".wh.") {
            return self.white_out(&path, parent, &name);
        }
        let mode = Mode::from_raw_mode(self.number(&path, entry.header().mode())? & 0o7777);
        let shown = shown(&path);
        match kind {
            EntryType::Directory => {
                if !is_directory(parent, &name) {
                    remove(parent, &name)?;
                    mkdirat(parent, &name, mode).map_err(|errno| self.refused(&shown, errno))?;
                }
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                remove(parent, &name)?;
                let flags =
                    OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
                let file = openat(parent, &name, flags, mode).map_err(|errno| self.refused(&shown, errno))?;
                let mut file = File::from(file);
                let (size, changed) = (entry.size(), entry.header().mtime().unwrap_or(0));
                let copied = std::io::copy(entry, &mut file).map_err(|error| match error.raw_os_error() {
                    Some(errno) => self.refused(&shown, rustix::io::Errno::from_raw_os_error(errno)),
                    None => self.damaged(&error),
                })?;
                if copied != size {
                    return Err(Error::Input(format!(
                        "{}: the archive is cut short in {shown}; get it again",
                        self.name
                    )));
                }
                self.give(parent, &name, entry)?;
                // After the owner: chown(2) takes set-user-ID bits away.
                fchmod(&file, mode).named(|| format!("chmod {shown}"))?;
                let when = Timespec { tv_sec: i64::try_from(changed).unwrap_or(0), tv_nsec: 0 };
                let times = Timestamps { last_access: when, last_modification: when };
                futimens(&file, &times).named(|| format!("touch {shown}"))?;
                self.added.insert(path);
                return Ok(());
            }
            EntryType::Symlink => {
                remove(parent, &name)?;
                // Wherever it says that it leads: nobody here follows it, and inside it leads inside.
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                symlinkat(target.as_slice(), parent, &name).map_err(|errno| self.refused(&shown, errno))?;
            }
            EntryType::Link => {
                let target = self.inside(&entry.link_name_bytes().unwrap_or_default())?;
                let target_name = target.file_name().unwrap_or_default().to_owned();
                let target_parent = self.parent(&target)?;
                remove(parent, &name)?;
                linkat(&target_parent, &target_name, parent, &name, AtFlags::empty())
                    .map_err(|errno| self.refused(&shown, errno))?;
                self.added.insert(path);
                return Ok(());
            }
            EntryType::Fifo => {
                remove(parent, &name)?;
                mknodat(parent, &name, FileType::Fifo, mode, 0)
                    .map_err(|errno| self.refused(&shown, errno))?;
            }
            EntryType::Char | EntryType::Block => {
                return Err(Error::Input(format!(
                    "{}: {shown} is a device, and a container gets its devices from its runtime; \
                     leave them out: tar --exclude='./dev/*'",
                    self.name
                )));
            }
            other => {
                return Err(Error::Input(format!("{}: {shown} is of the unknown kind {other:?}", self.name)));
            }
        }
        self.give(parent, &name, entry)?;
        if kind != EntryType::Symlink {
            chmodat(parent, &name, mode, AtFlags::empty()).named(|| format!("chmod {shown}"))?;
        }
        self.added.insert(path);
        Ok(())
    }

    /// A name of the archive as a path below the root.
    fn inside(&self, name: &[u8]) -> Result<PathBuf> {
        let mut path = PathBuf::new();
        for part in Path::new(OsStr::from_bytes(name)).components() {
            match part {
                Component::Normal(part) => path.push(part),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    let name = shown(Path::new(OsStr::from_bytes(name)));
                    return Err(Error::Input(format!(
                        "{}: refused, since the name {name} leads out of it: whoever made it meant harm, or \
                         forgot tar -C DIRECTORY .",
                        self.name
                    )));
                }
            }
        }
        Ok(path)
    }

    /// The directory that `path` is in, made if the archive has not named it.
    fn parent(&self, path: &Path) -> Result<OwnedFd> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let here = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        match openat2(self.root, here, flags, Mode::empty(), resolve) {
            Ok(found) => Ok(found),
            Err(rustix::io::Errno::NOENT) if !parent.as_os_str().is_empty() => {
                let above = self.parent(parent)?;
                let name = parent.file_name().unwrap_or_default();
                mkdirat(&above, name, Mode::from_raw_mode(0o755))
                    .map_err(|errno| self.refused(&shown(parent), errno))?;
                openat(&above, name, flags | OFlags::NOFOLLOW, Mode::empty())
                    .map_err(|errno| self.refused(&shown(parent), errno))
            }
            Err(errno) => Err(self.refused(&shown(parent), errno)),
        }
    }

    /// Gives a file to its owner, if the container has such a user.
    fn give<R: Read>(&mut self, parent: BorrowedFd<'_>, name: &OsString, entry: &Entry<'_, R>) -> Result<()> {
        let header = entry.header();
        let (uid, gid) = (header.uid().unwrap_or(u64::MAX), header.gid().unwrap_or(u64::MAX));
        if (uid, gid) == (0, 0) {
            return Ok(());
        }
        let (Ok(user), Ok(group)) = (u32::try_from(uid), u32::try_from(gid)) else {
            self.unpacked.unmapped += 1;
            return Ok(());
        };
        let (user, group) = (Some(Uid::from_raw(user)), Some(Gid::from_raw(group)));
        match chownat(parent, name, user, group, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(()) => Ok(()),
            // No such user in this user namespace.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::PERM) => {
                self.unpacked.unmapped += 1;
                Ok(())
            }
            Err(errno) => Err(errno).named(|| format!("chown {uid}:{gid} {}", shown(Path::new(name)))),
        }
    }

    /// `.wh.NAME` says that NAME of a layer below is gone, and `.wh..wh..opq` that all in this directory is.
    fn white_out(&self, path: &Path, parent: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
        let gone = &name.as_bytes()[4..];
        if gone == b".wh..opq" {
            let directory = path.parent().unwrap_or(Path::new(""));
            for entry in
                std::fs::read_dir(by_descriptor(parent)).named(|| format!("readdir({})", shown(directory)))?
            {
                let below = entry.named(|| "readdir()".into())?.file_name();
                if !self.added.contains(&directory.join(&below)) {
                    remove(parent, &below)?;
                }
            }
            return Ok(());
        }
        if gone.starts_with(b".wh.") {
            return Ok(()); // notes of aufs, which once were the storage
        }
        if matches!(gone, b"" | b"." | b"..") {
            return Err(Error::Input(format!("{}: refused: {} removes no file", self.name, shown(path))));
        }
        remove(parent, OsStr::from_bytes(gone))
    }

    fn number(&self, path: &Path, field: std::io::Result<u32>) -> Result<u32> {
        field.map_err(|_| Error::Input(format!("{}: {} has a damaged header", self.name, shown(path))))
    }

    fn refused(&self, what: &str, errno: rustix::io::Errno) -> Error {
        match errno {
            rustix::io::Errno::NOSPC | rustix::io::Errno::NOMEM => Error::Input(format!(
                "{}: no space at {what}: an archive is unpacked into memory, half of it at most; unpack it into a \
                 directory, and give that",
                self.name
            )),
            errno => Error::Call {
                call: format!("unpack {what} of {}", self.name),
                errno: Errno::from_raw(errno.raw_os_error()),
            },
        }
    }

    fn damaged(&self, error: &std::io::Error) -> Error {
        Error::Input(format!("{}: the archive is damaged or cut short ({error}); get it again", self.name))
    }
}

fn is_directory(parent: BorrowedFd<'_>, name: &OsStr) -> bool {
    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Removes what an earlier entry or layer put there, if any did.
fn remove(parent: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        // It follows no symbolic link.
        Err(rustix::io::Errno::ISDIR | rustix::io::Errno::PERM) => {
            let path = by_descriptor(parent).join(name);
            std::fs::remove_dir_all(&path).named(|| format!("rm -r {}", shown(Path::new(name))))
        }
        Err(errno) => Err(errno).named(|| format!("rm {}", shown(Path::new(name)))),
    }
}

/// Our way to an open directory, for what takes paths only.
fn by_descriptor(directory: BorrowedFd<'_>) -> PathBuf {
    format!("/proc/self/fd/{}", directory.as_raw_fd()).into()
}

/// A name that may hold any byte, for a message.
fn shown(path: &Path) -> String {
    ns_core::fact::printable(&path.to_string_lossy())
}
