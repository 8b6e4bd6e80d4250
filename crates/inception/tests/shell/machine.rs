//! What a machine has.

use std::fs;
use std::path::{Path, PathBuf};

/// Programs that commands need and not every machine has, with Debian's packages.
pub(crate) const PACKAGES: &[(&str, &str)] = &[
    ("bridge", "iproute2"),
    ("busybox", "busybox-static"),
    ("gcc", "gcc libc6-dev"),
    ("hostname", "hostname"),
    ("ip", "iproute2"),
    ("keyctl", "keyutils"),
    ("lsof", "lsof"),
    ("nft", "nftables"),
    ("perl", "perl"),
    ("pgrep", "procps"),
    ("ping", "iputils-ping"),
    ("ps", "procps"),
    ("python3", "python3"),
    ("setcap", "libcap2-bin"),
    ("strace", "strace"),
];

/// Whether one of `programs` is a word of `command`.
pub(crate) fn types(command: &str, program: &str) -> bool {
    command.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').any(|word| word == program)
}

/// Whether a program is there, on root's PATH too.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(more).any(|directory| directory.join(program).is_file())
}

/// The types of the filesystems that are mounted.
pub(crate) fn mounted(kind: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(2) == Some(kind))
}

/// cgroup v2 alone, with its controllers.
pub(crate) fn has_controllers() -> bool {
    mounted("cgroup2") && !mounted("cgroup")
}

/// A cgroup v2 to which one may write.
pub(crate) fn has_a_cgroup(is_root: bool) -> bool {
    if is_root {
        return mounted("cgroup2");
    }
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mine = own.lines().find_map(|line| line.strip_prefix("0::"));
    let files = v2().zip(mine).map(|(v2, mine)| format!("{v2}{mine}/cgroup.procs"));
    files.is_some_and(|files| fs::OpenOptions::new().write(true).open(files).is_ok())
}

/// A Docker engine that can be started.
pub(crate) fn has_docker(is_root: bool) -> bool {
    is_root && has("dockerd") && has("docker")
}

/// A hierarchy of cgroup v1 with the controller memory, and one with pids.
pub(crate) fn has_v1() -> bool {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let in_one =
        |controller: &str| own.lines().any(|line| line.split([':', ',']).any(|word| word == controller));
    in_one("memory") && in_one("pids")
}

/// Whether the bounding set has every capability that the kernel knows.
pub(crate) fn has_every_capability() -> bool {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let last: u32 = read("/proc/sys/kernel/cap_last_cap").trim().parse().unwrap_or(63);
    let status = read("/proc/self/status");
    let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let bounding = bounding.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0);
    bounding == u64::MAX >> (63 - last)
}

/// uname(2)'s release.
pub(crate) fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim_end().into()
}

/// The kernel's version.
pub(crate) fn kernel() -> (u32, u32) {
    let release = release();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// systemd as init.
pub(crate) fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Where cgroup v2 is mounted.
fn v2() -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?;
    line.split(' ').nth(1).map(str::to_string)
}
