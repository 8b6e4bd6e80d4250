//! A file that is made of what was seen or kept: whole or not at all.
//!
//! What is written has no name until it is whole (O_TMPFILE, linkat(2)), and takes the place of what was there in one
//! step (rename(2)). So whatever ends us, the old file is left, and nothing beside it. Files without a name, names that
//! nobody else has, and their removal are the tempfile crate's.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::{AccessFlags, access, linkat};
use tempfile::{Builder, TempPath};

/// Writes bytes to standard output as they are, and at once.
///
/// # Errors
/// Those of write(2).
pub fn write_now(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).context("cannot write the output")
}

/// Where what is made goes.
#[derive(Debug)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file.
    File(Replacement),
}

/// A file that is about to be made or replaced.
#[derive(Debug)]
pub struct Replacement {
    path: PathBuf,
    into: Into,
}

#[derive(Debug)]
enum Into {
    /// A file without a name, in the directory of the other.
    Unnamed(File),
    /// A pipe or a device: nothing that could be replaced.
    Stream(File),
}

impl Target {
    /// A file, or standard output for `-`. Finds out whether it can be written, and leaves what is there as it is.
    ///
    /// # Errors
    /// One line that names the path, and says what helps.
    pub fn open(path: &Path) -> Result<Target> {
        if path.as_os_str() == "-" {
            return Ok(Target::Stdout);
        }
        Ok(Target::File(Replacement::open(path)?))
    }

    /// Writes it, as it stands.
    ///
    /// # Errors
    /// Those of write(2), linkat(2) and rename(2); what was there is left as it was.
    pub fn write(self, bytes: &[u8]) -> Result<()> {
        match self {
            Target::Stdout => write_now(bytes),
            Target::File(file) => file.replace(bytes),
        }
    }
}

impl Replacement {
    /// As [`Target::open`].
    ///
    /// # Errors
    /// As there.
    pub fn open(path: &Path) -> Result<Replacement> {
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
        let into = {
            // Where the filesystem has no files without a name, it has one at first: no signal may come there.
            let _mask = Masked::all()?;
            Into::Unnamed(tempfile::tempfile_in(directory)?)
        };
        Ok(Replacement { path, into })
    }

    /// The file that is made: what a link leads to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it.
    ///
    /// # Errors
    /// Those of write(2), linkat(2) and rename(2); what was there is left as it was.
    pub fn replace(self, bytes: &[u8]) -> Result<()> {
        let path = self.path.clone();
        self.try_replace(bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    fn try_replace(self, bytes: &[u8]) -> Result<()> {
        let file = match self.into {
            Into::Stream(mut stream) => return Ok(stream.write_all(bytes)?),
            Into::Unnamed(file) => file,
        };
        fill(&file, bytes, &self.path)?;
        // Until it is renamed a file stands that is to go: no signal may come there.
        let _mask = Masked::all()?;
        Ok(name(&file, bytes, &self.path)?.persist(&self.path)?)
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn fill(mut file: &File, bytes: &[u8], old: &Path) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()?;
    like(file, old)
}

/// Gives the file a name beside `path`, or to another like it if it can have none.
fn name(file: &File, bytes: &[u8], path: &Path) -> io::Result<TempPath> {
    let mut beside = Builder::new();
    // Short, since the other name may be as long as the filesystem allows.
    beside.prefix(".inception-");
    if let Ok(named) = beside.make_in(directory(path), |name| link(file, name)) {
        return Ok(named.into_temp_path());
    }
    let named = beside.permissions(Permissions::from_mode(0o666)).tempfile_in(directory(path))?;
    fill(named.as_file(), bytes, path)?;
    Ok(named.into_temp_path())
}

/// Gives a name to a file that has none: open(2), O_TMPFILE.
fn link(file: &File, name: &Path) -> io::Result<()> {
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(AT_FDCWD, unnamed.as_str(), AT_FDCWD, name, AtFlags::AT_SYMLINK_FOLLOW)?)
}

/// Whoever may read what is there may read what takes its place.
fn like(file: &File, old: &Path) -> io::Result<()> {
    let Ok(about) = fs::metadata(old) else { return Ok(()) };
    // Only root can give a file away.
    let _ = std::os::unix::fs::fchown(file, Some(about.uid()), Some(about.gid()));
    file.set_permissions(Permissions::from_mode(about.mode() & 0o777))
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

    use tempfile::TempDir;

    fn folder() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    fn names(folder: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn replace(path: &Path, text: &str) {
        Replacement::open(path).unwrap().replace(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_file_is_made_and_replaced_and_nothing_else_is_left() {
        let folder = folder();
        let path = folder.path().join("lab.html");
        replace(&path, "old");
        fs::write(folder.path().join("usual"), "").unwrap();
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().mode();
        assert_eq!(mode("lab.html"), mode("usual"));
        fs::remove_file(folder.path().join("usual")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, "new");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(names(&folder), ["lab.html"]);
    }

    #[test]
    fn what_is_not_written_leaves_what_was_there() {
        let folder = folder();
        let path = folder.path().join("lab.html");
        fs::write(&path, "old").unwrap();
        drop(Replacement::open(&path).unwrap());
        drop(Replacement::open(&folder.path().join("other.html")).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(&folder), ["lab.html"]);
    }

    #[test]
    fn a_filesystem_without_unnamed_files_will_do() {
        let folder = folder();
        let path = folder.path().join("lab.html");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        // This one had a name, and linkat(2) gives it none again.
        let unlinked = File::create(folder.path().join("unlinked")).unwrap();
        fs::remove_file(folder.path().join("unlinked")).unwrap();
        assert_eq!(link(&unlinked, &folder.path().join("again")).unwrap_err().kind(), ErrorKind::NotFound);
        Replacement { path: path.clone(), into: Into::Unnamed(unlinked) }.replace(b"new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o604);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(&folder), ["lab.html"]);
    }

    #[test]
    fn what_cannot_take_its_place_is_left_nowhere() {
        let folder = folder();
        let path = folder.path().join("lab.html");
        let replacement = Replacement::open(&path).unwrap();
        // Where a directory stands meanwhile, rename(2) puts no file.
        fs::create_dir(&path).unwrap();
        let said = format!("{:#}", replacement.replace(b"new").unwrap_err());
        assert!(said.starts_with("cannot write ") && said.contains("Is a directory"), "{said}");
        assert_eq!(names(&folder), ["lab.html"]);
    }

    #[test]
    fn a_name_may_be_as_long_as_any() {
        let folder = folder();
        let path = folder.path().join("x".repeat(255));
        replace(&path, "new");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(&folder).len(), 1);
    }

    #[test]
    fn a_link_stays_and_the_file_behind_it_is_replaced() {
        let folder = folder();
        let (link, file) = (folder.path().join("link"), folder.path().join("file"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        replace(&link, "new");
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[test]
    fn what_cannot_be_written_is_named_with_a_remedy() {
        let folder = folder();
        let fault = |path: &Path| Replacement::open(path).unwrap_err().to_string();
        let said = fault(folder.path());
        assert!(
            said.starts_with(&format!("cannot write {}: it is a directory; name", folder.path().display()))
        );
        assert!(fault(&folder.path().join("none/lab.html")).contains("No such file or directory"));
    }

    #[test]
    fn a_device_takes_a_report() {
        replace(Path::new("/dev/null"), "gone");
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }
}
