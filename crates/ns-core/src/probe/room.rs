//! What the limits of somebody else leave us room for.

use std::fs;

use observation::{Outcome, Refused};

use crate::cgroup::CgroupRequest::Controller;
use crate::cgroup::{CgroupParent, InterfaceFile, Version};
use crate::child::have_children;
use crate::error::Result;
use crate::namespace::Namespaces;
use crate::unmet::Unmet;

use super::cause::why_refused;

const MIB: usize = 1 << 20;

/// Whether the memory limits of the cgroups above leave `needed` bytes. Looked up and not tried: there the OOM killer could
/// choose whom it likes.
///
/// # Errors
/// Those of looking for a cgroup.
pub fn memory(needed: usize) -> Result<Option<Unmet>> {
    let Ok(parent) = CgroupParent::find(Controller("memory"))? else { return Ok(None) };
    let file = |knob: InterfaceFile| knob.file(parent.version());
    for directory in parent.directory().ancestors() {
        let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
        let number = |name: &str| read(name).trim().parse::<usize>();
        // No number is no limit, or the root of version 2, which has no such files.
        let (Ok(limit), Ok(used)) =
            (number(file(InterfaceFile::MEMORY)), number(file(InterfaceFile::MEMORY_NOW)))
        else {
            continue;
        };
        // Pages of files make room.
        let cache = match parent.version() {
            Version::V1 => "total_cache ",
            Version::V2 => "file ",
        };
        let statistics = read("memory.stat");
        let cache = statistics.lines().find_map(|line| line.strip_prefix(cache)?.parse().ok()).unwrap_or(0);
        if limit < needed + used.saturating_sub(cache) {
            let (needed, limit) = (needed.div_ceil(MIB), limit / MIB);
            let what =
                format!("{needed} MiB that {} leaves, whose limit is {limit} MiB", directory.display());
            return Ok(Some(Unmet::new(what, "run it in a cgroup with a larger memory limit")));
        }
    }
    Ok(None)
}

/// Whether a few processes more may be created: with a limit of somebody else's, fork() would give the same EAGAIN.
///
/// # Errors
/// Those of creating a child, but for the kernel's refusal.
pub fn processes() -> Result<Option<Unmet>> {
    const A_FEW: usize = 8;
    let mut children = Vec::new();
    Ok(match have_children(&mut children, A_FEW)? {
        Outcome::Done => None,
        Outcome::Failed(errno) => {
            Some(why_refused(Refused { call: "fork()".into(), errno }, Namespaces::NONE))
        }
    })
}
