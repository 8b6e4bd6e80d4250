//! What a command may change on the machine, a line each, so that two looks can be compared.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::termios::tcgetattr;

use super::named::{Named, all_cgroups, is_empty};
use super::token::Token;

/// Files that hold a setting.
const SETTINGS: &[&str] = &[
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/domainname",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/threads-max",
    "/proc/sys/kernel/unprivileged_userns_clone",
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "/proc/sys/kernel/keys/maxkeys",
    "/proc/sys/kernel/shmmax",
    "/proc/sys/kernel/msgmni",
    "/proc/sys/kernel/sem",
    "/proc/sys/fs/mqueue/queues_max",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv4/ip_unprivileged_port_start",
    "/proc/sys/net/ipv4/ping_group_range",
    "/proc/sys/net/ipv6/conf/all/forwarding",
    "/proc/sys/vm/overcommit_memory",
];
/// Where the limits on namespaces are, a file each.
const LIMITS: &str = "/proc/sys/user";
/// Where names are listed.
const LISTS: &[(&str, &str)] = &[
    ("namespace pin", "/run/netns"),
    ("namespace pin", "/run/ipcns"),
    ("message queue", "/dev/mqueue"),
    ("shared memory", "/dev/shm"),
];
/// Where temporary files are, besides TMPDIR: of those others make too, only names of ours count.
const SHARED: &[&str] = &["/tmp", "/var/tmp", "/run", "/dev/shm"];

/// One look.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    lines: BTreeSet<String>,
    cgroups: BTreeSet<PathBuf>,
}

impl Machine {
    /// Looks. In `cwd` core files are looked for.
    pub fn look(cwd: &Path) -> Machine {
        let mut lines = BTreeSet::new();
        mounts(&mut lines);
        network(&mut lines);
        ipc(&mut lines);
        keys(&mut lines);
        settings(&mut lines);
        lists(&mut lines);
        let cores = names(cwd).filter(|name| name == "core" || name.starts_with("core."));
        lines.extend(cores.map(|name| format!("core file {}", cwd.join(name).display())));
        terminal(&mut lines);
        Machine { lines, cgroups: all_cgroups() }
    }

    /// Looks at what is in our own namespaces alone: where others work at the same time, their mounts come and go.
    pub fn look_at_ours() -> Machine {
        let mut lines = BTreeSet::new();
        own_mounts(&mut lines);
        network(&mut lines);
        ipc(&mut lines);
        settings(&mut lines);
        lists(&mut lines);
        Machine { lines, cgroups: BTreeSet::new() }
    }

    /// What is there in both looks. What comes and goes in between is somebody else's.
    #[must_use]
    pub fn that_stays(&self, later: &Machine) -> Machine {
        let lines = self.lines.intersection(&later.lines).cloned().collect();
        Machine { lines, cgroups: self.cgroups.intersection(&later.cgroups).cloned().collect() }
    }

    /// What is otherwise than before, a line each, but for cgroups.
    pub fn differences(&self, before: &Machine) -> Vec<String> {
        let more = self.lines.difference(&before.lines).map(|line| format!("new: {line}"));
        let less = before.lines.difference(&self.lines).map(|line| format!("gone: {line}"));
        more.chain(less).collect()
    }

    /// What is otherwise than before, a line each; `since` is when the command started, in clock ticks since boot.
    ///
    /// Others make cgroups too. One is the run's if it bears its token, or a name of ours whose owner is gone; with
    /// `alone`, if nobody is in it.
    pub fn changed_since(&self, before: &Machine, since: u64, token: &Token, alone: bool) -> Vec<String> {
        let shared: Vec<PathBuf> = SHARED.iter().map(PathBuf::from).collect();
        let named = Named::abandoned(&shared, since);
        let cgroups = self.cgroups.difference(&before.cgroups).filter(|path| {
            let is_marked = path.to_string_lossy().contains(&token.0);
            let is_somebodys = || path.ancestors().any(|it| Named::of(it).is_some()) || !is_empty(path);
            is_marked || (alone && !is_somebodys())
        });
        let cgroups = cgroups.map(|path| format!("new: cgroup {}", path.display()));
        let abandoned = named.iter().map(|it| format!("abandoned: {}", it.path.display()));
        self.differences(before).into_iter().chain(cgroups).chain(abandoned).collect()
    }
}

/// Mounts of our own mount namespace, by what they are; and of every other that can be seen, those that bear a name of ours.
fn mounts(lines: &mut BTreeSet<String>) {
    let own = fs::read_link("/proc/self/ns/mnt").unwrap_or_default();
    own_mounts(lines);
    let mut seen = BTreeSet::from([own]);
    for pid in names(Path::new("/proc")).filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
        let Ok(namespace) = fs::read_link(format!("/proc/{pid}/ns/mnt")) else { continue };
        if seen.insert(namespace.clone()) {
            let mounts = mounts_of(&format!("/proc/{pid}/mountinfo"));
            let named = mounts.iter().filter(|mount| {
                let mut paths = mount.split(' ').take(2).flat_map(|path| Path::new(path).ancestors());
                paths.any(|it| Named::of(it).is_some())
            });
            lines.extend(named.map(|mount| format!("mount in {}: {mount}", namespace.display())));
        }
    }
}

