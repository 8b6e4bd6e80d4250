//! Which cgroup a process is in, by /proc/PID/cgroup.

use std::fs;

use nix::unistd::Pid;

use crate::error::{Named, Result};

/// The path of a process's cgroup in one hierarchy, as it reads from the cgroup namespace of the caller
/// (cgroups(7), "/proc files").
///
/// `process`: the caller if `None`. `hierarchy`: "" for version 2; for version 1 a controller that it has, or the whole
/// list of them as the file has it. `None` if there is no such hierarchy.
///
/// # Errors
/// ENOENT when the process is gone, or /proc no procfs.
pub fn path_of(process: Option<Pid>, hierarchy: &str) -> Result<Option<String>> {
    let who = process.map_or_else(|| "self".into(), |pid| pid.to_string());
    let file = format!("/proc/{who}/cgroup");
    let text = fs::read(&file).named(|| format!("cat {file}"))?;
    Ok(find(&String::from_utf8_lossy(&text), hierarchy).map(String::from))
}

fn find<'a>(text: &'a str, hierarchy: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        // ID:CONTROLLERS:PATH, and a path may hold a colon.
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let is_it = controllers == hierarchy || controllers.split(',').any(|own| own == hierarchy);
        is_it.then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    const TEXT: &str = "5:cpu,cpuacct:/a\n3:name=lab:/b:c\n0::/d\n";

    #[test]
    fn a_hierarchy_is_found_by_what_it_has() {
        assert_eq!(find(TEXT, ""), Some("/d"));
        assert_eq!(find(TEXT, "cpuacct"), Some("/a"));
        assert_eq!(find(TEXT, "cpu,cpuacct"), Some("/a"));
        assert_eq!(find(TEXT, "name=lab"), Some("/b:c"), "a path may hold a colon");
        assert_eq!(find(TEXT, "cpuset"), None);
    }
}
