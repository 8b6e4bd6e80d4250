//! Which cgroup a process is in, by /proc/PID/cgroup.

use std::fs;

use nix::unistd::Pid;

use crate::error::{Named, Result};
use crate::files;

/// A line of /proc/PID/cgroup (cgroups(7), "/proc files"): one cgroup, in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The controllers that the hierarchy has, with commas between; empty for version 2.
    pub controllers: String,
    /// From the root of the reader's cgroup namespace.
    pub path: String,
}

impl Membership {
    /// Those of a process, or of the caller if `None`.
    ///
    /// # Errors
    /// ENOENT when the process is gone, or /proc no procfs.
    pub fn all_of(process: Option<Pid>) -> Result<Vec<Membership>> {
        let file = files::of(process, "cgroup");
        let text = fs::read(&file).named(|| format!("cat {file}"))?;
        Ok(String::from_utf8_lossy(&text).lines().filter_map(Membership::parse).collect())
    }

    /// `4:cpu,cpuacct:/docker/1f0a…`; for version 2 `0::/docker/1f0a…`. A path may hold a colon.
    pub fn parse(line: &str) -> Option<Membership> {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        Some(Membership { controllers: controllers.into(), path: path.into() })
    }

    /// Whether its hierarchy has that controller; "" asks for version 2.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.split(',').any(|own| own == controller)
    }
}

/// The path of a process's cgroup in one hierarchy, as it reads from the cgroup namespace of the caller.
///
/// `process`: the caller if `None`. `hierarchy`: "" for version 2; for version 1 a controller that it has, or the whole
/// list of them as the file has it. `None` if there is no such hierarchy.
///
/// # Errors
/// As [`Membership::all_of`].
pub fn path_of(process: Option<Pid>, hierarchy: &str) -> Result<Option<String>> {
    Ok(find(&Membership::all_of(process)?, hierarchy).map(String::from))
}

fn find<'a>(all: &'a [Membership], hierarchy: &str) -> Option<&'a str> {
    let is_it = |own: &&Membership| own.controllers == hierarchy || own.has(hierarchy);
    all.iter().find(is_it).map(|own| own.path.as_str())
}

#[cfg(test)]
mod tests {
    use super::Membership;

    const TEXT: &str = "5:cpu,cpuacct:/a\n3:name=lab:/b:c\n0::/d\n";

    #[test]
    fn a_hierarchy_is_found_by_what_it_has() {
        let all: Vec<_> = TEXT.lines().filter_map(Membership::parse).collect();
        let find = |hierarchy| super::find(&all, hierarchy);
        assert_eq!(find(""), Some("/d"));
        assert_eq!(find("cpuacct"), Some("/a"));
        assert_eq!(find("cpu,cpuacct"), Some("/a"));
        assert_eq!(find("name=lab"), Some("/b:c"), "a path may hold a colon");
        assert_eq!(find("cpuset"), None);
    }

    #[test]
    fn a_line_of_either_version_is_read() {
        let read = |line| Membership::parse(line).map(|it| (it.controllers, it.path));
        assert_eq!(read("0::/docker/1f"), Some((String::new(), "/docker/1f".into())));
        assert_eq!(read("4:cpu,cpuacct:/a:b"), Some(("cpu,cpuacct".into(), "/a:b".into())));
        assert_eq!(read("nonsense"), None);
    }

    proptest::proptest! {
        #[test]
        fn a_line_is_read_as_the_kernel_writes_it(
            number in 0_u32..100,
            controllers in "[a-z_,=]{0,20}",
            path in "/[^\n]{0,40}",
        ) {
            let line = format!("{number}:{controllers}:{path}");
            proptest::prop_assert_eq!(Membership::parse(&line), Some(Membership { controllers, path }));
        }

        #[test]
        fn no_text_can_make_it_panic(line: String) {
            let _ = Membership::parse(&line).map(|own| own.has("pids"));
        }
    }
}
