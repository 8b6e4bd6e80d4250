//! What may outlive us, and how it is removed then.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::owner::PREFIX;
use crate::error::{Error, Result};

/// A kind of thing that may outlive us.
#[derive(Debug, Clone, Copy)]
pub struct Removal {
    /// What it is called in orders and messages: one word, such as `cgroup`.
    pub kind: &'static str,
    /// Removes the one of that path, with all that is in it. One that is not there is no error.
    pub remove: fn(&Path) -> Result<()>,
}

/// What may outlive us.
#[derive(Debug, Clone)]
pub(super) struct Leftover {
    pub(super) removal: Removal,
    pub(super) path: PathBuf,
}

impl Leftover {
    /// The only place that lets a path in, on either end of the pipe.
    pub(super) fn new(removal: Removal, path: &Path) -> Result<Leftover> {
        let name = path.file_name().unwrap_or_default().as_bytes();
        let bytes = path.as_os_str().as_bytes();
        let why = if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
            "the path is not absolute, or has `..` in it"
        } else if !name.starts_with(PREFIX.as_bytes()) || !bytes.ends_with(name) {
            "its name has not the prefix of what we make"
        } else if bytes.len() > LONGEST_PATH || bytes.contains(&b'\n') {
            "the path is too long, or has a newline in it"
        } else {
            return Ok(Leftover { removal, path: path.into() });
        };
        let kind = removal.kind;
        Err(Error::Input(format!("not taken for cleanup: {kind} \"{}\": {why}", bytes.escape_ascii())))
    }
}

/// With the verb before it a line stays below PIPE_BUF (4096), up to which a write to a pipe is atomic (pipe(7)).
const LONGEST_PATH: usize = 4000;

#[cfg(test)]
mod tests {
    use super::super::DIRECTORY;
    use super::*;

    #[test]
    fn only_paths_with_our_prefix_are_taken() {
        let taken = |path: &str| Leftover::new(DIRECTORY, Path::new(path)).is_ok();
        assert!(taken("/tmp/inception-1-2-3-x"));
        for other in
            ["/tmp", "/", "", "/tmp/other", "/tmp/inception-/x", "tmp/inception-1", "/tmp/../inception-1"]
        {
            assert!(!taken(other), "{other}");
        }
        for other in ["/tmp/inception-1/..", "/tmp/inception-1/.", "/tmp/inception-1/", "/tmp/inception-\n1"]
        {
            assert!(!taken(other), "{other}");
        }
        assert!(!taken(&format!("/tmp/inception-{}", "x".repeat(5000))));
    }

    #[test]
    fn a_refusal_is_one_line_and_escaped() {
        let refusal = Leftover::new(DIRECTORY, Path::new("/tmp/\u{1b}[2J\n")).unwrap_err().to_string();
        assert!(!refusal.contains(['\n', '\u{1b}']), "{refusal:?}");
    }
}
