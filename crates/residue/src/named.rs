//! Cgroups and temporary directories, and whose they are by their names.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

/// A cgroup or a directory that bears a name of ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Where it is.
    pub path: PathBuf,
    /// Its owner's number, in the PID namespace that the owner was in.
    pid: i32,
    /// When its owner started, in clock ticks since boot.
    started: u64,
}

impl Named {
    /// Those whose owner is gone, in every cgroup hierarchy and in `directories`. Their owner started at `since` or later
    /// (clock ticks since boot).
    pub fn abandoned(directories: &[PathBuf], since: u64) -> BTreeSet<Named> {
        let beside = directories.iter().flat_map(|directory| entries(directory));
        let named = all_cgroups().into_iter().chain(beside).filter_map(|path| Named::of(&path));
        named.filter(|it| it.started >= since && it.has_no_owner()).collect()
    }

    /// What the name of `path` says.
    pub fn of(path: &Path) -> Option<Named> {
        let mut parts = path.file_name()?.to_str()?.split('-');
        let ours = parts.next()? == "inception";
        let (pid, started) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let _number: u32 = parts.next()?.parse().ok()?;
        parts.next()?;
        ours.then(|| Named { path: path.into(), pid, started })
    }

    /// Nobody has that number and started then, and nobody holds its lock, as an owner in another PID namespace does.
    pub fn has_no_owner(&self) -> bool {
        start_time(self.pid) != Some(self.started)
            && File::open(&self.path)
                .is_ok_and(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok())
    }

    /// Removes it, with the processes in it.
    pub fn remove(&self) {
        if self.path.join("cgroup.procs").exists() {
            let _ = fs::write(self.path.join("cgroup.kill"), "1");
            let mut below = below(&self.path);
            below.push(self.path.clone());
            below.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
            for path in below {
                let _ = fs::remove_dir(path);
            }
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Now, as processes tell it: in clock ticks since boot. `None` without a procfs.
pub fn started_now() -> Option<u64> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let (seconds, hundredths) = uptime.split_whitespace().next()?.split_once('.')?;
    // USER_HZ is 100 on every architecture that this is built for (proc_pid_stat(5)).
    Some(seconds.parse::<u64>().ok()? * 100 + hundredths.parse::<u64>().ok()?)
}

/// Field 22 of /proc/PID/stat, counted from behind the name in brackets.
fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat).into_owned();
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Every cgroup of every hierarchy that is mounted here.
pub fn all_cgroups() -> BTreeSet<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut found = BTreeSet::new();
    for line in mounts.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let kind = words.iter().position(|word| *word == "-").and_then(|at| words.get(at + 1));
        // A hierarchy that is mounted twice has one device number.
        if matches!(kind, Some(&("cgroup" | "cgroup2"))) && seen.insert((words[2], words[3])) {
            found.extend(below(Path::new(words[4])));
        }
    }
    found
}

/// The cgroups of every hierarchy whose name of ours bears this PID.
pub fn cgroups_of(pid: u32) -> Vec<PathBuf> {
    let bears = |path: &PathBuf| Named::of(path).is_some_and(|it| u32::try_from(it.pid) == Ok(pid));
    all_cgroups().into_iter().filter(bears).collect()
}

/// Whether no process is in a cgroup, nor in one below it.
pub(crate) fn is_empty(cgroup: &Path) -> bool {
    let is_bare = |path: &Path| {
        fs::read_to_string(path.join("cgroup.procs")).is_ok_and(|members| members.trim().is_empty())
    };
    is_bare(cgroup) && below(cgroup).iter().all(|path| is_bare(path))
}

fn below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.push(entry.path());
                open.push(entry.path());
            }
        }
    }
    found
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_ours_says_whose_it_is() {
        let named = Named::of(Path::new("/c/inception-812-4711-0-limits")).unwrap();
        assert_eq!((named.pid, named.started), (812, 4711));
        for other in
            ["/c/inception-812-4711-0", "/c/x-1-2-3-y", "/c/inception-a-2-3-y", "/c/inception-ordinary.Xy"]
        {
            assert_eq!(Named::of(Path::new(other)), None);
        }
    }

    #[test]
    fn an_owner_is_known_by_number_and_start_time() {
        let us = i32::try_from(std::process::id()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let owned = |started: u64| {
            let path = directory.path().join(format!("inception-{us}-{started}-0-test"));
            fs::create_dir_all(&path).unwrap();
            Named::of(&path).unwrap().has_no_owner()
        };
        let ours = start_time(us).unwrap();
        assert!(!owned(ours));
        assert!(owned(ours + 1));
        assert!(ours <= started_now().unwrap());
    }
}
