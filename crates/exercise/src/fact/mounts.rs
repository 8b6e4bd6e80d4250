//! What is mounted where a process is, and its root: proc_pid_mountinfo(5), chroot(2), pivot_root(2).

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ns_core::mount::{self, Mount};
use ns_core::{Kind, Named, Result, root};
use wake::Subject;

use super::arguments::Arguments;
use super::inside::inside;
use super::row::{Reads, Row};
use crate::seen::Seen;

pub(super) const ROWS: &[Row] = &[
    Row {
        form: "mount PATH",
        reads: Reads::Text,
        about: "the type of the filesystem that is mounted there, such as tmpfs; absent where none is",
        source: "proc_pid_mountinfo(5)",
        says: ["{} is mounted at {1}", "nothing is mounted at {1}"],
        see: |subject, words| of_mount(subject, words, |mount| Seen::Text(mount.fs_type)),
    },
    Row {
        form: "mount PATH source",
        reads: Reads::Text,
        about: "what is mounted there: a device, or what mount(2) was given",
        source: "proc_pid_mountinfo(5)",
        says: ["the source of the mount at {1} is {}", "nothing is mounted at {1}"],
        see: |subject, words| of_mount(subject, words, |it| it.mount_source.map_or(Seen::Absent, Seen::Text)),
    },
    Row {
        form: "mount PATH directory",
        reads: Reads::Text,
        about: "which directory of its filesystem is mounted there: of a bind mount, the one that was bound",
        source: "proc_pid_mountinfo(5), field 4",
        says: ["{} of its filesystem is mounted at {1}", "nothing is mounted at {1}"],
        see: |subject, words| of_mount(subject, words, |mount| Seen::Text(mount.root)),
    },
    Row {
        form: "mount PATH options",
        reads: Reads::Set,
        about: "the options of the mount and of its filesystem: ro, nosuid, size=4096k, …",
        source: "proc_pid_mountinfo(5), mount(8)",
        says: ["the mount at {1} has the options {}", "nothing is mounted at {1}"],
        see: |subject, words| of_mount(subject, words, |mount| Seen::Set(options(mount))),
    },
    Row {
        form: "mount PATH propagation",
        reads: Reads::Set,
        about: "`shared`, `slave`, `private` or `unbindable`; a mount may be both shared and slave",
        source: "mount_namespaces(7)",
        says: ["the mount at {1} is {}", "nothing is mounted at {1}"],
        see: |subject, words| of_mount(subject, words, |mount| Seen::Set(propagation(&mount))),
    },
    Row {
        form: "mounts",
        reads: Reads::Number,
        about: "how many mounts it sees",
        source: "proc_pid_mountinfo(5)",
        says: ["its number of mounts is {}", "it sees no mounts"],
        see: |subject, _| Ok(Seen::Number(mount::list(Some(subject.pid))?.len() as f64)),
    },
    Row {
        form: "root",
        reads: Reads::Text,
        about: "`/` if its root is the checker's; else its path, or `TYPE:DIRECTORY` of a filesystem that the checker cannot see",
        source: "proc_pid_root(5), pivot_root(2)",
        says: ["its root is {}", "it has no root"],
        see: root_of,
    },
    Row {
        form: "chrooted",
        reads: Reads::Flag,
        about: "whether its root is another directory than the root of its mount namespace: so after chroot(2), not after pivot_root(2)",
        source: "chroot(2), pivot_root(2), setns(2)",
        says: ["its root is not that of its mount namespace", "its root is that of its mount namespace"],
        see: chrooted,
    },
];

fn of_mount(subject: Subject, words: &Arguments, read: impl FnOnce(Mount) -> Seen) -> Result<Seen> {
    Ok(mount::at(Some(subject.pid), words.path())?.map_or(Seen::Absent, read))
}

fn options(mount: Mount) -> BTreeSet<String> {
    let all = mount.mount_options.into_iter().chain(mount.super_options);
    all.map(|(name, value)| value.map_or_else(|| name.clone(), |value| format!("{name}={value}"))).collect()
}

fn propagation(mount: &Mount) -> BTreeSet<String> {
    let shared = mount::peer_group(mount).map(|_| "shared");
    let slave = mount::master(mount).map(|_| "slave");
    let unbindable = mount::is_unbindable(mount).then_some("unbindable");
    let found: BTreeSet<String> =
        [shared, slave, unbindable].into_iter().flatten().map(String::from).collect();
    if found.is_empty() { BTreeSet::from(["private".into()]) } else { found }
}

/// A link to the root of another mount namespace reads `/`, too: so the directories are compared.
fn root_of(subject: Subject, _: &Arguments) -> Result<Seen> {
    let own = identity("/")?;
    if identity(&format!("/proc/{}/root/", subject.pid))? == own {
        return Ok(Seen::Text("/".into()));
    }
    let path = root::of(Some(subject.pid))?;
    if path != Path::new("/") {
        return Ok(Seen::Text(path.to_string_lossy().into_owned()));
    }
    let mounted = mount::at(Some(subject.pid), Path::new("/"))?;
    Ok(mounted.map_or(Seen::Absent, |mount| Seen::Text(format!("{}:{}", mount.fs_type, mount.root))))
}

fn identity(path: &str) -> Result<(u64, u64)> {
    let found = std::fs::metadata(path).named(|| format!("stat(\"{path}\")"))?;
    Ok((found.dev(), found.ino()))
}

/// Who enters a mount namespace gets its root (setns(2)).
fn chrooted(subject: Subject, _: &Arguments) -> Result<Seen> {
    let of_process = identity(&format!("/proc/{}/root/", subject.pid))?;
    let of_namespace = inside(subject, Kind::Mnt, || {
        let (device, inode) = identity("/")?;
        Ok(Seen::Text(format!("{device} {inode}")))
    })?;
    let (device, inode) = of_process;
    Ok(Seen::Flag(of_namespace != Seen::Text(format!("{device} {inode}"))))
}
