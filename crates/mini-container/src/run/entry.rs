//! The files of an archive: each is created below the new root, or refused.
//!
//! Each name is looked up with the new root as the root directory, so that a symbolic link of the archive cannot lead out.
//! Names with `..` or a leading `/` are refused, and devices are left out.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use ns_core::resolve::openat2;
use ns_core::{Errno, Error, Named, Result};
use procfs::Current;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, chmodat, chownat,
    fstatvfs, futimens, linkat, mkdirat, mknodat, openat, statat, symlinkat, unlinkat,
};
use tar::{Entry, EntryType};

use super::bytes::Bytes;

/// Memory that is never filled, since the machine and the command need some too.
const RESERVE: u64 = 16 << 20;

/// How many bytes can still be unpacked: the free space of the filesystem, or the available memory if that is less.
pub(super) fn room(directory: BorrowedFd<'_>) -> Result<u64> {
    let filesystem = fstatvfs(directory).named(|| "statvfs()".into())?;
    let available = procfs::Meminfo::current().ok().and_then(|memory| memory.mem_available);
    let available = available.unwrap_or(u64::MAX).saturating_sub(RESERVE);
    Ok(available.min(filesystem.f_bavail.saturating_mul(filesystem.f_frsize)))
}

/// Creates the files of an archive below a root directory.
pub(super) struct Unpacker<'a> {
    bytes: &'a Bytes<'a>,
    root: BorrowedFd<'a>,
    /// The paths that the present layer has added, with their directories.
    added: HashSet<PathBuf>,
    /// Whether names that begin with `.wh.` remove files of a lower layer.
    image: bool,
    /// Files whose owner has no ID in the container.
    pub(super) unmapped: u32,
    /// Devices that were left out.
    pub(super) devices: u32,
}

