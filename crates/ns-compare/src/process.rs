//! A process of this machine, as a procfs shows it.

use std::path::Path;

use ns_core::{Kind, Pid};

/// Whether a process that is in namespaces of these kinds alone is a zombie. A zombie keeps its PID and user namespaces.
pub(crate) fn is_over(kinds: impl IntoIterator<Item = Kind>) -> bool {
    kinds.into_iter().all(|kind| matches!(kind, Kind::Pid | Kind::User))
}

/// The name of a process, from its comm file. It can contain any bytes; the renderer escapes them.
pub(crate) fn command(proc: &Path, pid: Pid) -> String {
    let name = std::fs::read(proc.join(pid.to_string()).join("comm")).unwrap_or_else(|_| b"?\n".into());
    String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(&name)).into_owned()
}
