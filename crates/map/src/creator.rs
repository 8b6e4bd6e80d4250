//! What made a namespace, as far as facts about its first process tell: its cgroup, its program, and our shells' mark.
//!
//! Container engines and systemd name their cgroups. A name that the process chose itself says nothing.

use std::fmt;
use std::path::Path;

use shell::Mark;

/// What made a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creator {
    /// The program or engine.
    pub runtime: Runtime,
    /// What that calls what it made: a container's ID, a unit, the program of a shell.
    pub name: String,
}

/// A program that makes namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// One of our shells or containers.
    Inception,
    /// bubblewrap.
    Bubblewrap,
    /// Docker.
    Docker,
    /// podman, and what else is made of libpod.
    Podman,
    /// containerd, by Kubernetes or nerdctl.
    Containerd,
    /// CRI-O.
    CriO,
    /// LXC and LXD.
    Lxc,
    /// Flatpak.
    Flatpak,
    /// snapd.
    Snap,
    /// systemd-nspawn, or another that is registered with systemd-machined.
    Machined,
    /// A unit of systemd.
    Systemd,
}

impl Runtime {
    /// The word for it in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Runtime::Inception => "inception",
            Runtime::Bubblewrap => "bubblewrap",
            Runtime::Docker => "docker",
            Runtime::Podman => "podman",
            Runtime::Containerd => "containerd",
            Runtime::CriO => "cri-o",
            Runtime::Lxc => "lxc",
            Runtime::Flatpak => "flatpak",
            Runtime::Snap => "snap",
            Runtime::Machined => "systemd-machined",
            Runtime::Systemd => "systemd",
        }
    }

    /// What people call it.
    fn name(self) -> &'static str {
        match self {
            Runtime::Inception => "Inception",
            Runtime::Docker => "Docker",
            Runtime::CriO => "CRI-O",
            Runtime::Lxc => "LXC",
            Runtime::Flatpak => "Flatpak",
            other => other.word(),
        }
    }
}

impl fmt::Display for Creator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.runtime.name())?;
        if self.name.is_empty() { Ok(()) } else { write!(f, " {}", self.name) }
    }
}

impl Creator {
    fn new(runtime: Runtime, name: impl Into<String>) -> Creator {
        Creator { runtime, name: name.into() }
    }

    /// The one that names such a cgroup: `cgroups` is the text of a /proc/PID/cgroup. None if nothing in it is a name that an
    /// engine or systemd gives.
    pub(crate) fn by_cgroups(cgroups: &str) -> Option<Creator> {
        cgroups.lines().find_map(|line| by_path(line.splitn(3, ':').nth(2)?))
    }

    /// The program of ours that opened a shell with this mark.
    pub(crate) fn by_mark(mark: &Mark) -> Creator {
        Creator::new(Runtime::Inception, mark.name())
    }

    /// The one that is still that program itself: `program` is where /proc/PID/exe leads.
    pub(crate) fn by_program(program: &Path) -> Option<Creator> {
        (program.file_name()? == "bwrap").then(|| Creator::new(Runtime::Bubblewrap, ""))
    }
}

/// From the innermost part of a path outward: the first part that is a name.
fn by_path(path: &str) -> Option<Creator> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    for at in (0..parts.len()).rev() {
        let above = if at == 0 { "" } else { parts[at - 1] };
        if let Some(creator) = by_part(parts[at], above, path) {
            return Some(creator);
        }
        // A scope is made for processes that somebody else has started: what is above it did not. But in init.scope is the
        // manager itself, be it that of a container.
        if parts[at].ends_with(".scope") && parts[at] != "init.scope" {
            return None;
        }
    }
    None
}

fn by_part(part: &str, above: &str, path: &str) -> Option<Creator> {
    by_engine(part, above, path).or_else(|| by_unit(part))
}

/// What an engine calls the cgroup of a container: with systemd a scope, else a directory below its own.
fn by_engine(part: &str, above: &str, path: &str) -> Option<Creator> {
    const ENGINES: [(&str, &str, Runtime); 5] = [
        ("docker-", "docker", Runtime::Docker),
        ("libpod-", "libpod_parent", Runtime::Podman),
        ("crio-", "crio", Runtime::CriO),
        ("cri-containerd-", "k8s.io", Runtime::Containerd),
        ("nerdctl-", "nerdctl", Runtime::Containerd),
    ];
    let stem = part.strip_suffix(".scope").unwrap_or(part);
    for (prefix, directory, runtime) in ENGINES {
        let id = stem.strip_prefix(prefix).or_else(|| (above == directory).then_some(stem));
        if let Some(id) = id.filter(|id| is_id(id)) {
            return Some(Creator::new(runtime, &id[..12]));
        }
    }
    // Kubernetes without systemd: /kubepods/burstable/podUID/ID.
    if path.starts_with("/kubepods/") && above.starts_with("pod") && is_id(part) {
        return Some(Creator::new(Runtime::Containerd, &part[..12]));
    }
    // The process that keeps the user namespace of an ordinary user's containers.
    if part.starts_with("podman-pause-") && part.ends_with(".scope") {
        return Some(Creator::new(Runtime::Podman, ""));
    }
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return Some(Creator::new(Runtime::Lxc, name));
    }
    (above == "lxc" && !part.ends_with(".scope")).then(|| Creator::new(Runtime::Lxc, part))
}

