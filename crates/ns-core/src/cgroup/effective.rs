//! What limits a cgroup: its own limit and those above it, in the files of either version.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::hierarchy::Hierarchy;
use super::layout::Layout;
use super::limits::InterfaceFile;
use super::membership::Membership;
use super::version::Version;
use crate::error::{Named, Result};

/// From here on a memory limit of v1 is none: the kernel shows the largest number of pages that it can count.
const NO_MEMORY_LIMIT: f64 = (1_u64 << 62) as f64;

/// What limits the processes of a cgroup: of each controller the strictest limit on the way up. `None` stands for no limit,
/// and for a controller that no mounted hierarchy has.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EffectiveLimits {
    /// Bytes of memory (`memory.max`).
    pub memory: Option<u64>,
    /// Processes and threads (`pids.max`).
    pub pids: Option<u64>,
    /// CPUs: 0.5 is half of one (`cpu.max`).
    pub cpus: Option<f64>,
}

impl EffectiveLimits {
    /// Those of a process that is in these cgroups, as far as the mounts of `layout` show them.
    ///
    /// # Errors
    /// Those of reading a file that is there.
    pub fn of(memberships: &[Membership], layout: &Layout) -> Result<EffectiveLimits> {
        let strictest = |controller: &str| -> Result<Option<f64>> {
            let Some((hierarchy, path)) = place(memberships, layout, controller) else { return Ok(None) };
            strictest(&hierarchy.directories(path), controller, hierarchy.version())
        };
        Ok(EffectiveLimits {
            memory: strictest("memory")?.map(|bytes| bytes as u64),
            pids: strictest("pids")?.map(|pids| pids as u64),
            cpus: strictest("cpu")?,
        })
    }
}

/// The hierarchy of a controller, and the path in it.
fn place<'a>(
    memberships: &'a [Membership],
    layout: &'a Layout,
    controller: &str,
) -> Option<(&'a Hierarchy, &'a str)> {
    let path = |hierarchy: &str| memberships.iter().find(|it| it.has(hierarchy)).map(|it| it.path.as_str());
    let v2 = layout.v2().filter(|v2| v2.has_controller(controller));
    v2.zip(path("")).or_else(|| layout.v1(controller).zip(path(controller)))
}

/// The strictest limit of a controller (`memory`, `pids` or `cpu`) that `directories` set: those of a cgroup and of its
/// ancestors.
///
/// # Errors
/// Those of reading a file that is there.
pub fn strictest(directories: &[PathBuf], controller: &str, version: Version) -> Result<Option<f64>> {
    let mut strictest: Option<f64> = None;
    for directory in directories {
        if let Some(limit) = limit_of(directory, controller, version)? {
            strictest = Some(strictest.map_or(limit, |known| known.min(limit)));
        }
    }
    Ok(strictest)
}

/// The limit that one cgroup sets, if it sets one.
fn limit_of(directory: &Path, controller: &str, version: Version) -> Result<Option<f64>> {
    let number = |text: Option<String>| text.and_then(|text| text.parse::<f64>().ok());
    Ok(match (controller, version) {
        ("cpu", Version::V2) => text_of(directory, "cpu.max")?.and_then(|text| {
            let (quota, period) = text.split_once(' ')?;
            Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
        }),
        ("cpu", Version::V1) => {
            let quota = number(text_of(directory, "cpu.cfs_quota_us")?).filter(|quota| *quota > 0.0);
            let period = number(text_of(directory, "cpu.cfs_period_us")?);
            quota.zip(period).map(|(quota, period)| quota / period)
        }
        ("memory", _) => {
            let bytes = number(text_of(directory, InterfaceFile::MEMORY.file(version))?);
            bytes.filter(|bytes| *bytes < NO_MEMORY_LIMIT)
        }
        _ => number(text_of(directory, InterfaceFile::PIDS.file(version))?),
    })
}

/// The text of a file in a cgroup's directory; `None` where there is no such file.
///
/// # Errors
/// Those of reading a file that is there.
pub fn text_of(directory: &Path, name: &str) -> Result<Option<String>> {
    let path = directory.join(name);
    let call = || format!("cat {}", path.display());
    match fs::read_to_string(&path).named(call) {
        Ok(text) => Ok(Some(text.trim_end().into())),
        Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What limits a cgroup with these files and one above it with those.
    fn limit(
        controller: &str,
        version: Version,
        own: &[(&str, &str)],
        above: &[(&str, &str)],
    ) -> Option<f64> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let tree = std::env::temp_dir().join(format!("ns-core-limits-{}-{number}", std::process::id()));
        let below = tree.join("below");
        fs::create_dir_all(&below).unwrap();
        for (directory, files) in [(&below, own), (&tree, above)] {
            for (name, text) in files {
                fs::write(directory.join(name), format!("{text}\n")).unwrap();
            }
        }
        let strictest = strictest(&[below, tree.clone()], controller, version);
        fs::remove_dir_all(tree).unwrap();
        strictest.unwrap()
    }

    #[test]
    fn the_strictest_limit_on_the_way_up_counts() {
        let pids = |own, above| limit("pids", Version::V2, &[("pids.max", own)], &[("pids.max", above)]);
        assert_eq!(pids("max", "max"), None);
        assert_eq!(pids("10", "max"), Some(10.0));
        assert_eq!(pids("10", "5"), Some(5.0));
        assert_eq!(limit("pids", Version::V2, &[("pids.max", "3")], &[]), Some(3.0));
        assert_eq!(limit("pids", Version::V1, &[], &[]), None);
    }

    #[test]
    fn a_controller_is_looked_for_in_the_hierarchy_that_has_it() {
        let layout = Layout::parse(
            b"30 24 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
              31 24 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n",
            "2:pids:/here\n0::/there\n",
        );
        let of: Vec<_> = ["1:pids:/a", "0::/b"].iter().filter_map(|line| Membership::parse(line)).collect();
        let found = place(&of, &layout, "pids").map(|(hierarchy, path)| (hierarchy.version(), path));
        assert_eq!(found, Some((Version::V1, "/a")));
        assert!(place(&of, &layout, "memory").is_none(), "no hierarchy here has it");
    }

    #[test]
    fn memory_without_a_limit_reads_so_in_both_versions() {
        let v1 = |bytes| limit("memory", Version::V1, &[("memory.limit_in_bytes", bytes)], &[]);
        assert_eq!(v1("9223372036854771712"), None);
        assert_eq!(v1("67108864"), Some(67_108_864.0));
        assert_eq!(limit("memory", Version::V2, &[("memory.max", "max")], &[]), None);
        assert_eq!(limit("memory", Version::V2, &[("memory.max", "4096")], &[]), Some(4096.0));
    }

    #[test]
    fn cpu_time_is_a_fraction_of_cpus() {
        let v2 = |text| limit("cpu", Version::V2, &[("cpu.max", text)], &[]);
        assert_eq!(v2("max 100000"), None);
        assert_eq!(v2("50000 100000"), Some(0.5));
        let v1 = |quota| {
            limit("cpu", Version::V1, &[("cpu.cfs_quota_us", quota), ("cpu.cfs_period_us", "100000")], &[])
        };
        assert_eq!(v1("-1"), None);
        assert_eq!(v1("150000"), Some(1.5));
    }
}
