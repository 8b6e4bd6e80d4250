//! The limits on a process: those of its cgroup and of all ancestors.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ns_core::cgroup::Membership;
use ns_core::mount::{self, Mount};

use crate::process::Process;

/// A limit in effect, and the cgroup that sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) what: &'static str,
    /// `max` where there is none.
    pub(crate) value: String,
    /// The file, from the root of its hierarchy.
    pub(crate) set_in: String,
}

/// The limits on `process`. The strictest of its cgroup and all ancestors applies.
pub(crate) fn limits(process: &Process) -> Vec<Limit> {
    let mounts = mount::list(None).unwrap_or_default();
    let kinds: [(&str, &str, &[&str]); 3] = [
        ("memory", "memory", &["memory.max", "memory.limit_in_bytes"]),
        ("processes", "pids", &["pids.max"]),
        ("CPU time", "cpu", &["cpu.max", "cpu.cfs_quota_us"]),
    ];
    let mut limits = Vec::new();
    for (what, controller, files) in kinds {
        let Some(member) = process.cgroup(controller) else { continue };
        let Some((top, own)) = directory(&mounts, member) else { continue };
        limits.extend(least(&top, &own, files).map(|(value, set_in)| Limit { what, value, set_in }));
    }
    limits
}

/// The strictest limit in `files` of the cgroup `own` and its ancestors up to `top`, and the file that has it. `None` if
/// none of these files exists.
fn least(top: &Path, own: &Path, files: &[&str]) -> Option<(String, String)> {
    let mut least: Option<(f64, String, PathBuf)> = None;
    let mut asked = false;
    for directory in own.ancestors().take_while(|it| it.starts_with(top)) {
        for file in files.iter().map(|file| directory.join(file)) {
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            asked = true;
            let Some((number, words)) = reading(&text, &file) else { continue };
            if least.as_ref().is_none_or(|(smallest, ..)| number < *smallest) {
                least = Some((number, words, file));
            }
        }
    }
    let found = least.map(|(_, value, file)| {
        let below = file.strip_prefix(top).unwrap_or(&file);
        (value, format!("/{}", below.display()))
    });
    found.or_else(|| asked.then(|| ("max".into(), "-".into())))
}

/// The limit in a file of a cgroup, as a number to compare and in words. `None` for no limit.
fn reading(text: &str, file: &Path) -> Option<(f64, String)> {
    let mut words = text.split_whitespace();
    let first = words.next()?;
    // v1 has -1 for no quota, and the largest number of whole pages for no memory limit.
    let number: f64 = first.parse().ok().filter(|number| (0.0..9.2e18).contains(number))?;
    // cpu.max has the quota and the period; on v1 the period has a file of its own.
    let period = match file.file_name().and_then(OsStr::to_str) {
        Some("cpu.max") => words.next().map(ToString::to_string),
        Some("cpu.cfs_quota_us") => std::fs::read_to_string(file.with_file_name("cpu.cfs_period_us")).ok(),
        _ => return Some((number, first.to_string())),
    };
    let share = number / period?.trim().parse::<f64>().ok()?;
    Some((share, format!("{share:.2} of one CPU")))
}

/// Where the cgroup of a membership is visible: the mount point, and its directory.
fn directory(mounts: &[Mount], member: &Membership) -> Option<(PathBuf, PathBuf)> {
    let first = member.controllers.split(',').next().unwrap_or_default();
    let fits = |mount: &&Mount| match (mount.fs_type.as_str(), first) {
        ("cgroup2", "") => true,
        ("cgroup", first) => !first.is_empty() && mount.super_options.contains_key(first),
        _ => false,
    };
    let below = |mount: &Mount| {
        let path = Path::new(&member.path).strip_prefix(&mount.root).ok()?;
        Some((mount.mount_point.clone(), mount.mount_point.join(path)))
    };
    mounts.iter().filter(fits).find_map(below).filter(|(_, directory)| directory.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_limit_is_none() {
        let file = Path::new("/no/such/cgroup/memory.max");
        for text in ["max\n", "max 100000\n", "-1\n", "9223372036854771712\n", ""] {
            assert_eq!(reading(text, file), None, "{text:?}");
        }
        assert_eq!(reading("67108864\n", file), Some((67_108_864.0, "67108864".into())));
        let quota = file.with_file_name("cpu.max");
        assert_eq!(reading("50000 100000\n", &quota), Some((0.5, "0.50 of one CPU".into())));
        assert_eq!(reading("max 100000\n", &quota), None);
    }

    #[test]
    fn of_a_cgroup_and_all_above_it_the_least_limit_counts() {
        let top = std::env::temp_dir().join(format!("docker-view-cgroups-{}", std::process::id()));
        let own = top.join("a/b");
        std::fs::create_dir_all(&own).unwrap();
        for (directory, limit) in [("a", "5\n"), ("a/b", "50\n")] {
            std::fs::write(top.join(directory).join("pids.max"), limit).unwrap();
        }
        std::fs::write(own.join("memory.max"), "max\n").unwrap();
        let found = |file| least(&top, &own, &[file]);
        let (pids, memory, cpu) = (found("pids.max"), found("memory.max"), found("cpu.max"));
        std::fs::remove_dir_all(&top).unwrap();
        assert_eq!(pids, Some(("5".into(), "/a/pids.max".into())));
        assert_eq!(memory, Some(("max".into(), "-".into())));
        assert_eq!(cpu, None, "no such controller there");
    }
}
