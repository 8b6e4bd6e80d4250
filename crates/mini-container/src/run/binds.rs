//! Directories and files of the host that the container sees too: `--bind SOURCE:TARGET[:ro]`.
//!
//! SOURCE is opened with the caller's user ID, and is the caller's choice. TARGET is a name in a root filesystem that is not
//! trusted: it is looked up in it ([`place`]). What is mounted there has no set-user-ID programs and no devices, and so
//! have all mounts below it.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ns_core::mount::Restriction::{NoDev, NoSuid, ReadOnly};
use ns_core::mount::Tree;
use ns_core::{Error, Named, Result};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;

use super::{place, setting};

/// One `--bind`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bind {
    source: PathBuf,
    /// Below the root of the container.
    target: PathBuf,
    read_only: bool,
}

pub(super) fn bind(text: OsString) -> Result<Bind, String> {
    let form = "give SOURCE:TARGET or SOURCE:TARGET:ro, such as ./data:/data";
    let parts: Vec<OsString> =
        text.as_bytes().split(|byte| *byte == b':').map(|part| OsString::from_vec(part.into())).collect();
    let (source, target, how) = match parts.as_slice() {
        [source, target] => (source, target, None),
        [source, target, how] => (source, target, Some(how.as_os_str())),
        _ => return Err(form.into()),
    };
    let read_only = match how.map(OsStr::as_bytes) {
        None | Some(b"rw") => false,
        Some(b"ro") => true,
        Some(_) => return Err(format!("{form}; ro is the only option")),
    };
    if source.is_empty() {
        return Err(form.into());
    }
    if !source.as_bytes().contains(&b'/') {
        let name = source.to_string_lossy();
        return Err(format!(
            "{name} is a volume of Docker's, and none are kept here; a directory is ./{name}"
        ));
    }
    let target = setting::path_inside(target).map_err(|why| format!("{form}: TARGET: {why}"))?;
    if target.as_os_str().is_empty() {
        return Err(format!("{form}; the root itself is ROOTFS"));
    }
    Ok(Bind { source: source.into(), target, read_only })
}

/// A `--bind` whose SOURCE is open.
pub(super) struct Opened<'a> {
    bind: &'a Bind,
    tree: Tree,
    is_directory: bool,
}

/// Opens what is to be mounted, with the caller's user ID and root.
///
/// # Errors
/// [`Error::Input`] for a SOURCE that does not exist or is a device.
pub(super) fn open(binds: &[Bind]) -> Result<Vec<Opened<'_>>> {
    binds.iter().map(open_one).collect()
}

fn open_one(bind: &Bind) -> Result<Opened<'_>> {
    let shown = bind.source.display();
    let kind = match std::fs::metadata(&bind.source).named(|| format!("--bind: SOURCE {shown}")) {
        Err(error) if error.errno() == Some(ns_core::Errno::ENOENT) => {
            return Err(Error::Input(format!("{error}; to create it: mkdir {shown}")));
        }
        kind => kind?.mode(),
    };
    let tree = Tree::copy_of_all(&bind.source)?;
    let kind = FileType::from_raw_mode(kind);
    if matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) {
        return Err(Error::Input(format!(
            "--bind: SOURCE {shown} is a device, and a container here gets none but its own; leave it out"
        )));
    }
    // Before it is attached, so that it is never without.
    tree.restrict_all(NoSuid)?;
    tree.restrict_all(NoDev)?;
    if bind.read_only {
        tree.restrict_all(ReadOnly)?;
    }
    Ok(Opened { bind, tree, is_directory: kind == FileType::Directory })
}

/// Mounts them in the order that is given. /proc, /sys and /dev are mounted already: none can be covered.
///
/// # Errors
/// [`Error::Input`] if TARGET leads to another mount, to a file where SOURCE is a directory, or the reverse.
pub(super) fn mount(root: BorrowedFd<'_>, opened: &[Opened<'_>]) -> Result<()> {
    for Opened { bind, tree, is_directory } in opened {
        let made = if *is_directory { place::made } else { place::made_file };
        let place = made(root, &bind.target).map_err(|errno| refused(bind, errno))?;
        let kind = fstat(&place).named(|| "fstat(TARGET)".into())?.st_mode;
        if !is_directory && FileType::from_raw_mode(kind) == FileType::Directory {
            return Err(refused(bind, Errno::ISDIR));
        }
        // A link to the root, which a mount would cover for all names looked up from here on, and for none after.
        if place::is_same(place.as_fd(), root)? {
            return Err(refused(bind, Errno::BUSY));
        }
        tree.attach_to(place, &bind.target.display().to_string())?;
    }
    Ok(())
}

/// Why nothing can be mounted at TARGET, and what to do.
fn refused(bind: &Bind, errno: Errno) -> Error {
    let (source, target) = (bind.source.display(), bind.target.display());
    let why = match errno {
        Errno::EXIST => "is a symbolic link to a name that does not exist in ROOTFS",
        Errno::LOOP => "is a symbolic link that leads to itself, or out of the filesystem",
        Errno::NOTDIR => "is a file in ROOTFS, or lies below one, and SOURCE is a directory",
        Errno::ISDIR => "is a directory in ROOTFS, and SOURCE is a file",
        Errno::XDEV => "leads to another mount: /proc, /sys, /dev, or another --bind",
        Errno::BUSY => "is a symbolic link to the root",
        Errno::ACCESS | Errno::PERM | Errno::OVERFLOW => {
            "lies in a directory of ROOTFS that belongs to another user, where no name can be created"
        }
        errno => {
            let call = format!("openat2(\"{target}\", RESOLVE_IN_ROOT)");
            return Error::Call { call, errno: ns_core::Errno::from_raw(errno.raw_os_error()) };
        }
    };
    Error::Input(format!("--bind {source}:/{target}: /{target} {why}; give another TARGET"))
}

/// SOURCE of the first whose owner has no ID in the container: its files belong to nobody there.
pub(super) fn unmapped<'a>(opened: &[Opened<'a>], nobody: u32) -> Result<Option<&'a Path>> {
    for Opened { bind, tree, .. } in opened {
        if fstat(tree).named(|| "fstat(SOURCE)".into())?.st_uid == nobody {
            return Ok(Some(&bind.source));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_has_two_paths() {
        let expected = |read_only| Bind { source: "./a".into(), target: "b/c".into(), read_only };
        assert_eq!(bind("./a:/b/c".into()), Ok(expected(false)));
        assert_eq!(bind("./a:/b//c/:rw".into()), Ok(expected(false)));
        assert_eq!(bind("./a:/b/c:ro".into()), Ok(expected(true)));
        for (bad, word) in [
            ("", "SOURCE:TARGET"),
            ("/a", "SOURCE:TARGET"),
            ("/a:/b:ro:x", "SOURCE:TARGET"),
            (":/b", "SOURCE:TARGET"),
            ("/a:/b:z", "ro is the only option"),
            ("data:/b", "a directory is ./data"),
            ("/a:b", "absolute path"),
            ("/a:/../b", "without `..`"),
            ("/a:/", "is ROOTFS"),
        ] {
            let error = bind(bad.into()).unwrap_err();
            assert!(error.contains(word), "{bad}: {error}");
        }
    }
}