fn own_mounts(lines: &mut BTreeSet<String>) {
    lines.extend(mounts_of("/proc/self/mountinfo").iter().map(|mount| format!("mount {mount}")));
}

fn lists(lines: &mut BTreeSet<String>) {
    for (what, directory) in LISTS {
        lines.extend(names(Path::new(directory)).map(|name| format!("{what} {directory}/{name}")));
    }
}

/// Without their numbers, which a remount by another would change.
fn mounts_of(mountinfo: &str) -> Vec<String> {
    let text = fs::read(mountinfo).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().map(|line| line.splitn(4, ' ').skip(3).collect()).collect()
}

/// Links, addresses, routes and rules of our own network namespace.
fn network(lines: &mut BTreeSet<String>) {
    let devices = read("/proc/self/net/dev");
    let links = devices.lines().skip(2).filter_map(|line| line.split_once(':'));
    lines.extend(links.map(|(name, _)| format!("link {}", name.trim())));
    // Addresses of IPv4 are the local leaves of its routes.
    let mut leaf = "";
    let routes = read("/proc/self/net/fib_trie");
    for line in routes.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address;
        } else if line.starts_with('/') {
            lines.insert(format!("route {leaf}{line}"));
        }
    }
    for line in read("/proc/self/net/if_inet6").lines() {
        lines.insert(format!("address {}", line.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    for line in read("/proc/self/net/ipv6_route").lines() {
        // Columns 7 and 8 count who refers to a route, and its uses.
        let words: Vec<_> = line.split_whitespace().collect();
        let stable = [words.get(..6).unwrap_or_default(), words.get(9..).unwrap_or_default()].concat();
        lines.insert(format!("route {}", stable.join(" ")));
    }
    let mut rules = Command::new("nft");
    rules.args(["--stateless", "list", "ruleset"]).stdin(Stdio::null()).stderr(Stdio::null());
    if let Ok(said) = rules.output() {
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        lines.extend(said.lines().map(|line| format!("nftables {}", line.trim())));
    }
}

/// System V objects, by key and ID.
fn ipc(lines: &mut BTreeSet<String>) {
    for kind in ["msg", "sem", "shm"] {
        for line in read(&format!("/proc/sysvipc/{kind}")).lines().skip(1) {
            let object: Vec<_> = line.split_whitespace().take(2).collect();
            lines.insert(format!("{kind} {}", object.join(" ")));
        }
    }
}

/// Keys and keyrings that we may see, by number and description; the dead are collected when the kernel likes.
fn keys(lines: &mut BTreeSet<String>) {
    for line in read("/proc/keys").lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if let [number, flags, _, _, _, _, _, kind, rest @ ..] = words.as_slice() {
            // I: instantiated, R: revoked, D: dead, i: invalidated (proc_keys(5)). What is of one process ends with it.
            let is_alive = flags.starts_with('I') && !flags.contains(['R', 'D', 'i']);
            let description = rest.first().map_or("", |it| it.trim_end_matches(':'));
            if is_alive && !["_pid", "_tid", "_ses"].contains(&description) {
                lines.insert(format!("key {number} {kind} {description}"));
            }
        }
    }
}

fn settings(lines: &mut BTreeSet<String>) {
    let limits = names(Path::new(LIMITS)).map(|name| format!("{LIMITS}/{name}"));
    for file in SETTINGS.iter().map(ToString::to_string).chain(limits) {
        if let Ok(value) = fs::read_to_string(&file) {
            lines.insert(format!("setting {file}: {}", value.trim()));
        }
    }
}

/// How the terminal is set, where there is one.
fn terminal(lines: &mut BTreeSet<String>) {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        if let Ok(it) = tcgetattr(&stdin) {
            let flags = (
                it.input_flags.bits(),
                it.output_flags.bits(),
                it.control_flags.bits(),
                it.local_flags.bits(),
            );
            lines.insert(format!("terminal settings {flags:x?} {:?}", it.control_chars));
        }
    }
}

fn read(path: &str) -> String {
    fs::read(path).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn names(directory: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_and_what_went_is_told() {
        let of = |lines: &[&str]| Machine {
            lines: lines.iter().map(ToString::to_string).collect(),
            cgroups: BTreeSet::new(),
        };
        let token = Token("none".into());
        let (before, after) = (of(&["link lo", "link a"]), of(&["link lo", "link b"]));
        assert_eq!(after.changed_since(&before, u64::MAX, &token, false), ["new: link b", "gone: link a"]);
        assert!(before.changed_since(&before, u64::MAX, &token, false).is_empty());
        assert_eq!(before.that_stays(&after).lines, BTreeSet::from(["link lo".to_string()]));
    }

    #[test]
    fn a_look_sees_mounts_links_and_settings() {
        for seen in [Machine::look(Path::new("/")), Machine::look_at_ours()] {
            for begins in ["mount ", "link ", "setting /proc/sys/kernel/hostname: "] {
                assert!(seen.lines.iter().any(|line| line.starts_with(begins)), "{begins}");
            }
        }
    }
}
