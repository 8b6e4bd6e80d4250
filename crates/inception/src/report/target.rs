//! The file that a report becomes: whole or not at all.
//!
//! What is written has no name until it is whole (O_TMPFILE, linkat(2)), and takes the place of what was there in one
//! step (rename(2)). So whatever ends us, the old file is left, and nothing beside it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::{AccessFlags, access, linkat};

/// Where a report goes.
#[derive(Debug)]
pub(super) enum Target {
    Stdout,
    File(Replacement),
}

/// A file that is about to be made or replaced.
#[derive(Debug)]
pub(super) struct Replacement {
    path: PathBuf,
    into: Into,
}

#[derive(Debug)]
enum Into {
    /// A file without a name, in the directory of the other.
    Unnamed(File),
    /// Where the filesystem has no such files: one with a name that is made when all is there to be written.
    Beside,
    /// A pipe or a device: nothing that could be replaced.
    Stream(File),
}

impl Target {
    /// Finds out whether it can be written, and leaves what is there as it is.
    ///
    /// # Errors
    /// One line that names the path, and says what helps.
    pub(super) fn open(path: &Path) -> Result<Target> {
        if path.as_os_str() == "-" {
            return Ok(Target::Stdout);
        }
        Ok(Target::File(Replacement::open(path)?))
    }
}

impl Replacement {
    /// As [`Target::open`].
    ///
    /// # Errors
    /// As there.
    pub(super) fn open(path: &Path) -> Result<Replacement> {
        Replacement::try_open(path).map_err(|why| {
            let remedy = "name a file in a directory that you may write to";
            anyhow!("cannot write {}: {why:#}; {remedy}", path.display())
        })
    }

    fn try_open(path: &Path) -> Result<Replacement> {
        if let Ok(kind) = fs::metadata(path).map(|about| about.file_type()) {
            ensure!(!kind.is_dir(), "it is a directory");
            ensure!(!kind.is_socket() && !kind.is_block_device(), "it is not a file");
            if kind.is_fifo() || kind.is_char_device() {
                let stream = OpenOptions::new().write(true).open(path)?;
                return Ok(Replacement { path: path.into(), into: Into::Stream(stream) });
            }
            access(path, AccessFlags::W_OK)?;
        }
        // Through a symbolic link, the file that it leads to is replaced, and not the link.
        let path = match fs::canonicalize(path) {
            Ok(path) => path,
            Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => path.to_path_buf(),
            Err(error) => return Err(error.into()),
        };
        ensure!(path.file_name().is_some(), "it names no file");
        let directory = directory(&path);
        access(directory, AccessFlags::W_OK | AccessFlags::X_OK)
            .with_context(|| format!("its directory {}", directory.display()))?;
        let unnamed =
            OpenOptions::new().write(true).mode(0o666).custom_flags(OFlag::O_TMPFILE.bits()).open(directory);
        let into = match unnamed {
            Ok(file) => Into::Unnamed(file),
            // What answers to a filesystem, or a kernel, that has none.
            Err(error)
                if error.kind() == ErrorKind::Unsupported || error.kind() == ErrorKind::IsADirectory =>
            {
                let (mask, beside) = (Masked::all()?, beside(&path));
                create(&beside)?;
                fs::remove_file(beside)?;
                drop(mask);
                Into::Beside
            }
            Err(error) => bail!(error),
        };
        Ok(Replacement { path, into })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it.
    ///
    /// # Errors
    /// Those of write(2), linkat(2) and rename(2); what was there is left as it was.
    pub(super) fn replace(self, bytes: &[u8]) -> Result<()> {
        let path = self.path.clone();
        self.try_replace(bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    fn try_replace(self, bytes: &[u8]) -> Result<()> {
        let beside = beside(&self.path);
        match self.into {
            Into::Stream(mut stream) => return Ok(stream.write_all(bytes)?),
            Into::Unnamed(mut file) => {
                file.write_all(bytes)?;
                file.sync_all()?;
                like(&file, &self.path)?;
                // Between the two calls a file stands that is to go: no signal may come there.
                let mask = Masked::all()?;
                link(&file, &beside)?;
                let renamed = fs::rename(&beside, &self.path);
                drop(mask);
                return renamed.or_else(|error| drop_it(&beside, error));
            }
            Into::Beside => {}
        }
        let mask = Masked::all()?;
        let mut file = create(&beside)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let written = written.and_then(|()| like(&file, &self.path));
        let renamed = written.and_then(|()| fs::rename(&beside, &self.path));
        drop(mask);
        renamed.or_else(|error| drop_it(&beside, error))
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name that nobody else gives to a file there.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    directory(path).join(format!(".{name}.{}", std::process::id()))
}

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o666).open(path)
}

/// Gives a name to a file that has none: open(2), O_TMPFILE.
fn link(file: &File, name: &Path) -> Result<()> {
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(AT_FDCWD, unnamed.as_str(), AT_FDCWD, name, AtFlags::AT_SYMLINK_FOLLOW)?;
    Ok(())
}

/// Whoever may read what is there may read what takes its place.
fn like(file: &File, old: &Path) -> std::io::Result<()> {
    let Ok(about) = fs::metadata(old) else { return Ok(()) };
    // Only root can give a file away.
    let _ = std::os::unix::fs::fchown(file, Some(about.uid()), Some(about.gid()));
    file.set_permissions(Permissions::from_mode(about.mode() & 0o777))
}

fn drop_it(name: &Path, error: std::io::Error) -> Result<()> {
    let _ = fs::remove_file(name);
    Err(error.into())
}

/// All signals wait while this lives.
struct Masked(SigSet);

impl Masked {
    fn all() -> Result<Masked> {
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
        Ok(Masked(before))
    }
}

impl Drop for Masked {
    fn drop(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.0), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of a test's own, which goes with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("inception-target-{test}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Folder(folder)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn replace(path: &Path, text: &str) {
        Replacement::open(path).unwrap().replace(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_file_is_made_and_replaced_and_nothing_else_is_left() {
        let folder = Folder::new("replaced");
        let path = folder.0.join("lab.html");
        replace(&path, "old");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, "new");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(folder.names(), ["lab.html"]);
    }

    #[test]
    fn what_is_not_written_leaves_what_was_there() {
        let folder = Folder::new("left");
        let path = folder.0.join("lab.html");
        fs::write(&path, "old").unwrap();
        drop(Replacement::open(&path).unwrap());
        drop(Replacement::open(&folder.0.join("other.html")).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(folder.names(), ["lab.html"]);
    }

    #[test]
    fn a_filesystem_without_unnamed_files_will_do() {
        let folder = Folder::new("beside");
        let path = folder.0.join("lab.html");
        fs::write(&path, "old").unwrap();
        Replacement { path: path.clone(), into: Into::Beside }.replace(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(folder.names(), ["lab.html"]);
    }

    #[test]
    fn a_link_stays_and_the_file_behind_it_is_replaced() {
        let folder = Folder::new("link");
        let (link, file) = (folder.0.join("link"), folder.0.join("file"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        replace(&link, "new");
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[test]
    fn what_cannot_be_written_is_named_with_a_remedy() {
        let folder = Folder::new("unwritable");
        let fault = |path: &Path| Replacement::open(path).unwrap_err().to_string();
        let said = fault(&folder.0);
        assert!(said.starts_with(&format!("cannot write {}: it is a directory; name", folder.0.display())));
        assert!(fault(&folder.0.join("none/lab.html")).contains("No such file or directory"));
    }

    #[test]
    fn a_device_takes_a_report() {
        replace(Path::new("/dev/null"), "gone");
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }
}
