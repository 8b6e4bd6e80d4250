//! How a cgroup is removed that its owner left.

use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use rustix::fs::{Mode, OFlags, open};

use super::directory::Directory;
use super::kill;
use crate::cleanup::Removal;
use crate::error::{Error, Named, Result};

/// Cgroups, whose members are killed.
pub const REMOVAL: Removal = Removal { kind: "cgroup", remove: remove_leftover };

/// Removes a cgroup that its owner left, with its members and all below it. One that is not there is no error.
pub(super) fn remove_leftover(path: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::Input(format!("rmdir(\"{}\"): not a path with a name", path.display())));
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = open(parent, flags, Mode::empty()).named(|| format!("open(\"{}\")", parent.display()));
    let label = path.display().to_string();
    let opened = opened.and_then(|parent| Ok((Directory::open(&parent, name, label)?, parent)));
    match opened {
        Ok((directory, parent)) => kill::end(&directory, parent.as_fd(), name),
        Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error),
    }
}