/// What systemd calls the cgroup of a unit, and what others have it call theirs.
fn by_unit(part: &str) -> Option<Creator> {
    if let Some(scope) = part.strip_suffix(".scope") {
        return by_scope(scope);
    }
    if part.starts_with("inception-") {
        return Some(Creator::new(Runtime::Inception, ""));
    }
    // As systemctl(1) takes it.
    part.ends_with(".service").then(|| Creator::new(Runtime::Systemd, part))
}

fn by_scope(scope: &str) -> Option<Creator> {
    if let Some(name) = scope.strip_prefix("machine-") {
        return Some(Creator::new(Runtime::Machined, unescaped(name)));
    }
    // app-flatpak-org.gnome.Maps-1234.scope: Flatpak's own name for it, and the PID of its first process.
    if let Some(name) = scope.strip_prefix("app-flatpak-") {
        let (name, _) = name.rsplit_once('-').unwrap_or((name, ""));
        return Some(Creator::new(Runtime::Flatpak, unescaped(name)));
    }
    // snap.firefox.firefox-UUID.scope: the snap and its application.
    let name = scope.strip_prefix("snap.")?.split('.').next()?;
    Some(Creator::new(Runtime::Snap, unescaped(name)))
}

/// systemd.unit(5): in a unit's name, a byte that may not stand there is `\x` and two hexadecimal digits.
fn unescaped(name: &str) -> String {
    name.replace("\\x2d", "-").replace("\\x20", " ").replace("\\x2e", ".")
}

/// Whether it is what an engine calls a container: at least 12 hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() >= 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_and_units_are_told_by_their_cgroups() {
        let id = "3f2a9c0d1e2b3f2a9c0d1e2b3f2a9c0d1e2b3f2a9c0d1e2b3f2a9c0d1e2b3f2a";
        let user = "/user.slice/user-1000.slice/user@1000.service";
        let table = [
            (format!("0::/system.slice/docker-{id}.scope"), Some("Docker 3f2a9c0d1e2b")),
            (format!("0::/system.slice/docker-{id}.scope/init"), Some("Docker 3f2a9c0d1e2b")),
            (format!("12:pids:/docker/{id}\n0::/"), Some("Docker 3f2a9c0d1e2b")),
            (format!("0::/../docker-{id}.scope"), Some("Docker 3f2a9c0d1e2b")),
            (format!("0::{user}/user.slice/libpod-{id}.scope/container"), Some("podman 3f2a9c0d1e2b")),
            (format!("0::/machine.slice/libpod-{id}.scope"), Some("podman 3f2a9c0d1e2b")),
            (format!("0::{user}/user.slice/podman-pause-233b7008.scope"), Some("podman")),
            // Where slirp4netns or pasta is, which makes namespaces of its own.
            (format!("0::{user}/user.slice/podman-893.scope"), None),
            (format!("0::/libpod_parent/{id}"), Some("podman 3f2a9c0d1e2b")),
            (format!("0::/kubepods.slice/cri-containerd-{id}.scope"), Some("containerd 3f2a9c0d1e2b")),
            (format!("4:memory:/kubepods/burstable/pod7a-1/{id}"), Some("containerd 3f2a9c0d1e2b")),
            (format!("0::/system.slice/nerdctl-{id}.scope"), Some("containerd 3f2a9c0d1e2b")),
            (format!("0::/kubepods.slice/crio-{id}.scope"), Some("CRI-O 3f2a9c0d1e2b")),
            ("0::/lxc.payload.web/init.scope".into(), Some("LXC web")),
            (format!("0::/docker/{id}/init.scope"), Some("Docker 3f2a9c0d1e2b")),
            ("0::/init.scope".into(), None),
            ("5:pids:/lxc/web".into(), Some("LXC web")),
            ("0::/machine.slice/machine-my\\x2dbox.scope/payload".into(), Some("systemd-machined my-box")),
            (
                format!("0::{user}/app.slice/app-flatpak-org.gnome.Maps-71.scope"),
                Some("Flatpak org.gnome.Maps"),
            ),
            (format!("0::{user}/app.slice/snap.firefox.firefox-1a.scope"), Some("snap firefox")),
            ("0::/system.slice/systemd-logind.service".into(), Some("systemd systemd-logind.service")),
            ("0::/system.slice/cups.service/worker".into(), Some("systemd cups.service")),
            (
                "0::/system.slice/fsck@dev-disk-by\\x2duuid.service".into(),
                Some("systemd fsck@dev-disk-by\\x2duuid.service"),
            ),
            ("7:pids:/inception-1234-99-1".into(), Some("Inception")),
            // Somebody in a session has started it, and not the manager above.
            (format!("0::{user}/app.slice/app-gnome-term-7.scope"), None),
            ("0::/user.slice/user-1000.slice/session-3.scope".into(), None),
            ("0::/docker/short".into(), None),
            ("0::/".into(), None),
            ("nonsense".into(), None),
            (String::new(), None),
        ];
        for (cgroups, creator) in table {
            let found = Creator::by_cgroups(&cgroups).map(|found| found.to_string());
            assert_eq!(found.as_deref(), creator, "{cgroups}");
        }
    }

    #[test]
    fn a_name_that_a_process_chose_says_nothing() {
        assert_eq!(Creator::by_program(Path::new("/tmp/not-bwrap")), None);
        let found = Creator::by_program(Path::new("/usr/bin/bwrap")).map(|found| found.to_string());
        assert_eq!(found.as_deref(), Some("bubblewrap"));
    }
}