impl<'a> Unpacker<'a> {
    /// `image`: whether the archive is an image, and has whiteouts.
    pub(super) fn new(bytes: &'a Bytes<'a>, root: BorrowedFd<'a>, image: bool) -> Unpacker<'a> {
        Unpacker { bytes, root, added: HashSet::new(), image, unmapped: 0, devices: 0 }
    }

    /// To be called before the first file of each layer.
    pub(super) fn begin_layer(&mut self) {
        self.added.clear();
    }

    /// Creates the file that `entry` describes, or applies its whiteout.
    ///
    /// # Errors
    /// [`Error::Input`] for a forbidden entry.
    pub(super) fn add<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<()> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let path = self.inside(&entry.path_bytes())?;
        let Some(name) = path.file_name().map(OsStr::to_owned) else { return Ok(()) }; // "./"
        let shown = shown(&path);
        let parent = self.parent(&path)?;
        let parent = parent.as_fd();
        if self.image && name.as_bytes().starts_with(b".wh.") {
            return self.white_out(&path, parent, &name);
        }
        let mode = entry.header().mode();
        let mode =
            mode.map_err(|_| self.input(format!("{shown} has a damaged header; get the archive again")))?;
        let mode = Mode::from_raw_mode(mode & 0o7777);
        let refused = |errno| self.refused(&shown, errno);
        match kind {
            // An existing directory keeps its files.
            EntryType::Directory if is_directory(parent, &name) => {}
            _ => remove(parent, &name)?,
        }
        match kind {
            EntryType::Directory => match mkdirat(parent, &name, mode) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(errno) => return Err(refused(errno)),
            },
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let flags =
                    OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
                let file = openat(parent, &name, flags, mode).map_err(refused)?;
                self.fill(File::from(file), entry, &shown)?;
            }
            // Any target is allowed: the unpacker does not follow it, and inside the container it cannot lead out.
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                symlinkat(target.as_slice(), parent, &name).map_err(refused)?;
            }
            EntryType::Link => {
                let target = self.inside(&entry.link_name_bytes().unwrap_or_default())?;
                let target_name = target.file_name().unwrap_or_default().to_owned();
                let target_parent = self.parent(&target)?;
                linkat(&target_parent, &target_name, parent, &name, AtFlags::empty()).map_err(refused)?;
            }
            EntryType::Fifo => mknodat(parent, &name, FileType::Fifo, mode, 0).map_err(refused)?,
            // A container gets its devices from its runtime, and mknod(2) makes none in a user namespace.
            EntryType::Char | EntryType::Block => {
                self.devices += 1;
                return Ok(());
            }
            other => {
                let kind = char::from(other.as_byte()).escape_default();
                return Err(self.input(format!("{shown} is of the unknown kind '{kind}'")));
            }
        }
        // A hard link has its owner and mode already.
        if kind != EntryType::Link {
            self.give(parent, &name, entry)?;
            // After chown(2), which clears set-user-ID bits.
            if kind != EntryType::Symlink {
                chmodat(parent, &name, mode, AtFlags::empty()).named(|| format!("chmod {shown}"))?;
            }
        }
        for path in path.ancestors() {
            if !self.added.insert(path.into()) {
                break;
            }
        }
        Ok(())
    }

    /// Fills a file with its content.
    fn fill<R: Read>(&self, mut file: File, entry: &mut Entry<'_, R>, shown: &str) -> Result<()> {
        for extension in entry.pax_extensions().ok().flatten().into_iter().flatten().flatten() {
            if extension.key_bytes().starts_with(b"GNU.sparse.") {
                return Err(self.input(format!(
                    "{shown} is a sparse file of an unknown format; create the archive with tar --format=gnu"
                )));
            }
        }
        let size = entry.size();
        if size > RESERVE {
            self.must_have_room(size, shown)?;
        }
        let changed = entry.header().mtime().unwrap_or(0);
        let sparse = entry.header().entry_type() == EntryType::GNUSparse;
        let copied = if sparse { copy_holes(entry, &mut file) } else { io::copy(entry, &mut file) };
        let copied = copied.map_err(|error| match error.raw_os_error() {
            Some(errno) => self.refused(shown, rustix::io::Errno::from_raw_os_error(errno)),
            None => self.bytes.damaged(&error),
        })?;
        if copied != size {
            return Err(self.input(format!("the archive is cut short in {shown}; get it again")));
        }
        let when = Timespec { tv_sec: i64::try_from(changed).unwrap_or(0), tv_nsec: 0 };
        let times = Timestamps { last_access: when, last_modification: when };
        futimens(&file, &times).named(|| format!("touch {shown}"))
    }

    /// Fails if there is no memory for `size` more bytes, before the memory is full.
    pub(super) fn must_have_room(&self, size: u64, what: &str) -> Result<()> {
        if size >= room(self.root)? {
            return Err(self.refused(what, rustix::io::Errno::NOSPC));
        }
        Ok(())
    }

    /// Creates a directory that an image's configuration names, if no layer has it.
    pub(super) fn make_directory(&self, path: &str) -> Result<()> {
        let path = self.inside(path.trim_start_matches('/').as_bytes())?;
        self.parent(&path.join("file")).map(drop)
    }

    /// A name of the archive as a path below the root.
    fn inside(&self, name: &[u8]) -> Result<PathBuf> {
        let mut path = PathBuf::new();
        for part in Path::new(OsStr::from_bytes(name)).components() {
            match part {
                Component::Normal(part) => path.push(part),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(self.input(format!(
                        "refused, since the name {} leads out of it: the archive is malicious, or was made without tar \
                         -C DIRECTORY .",
                        shown(Path::new(OsStr::from_bytes(name)))
                    )));
                }
            }
        }
        Ok(path)
    }

    /// The directory that `path` is in, created if the archive has not named it.
    fn parent(&self, path: &Path) -> Result<OwnedFd> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let refused = |errno| self.refused(&shown(parent), errno);
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let here = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        // Thousands of directories can each be behind links that take the kernel milliseconds to follow.
        self.bytes.report_if_due()?;
        match openat2(self.root, here, flags, resolve) {
            Ok(found) => Ok(found),
            Err(rustix::io::Errno::NOENT) if !parent.as_os_str().is_empty() => {
                let above = self.parent(parent)?;
                let name = parent.file_name().unwrap_or_default();
                mkdirat(&above, name, Mode::from_raw_mode(0o755)).map_err(refused)?;
                openat(&above, name, flags | OFlags::NOFOLLOW, Mode::empty()).map_err(refused)
            }
            Err(errno) => Err(refused(errno)),
        }
    }

    /// Sets the owner of a file, if the container has such a user.
    fn give<R: Read>(&mut self, parent: BorrowedFd<'_>, name: &OsString, entry: &Entry<'_, R>) -> Result<()> {
        let header = entry.header();
        let (uid, gid) = (header.uid().unwrap_or(u64::MAX), header.gid().unwrap_or(u64::MAX));
        if (uid, gid) == (0, 0) {
            return Ok(());
        }
        let (Ok(user), Ok(group)) = (u32::try_from(uid), u32::try_from(gid)) else {
            self.unmapped += 1;
            return Ok(());
        };
        let (user, group) = (Some(Uid::from_raw(user)), Some(Gid::from_raw(group)));
        match chownat(parent, name, user, group, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(()) => Ok(()),
            // This user namespace has no such user.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::PERM) => {
                self.unmapped += 1;
                Ok(())
            }
            Err(errno) => Err(errno).named(|| format!("chown {uid}:{gid} {}", shown(Path::new(name)))),
        }
    }

    /// `.wh.NAME` removes NAME of a lower layer, and `.wh..wh..opq` removes all files of lower layers in this directory.
    fn white_out(&self, path: &Path, parent: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
        let gone = &name.as_bytes()[4..];
        if gone == b".wh..opq" {
            return self.prune_within(parent, path.parent().unwrap_or(Path::new("")));
        }
        if gone.starts_with(b".wh.") {
            return Ok(()); // internal files of aufs, an older storage driver
        }
        if matches!(gone, b"" | b"." | b"..") {
            return Err(self.input(format!("refused: {} removes no file", shown(path))));
        }
        let gone = OsStr::from_bytes(gone);
        self.prune(parent, gone, &path.with_file_name(gone))
    }

    /// Removes what lower layers have at `path`, but nothing that the present layer has added: a file may come before or
    /// after its whiteout.
    fn prune(&self, parent: BorrowedFd<'_>, name: &OsStr, path: &Path) -> Result<()> {
        if !self.added.contains(path) {
            return remove(parent, name);
        }
        if !is_directory(parent, name) {
            return Ok(());
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory =
            openat(parent, name, flags, Mode::empty()).map_err(|errno| self.refused(&shown(path), errno))?;
        self.prune_within(directory.as_fd(), path)
    }

    fn prune_within(&self, directory: BorrowedFd<'_>, path: &Path) -> Result<()> {
        let call = || format!("readdir({})", shown(path));
        for entry in std::fs::read_dir(by_descriptor(directory)).named(call)? {
            let name = entry.named(call)?.file_name();
            self.bytes.report_if_due()?;
            self.prune(directory, &name, &path.join(&name))?;
        }
        Ok(())
    }

    fn input(&self, what: String) -> Error {
        Error::Input(format!("{}: {what}", self.bytes.name))
    }

    fn refused(&self, what: &str, errno: rustix::io::Errno) -> Error {
        match errno {
            rustix::io::Errno::NOSPC | rustix::io::Errno::NOMEM => self.input(format!(
                "no space for {what}: an archive is unpacked into memory, half of it at most; unpack it into a \
                 directory, and give that"
            )),
            errno => Error::Call {
                call: format!("unpack {what} of {}", self.bytes.name),
                errno: Errno::from_raw(errno.raw_os_error()),
            },
        }
    }
}

