//! Every fact that there is.

use super::row::Row;
use super::{
    cgroups, files, identity, ipc, kept, kernel, mounts, names, namespaces, network, privileges, processes,
};

/// All of them, group by group.
pub(super) const GROUPS: &[(&str, &[Row])] = &[
    ("Namespaces", namespaces::ROWS),
    ("Namespaces without a member", kept::ROWS),
    ("Names", names::ROWS),
    ("Users and groups", identity::ROWS),
    ("Privileges", privileges::ROWS),
    ("Processes", processes::ROWS),
    ("Mounts and the root", mounts::ROWS),
    ("Files", files::ROWS),
    ("Network", network::ROWS),
    ("IPC", ipc::ROWS),
    ("Settings and clocks", kernel::ROWS),
    ("Cgroups", cgroups::ROWS),
];

/// All of them.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    GROUPS.iter().flat_map(|(_, rows)| rows.iter())
}
