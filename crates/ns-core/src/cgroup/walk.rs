//! The tree of cgroups, as systemd-cgls(1) shows it.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::Pid;

use super::directory::parse_pids;
use crate::error::{AsErrno, Named, Result};

/// A cgroup in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its directory. The names in it may hold any byte but `/` and newline.
    pub path: PathBuf,
    /// How far below where it began: 0 for that cgroup itself.
    pub depth: usize,
    /// The members listed in its `cgroup.procs`, in the reader's PID namespace (0 for one outside of it), or why they
    /// cannot be read: EOPNOTSUPP in a threaded cgroup, EACCES.
    pub pids: Result<Vec<Pid>, Errno>,
}

/// Every cgroup at and below `root`, each before its children, siblings in the order of their names.
///
/// # Errors
/// Those of reading the directory `root`. A cgroup below that goes away meanwhile is left out, with all below it.
pub fn walk(root: &Path) -> Result<Vec<Node>> {
    let named = |error: std::io::Error| Err(error).named(|| format!("readdir(\"{}\")", root.display()));
    let mut found = Vec::new();
    let mut ahead = vec![(root.to_path_buf(), 0)];
    while let Some((path, depth)) = ahead.pop() {
        let mut children = match children(&path) {
            Ok(children) => children,
            Err(error) if depth == 0 => return named(error),
            Err(error) if matches!(error.as_errno(), Errno::ENOENT | Errno::ENODEV) => continue,
            Err(_) => Vec::new(),
        };
        let pids = match fs::read_to_string(path.join("cgroup.procs")) {
            Ok(text) => parse_pids(&text).ok_or(Errno::EIO),
            Err(error) => Err(error.as_errno()),
        };
        // The next to be taken is the last.
        children.sort_by(|a, b| b.cmp(a));
        ahead.extend(children.into_iter().map(|child| (child, depth + 1)));
        found.push(Node { path, depth, pids });
    }
    Ok(found)
}

fn children(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            children.push(entry.path());
        }
    }
    Ok(children)
}