/// Copies blocks that are not zeros, and leaves holes for the others: a sparse file of a gigabyte may use a few blocks.
fn copy_holes(from: &mut impl Read, to: &mut File) -> io::Result<u64> {
    let mut block = [0; 1 << 14];
    let mut length = 0;
    loop {
        let read = match from.read(&mut block)? {
            0 => break,
            read => &block[..read],
        };
        length += read.len() as u64;
        if read.iter().all(|byte| *byte == 0) {
            to.seek(SeekFrom::Start(length))?;
        } else {
            to.write_all(read)?;
        }
    }
    to.set_len(length)?;
    Ok(length)
}

fn is_directory(parent: BorrowedFd<'_>, name: &OsStr) -> bool {
    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Removes what an earlier entry or layer has created there, if anything.
fn remove(parent: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    let call = || format!("rm -r {}", shown(Path::new(name)));
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        // It follows no symbolic link.
        Err(rustix::io::Errno::ISDIR | rustix::io::Errno::PERM) => {
            std::fs::remove_dir_all(by_descriptor(parent).join(name)).named(call)
        }
        Err(errno) => Err(errno).named(call),
    }
}

/// A path to an open directory, for functions that take only paths.
fn by_descriptor(directory: BorrowedFd<'_>) -> PathBuf {
    format!("/proc/self/fd/{}", directory.as_raw_fd()).into()
}

/// A name for a message: escaped, since it can contain any bytes, and shortened.
fn shown(path: &Path) -> String {
    const LONGEST: usize = 100;
    let text = ns_core::printable(&path.to_string_lossy());
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
