//! The options that cgroup v2 is mounted with, of which there is one set for the machine.

use super::table::list;
use crate::error::Result;

/// The mount option that makes the root of a cgroup namespace a boundary (cgroup-v2.rst, "Model of Delegation").
pub(crate) const NSDELEGATE: &str = "nsdelegate";

/// The options that v2 itself takes (cgroup-v2.rst, "Mounting"); mountinfo shows others beside them.
const OPTIONS: &[&str] = &[
    NSDELEGATE,
    "favordynmods",
    "memory_hugetlb_accounting",
    "memory_localevents",
    "memory_recursiveprot",
    "pids_localevents",
];

/// Those with which v2 is mounted. There is one set for the machine.
pub(crate) fn options() -> Result<Vec<String>> {
    let mounts = list(None)?;
    let found = mounts.into_iter().find(|mount| mount.fs_type == "cgroup2");
    let names = found.into_iter().flat_map(|mount| mount.super_options.into_keys());
    let mut names: Vec<String> = names.filter(|name| OPTIONS.contains(&name.as_str())).collect();
    names.sort();
    Ok(names)
}
