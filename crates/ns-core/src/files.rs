//! The kernel's files in /proc: where one is, and the number in it.

use std::os::unix::fs::MetadataExt;
use std::str::FromStr;

use nix::unistd::Pid;

use crate::error::{Error, Named, Result};

/// The path of the file `name` of a process (`None`: the caller), such as `/proc/self/uid_map`.
pub(crate) fn of(process: Option<Pid>, name: &str) -> String {
    match process {
        Some(pid) => format!("/proc/{pid}/{name}"),
        None => format!("/proc/self/{name}"),
    }
}

/// The number that is all there is in the file at `path`.
///
/// # Errors
/// Those of open(2); [`Error::Unreadable`] for anything but a number.
pub(crate) fn number<T: FromStr>(path: &str) -> Result<T> {
    let text = std::fs::read_to_string(path).named(|| format!("read(\"{path}\")"))?;
    let unreadable = |_| Error::Unreadable { what: path.into(), message: format!("no number: {text:?}") };
    text.trim().parse().map_err(unreadable)
}

/// How many threads the caller has. /proc/self/task has as many links more than an empty directory, which is one look,
/// where a list of it is five (proc_task_getattr() in fs/proc/base.c).
///
/// # Errors
/// When /proc is no procfs.
pub fn thread_count() -> Result<u64> {
    let directory = std::fs::metadata("/proc/self/task")
        .named(|| "stat(\"/proc/self/task\") [is a procfs mounted at /proc?]".into())?;
    Ok(directory.nlink().saturating_sub(2))
}
