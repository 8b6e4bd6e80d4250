//! Files as a process sees them: below its own root, in its own mount namespace.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use ns_core::{Errno, Kind, Named, Result, root};
use wake::Subject;

use super::arguments::Arguments;
use super::inside::inside;
use super::row::{Reads, Row};
use crate::seen::Seen;

/// Of a longer file, so many bytes are read.
const MOST_BYTES: u64 = 64 << 10;

pub(super) const ROWS: &[Row] = &[
    Row {
        form: "file PATH",
        reads: Reads::Text,
        about: "its text without blanks at the ends; of what is no regular file, its type: directory, …; absent where there is none",
        source: "openat2(2), RESOLVE_IN_ROOT",
        says: ["its {1} says {}", "it has no file {1}"],
        see: |subject, words| look_at(subject, words, text),
    },
    Row {
        form: "file PATH mode",
        reads: Reads::Text,
        about: "its permissions in octal, four digits: `0644`",
        source: "inode(7)",
        says: ["the mode of its {1} is {}", "it has no file {1}"],
        see: |subject, words| {
            look_at(subject, words, |root, path| {
                Ok(Seen::Text(format!("{:04o}", found(root, path)?.mode() & 0o7777)))
            })
        },
    },
    Row {
        form: "file PATH owner",
        reads: Reads::Number,
        about: "the user ID that owns it, as the checker sees it",
        source: "inode(7)",
        says: ["its {1} belongs to the user {}", "it has no file {1}"],
        see: |subject, words| {
            // Not from inside, where the same user has another ID.
            let root = root::open(Some(subject.pid))?;
            unless_absent(found(&root, words.path()).map(|found| Seen::Number(found.uid().into())))
        },
    },
    Row {
        form: "working directory",
        reads: Reads::Text,
        about: "its path, as the checker sees it",
        source: "proc_pid_cwd(5)",
        says: ["its working directory is {}", "it has no working directory"],
        see: |subject, _| {
            let path = root::working_directory(Some(subject.pid))?;
            Ok(Seen::Text(path.to_string_lossy().into_owned()))
        },
    },
];

/// `look` at the file, by the caller. What the caller may not read, the root of the process's user namespace may.
fn look_at(subject: Subject, words: &Arguments, look: fn(&OwnedFd, &Path) -> Result<Seen>) -> Result<Seen> {
    let root = root::open(Some(subject.pid))?;
    let path = words.path();
    match unless_absent(look(&root, path)) {
        Err(error) if matches!(error.errno(), Some(Errno::EACCES | Errno::EPERM)) => {
            inside(subject, Kind::User, || unless_absent(look(&root, path)))
        }
        other => other,
    }
}

fn unless_absent(seen: Result<Seen>) -> Result<Seen> {
    match seen {
        Err(error) if matches!(error.errno(), Some(Errno::ENOENT | Errno::ENOTDIR)) => Ok(Seen::Absent),
        other => other,
    }
}

fn found(root: &OwnedFd, path: &Path) -> Result<Metadata> {
    metadata(&root::find_in(root.as_fd(), path)?, path)
}

fn text(root: &OwnedFd, path: &Path) -> Result<Seen> {
    if let Some(name) = special(&found(root, path)?) {
        return Ok(Seen::Text(name.into()));
    }
    let mut bytes = Vec::new();
    let file = root::read_in(root.as_fd(), path)?;
    file.take(MOST_BYTES).read_to_end(&mut bytes).named(|| format!("read(\"{}\")", path.display()))?;
    Ok(Seen::Text(String::from_utf8_lossy(&bytes).trim().into()))
}

fn metadata(file: &File, path: &Path) -> Result<Metadata> {
    file.metadata().named(|| format!("fstat(\"{}\")", path.display()))
}

/// What it is, unless it is a regular file. Links are followed.
fn special(found: &Metadata) -> Option<&'static str> {
    let kind = found.file_type();
    let names = [
        (kind.is_dir(), "directory"),
        (kind.is_fifo(), "FIFO"),
        (kind.is_socket(), "socket"),
        (kind.is_char_device(), "character device"),
        (kind.is_block_device(), "block device"),
    ];
    names.into_iter().find_map(|(is_it, name)| is_it.then_some(name))
}
