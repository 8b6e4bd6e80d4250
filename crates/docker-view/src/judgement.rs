//! What a process most likely is, and the evidence for it.
//!
//! The kernel has no object called container: nothing in /proc names the creator. But every creator leaves marks, and what
//! it does not isolate is a mark too.

use std::path::Path;

use ns_core::Kind;

use crate::capabilities::{self, DOCKER_DEFAULT};
use crate::process::{Process, is_read_only};

/// What it most likely is, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) what: &'static str,
    pub(crate) evidence: Vec<String>,
    /// For a Docker container: the options that explain how it differs from one without options.
    pub(crate) options: Vec<String>,
}

/// The marks of one creator that a process has. The kinds are those of its own namespaces.
type Marks = fn(&Process, &[Kind]) -> Vec<String>;

pub(crate) const DOCKER: &str = "a Docker container";
pub(crate) const PODMAN: &str = "a podman container";
pub(crate) const CONTAINERD: &str = "a container of containerd or Kubernetes";
pub(crate) const NSPAWN: &str = "a systemd-nspawn container";
pub(crate) const BUBBLEWRAP: &str = "a bubblewrap sandbox";
pub(crate) const MINI: &str = "a container of mini-container";
pub(crate) const SERVICE: &str = "a systemd service";
pub(crate) const BY_HAND: &str = "a container made by hand, as by unshare";
pub(crate) const PLAIN: &str = "a plain process";

/// Judges `process`, which has its own namespaces of the kinds `own`.
pub(crate) fn judge(process: &Process, own: &[Kind]) -> Judgement {
    let rules: [(&str, Marks); 7] = [
        (DOCKER, docker),
        (PODMAN, podman),
        (NSPAWN, nspawn),
        (CONTAINERD, containerd),
        (BUBBLEWRAP, bubblewrap),
        (MINI, mini_container),
        (SERVICE, service),
    ];
    // The creator with the most marks, and of equals the first: max_by_key takes the last.
    let found = rules.into_iter().rev().map(|(what, marks)| (what, marks(process, own)));
    let best = found.filter(|(_, evidence)| !evidence.is_empty()).max_by_key(|(_, evidence)| evidence.len());
    let (what, evidence) = best.unwrap_or_else(|| by_default(own));
    let options = if what == DOCKER { docker_options(process, own) } else { Vec::new() };
    Judgement { what, evidence, options }
}

fn by_default(own: &[Kind]) -> (&'static str, Vec<String>) {
    if own.is_empty() {
        return (PLAIN, vec!["it shares all namespaces with docker-view".into()]);
    }
    let kinds: Vec<_> = own.iter().map(|kind| kind.link()).collect();
    (
        BY_HAND,
        vec![
            format!("it has namespaces of its own: {}", kinds.join(" ")),
            "it has no mark of a creator".into(),
        ],
    )
}

/// The ID of 64 hexadecimal digits in a path, such as `/docker/1f0a…` or `docker-1f0a….scope`.
fn id_in(path: &str) -> Option<&str> {
    let is_id = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    path.split(['/', '-', '.', ':']).find(is_id)
}

fn in_cgroup(process: &Process, wanted: impl Fn(&str) -> bool) -> Option<&str> {
    process.cgroups.iter().map(|it| it.path.as_str()).find(|path| wanted(path))
}

fn ancestor<'a>(process: &'a Process, names: &[&str]) -> Option<&'a String> {
    // Without permission to read the program, there is a name of at most 15 bytes: containerd-shim for
    // containerd-shim-runc-v2.
    process.ancestors.iter().find(|own| names.iter().any(|name| own.starts_with(name)))
}

fn docker(process: &Process, own: &[Kind]) -> Vec<String> {
    let mut marks = Vec::new();
    if !own.contains(&Kind::Mnt) {
        return marks; // no option leaves it out
    }
    if process.marks.contains(&"/.dockerenv") {
        marks.push("/.dockerenv is in its root directory".into());
    }
    let its_own = |path: &str| path.contains("docker") && id_in(path).is_some();
    if in_cgroup(process, its_own).is_some() {
        marks.push("its cgroup has docker and an ID of 64 digits in its name".into());
    }
    let hostname = process.mounts.iter().find(|mount| mount.mount_point == Path::new("/etc/hostname"));
    let by_engine = |root: &str| root.contains("/containers/") && id_in(root).is_some();
    if hostname.is_some_and(|mount| by_engine(&mount.root) && !mount.root.contains("/userdata/")) {
        marks.push("its /etc/hostname is a mounted file of the engine".into());
    }
    if process.effective & process.bounding == DOCKER_DEFAULT && process.seccomp == 2 {
        marks.push("it has Docker's 14 capabilities and a seccomp filter".into());
    }
    // Without a mark that has its name, the others can be those of any engine.
    let named = marks.iter().any(|mark: &String| mark.contains("docker"));
    if named && ancestor(process, &["containerd-shim", "docker-containe"]).is_some() {
        marks.push("its ancestor is a containerd-shim".into());
    }
    if named { marks } else { Vec::new() }
}

fn podman(process: &Process, _own: &[Kind]) -> Vec<String> {
    let mut marks = Vec::new();
    if process.marks.contains(&"/run/.containerenv") {
        marks.push("/run/.containerenv is in its root directory".into());
    }
    if in_cgroup(process, |path| path.contains("libpod-")).is_some() {
        marks.push("its cgroup is named libpod-…".into());
    }
    if ancestor(process, &["conmon"]).is_some() {
        marks.push("its ancestor is conmon".into());
    }
    marks
}

fn containerd(process: &Process, _own: &[Kind]) -> Vec<String> {
    let mut marks = Vec::new();
    if in_cgroup(process, |path| path.contains("kubepods") || path.contains("cri-containerd")).is_some() {
        marks.push("its cgroup is named kubepods or cri-containerd".into());
    }
    if ancestor(process, &["containerd-shim"]).is_some() {
        marks.push("its ancestor is a containerd-shim".into());
    }
    marks
}

fn nspawn(process: &Process, _own: &[Kind]) -> Vec<String> {
    let mut marks = Vec::new();
    if ancestor(process, &["systemd-nspawn"]).is_some() {
        marks.push("its ancestor is systemd-nspawn".into());
    }
    if in_cgroup(process, |path| path.contains("/systemd-nspawn@")).is_some() {
        marks.push("its cgroup is named systemd-nspawn@…".into());
    }
    marks
}

fn bubblewrap(process: &Process, own: &[Kind]) -> Vec<String> {
    let mut marks = Vec::new();
    if !own.contains(&Kind::Mnt) {
        return marks; // bubblewrap always creates one
    }
    if process.command == "bwrap" || ancestor(process, &["bwrap"]).is_some() {
        marks.push("its ancestor is bwrap".into());
        if process.no_new_privs {
            marks.push("no_new_privs is set, as bubblewrap always does".into());
        }
        if process.root_mount().is_some_and(|mount| mount.mount_options.contains_key("nosuid")) {
            marks.push("its root is mounted nosuid".into());
        }
    }
    marks
}

fn mini_container(process: &Process, own: &[Kind]) -> Vec<String> {
    let mut marks = Vec::new();
    if own.contains(&Kind::Mnt) && ancestor(process, &["mini-container"]).is_some() {
        marks.push("its ancestor is mini-container".into());
        if own.contains(&Kind::Time) {
            marks.push("it has a time namespace of its own, which few runtimes create".into());
        }
    }
    marks
}

fn service(process: &Process, own: &[Kind]) -> Vec<String> {
    let mut marks = Vec::new();
    // A unit within the cgroup of a login belongs to the user's manager.
    let unit = in_cgroup(process, |path| path.split('/').any(|part| part.ends_with(".service")));
    let Some(unit) = unit else { return marks };
    if own.contains(&Kind::Pid) {
        return marks; // no service has one, but a container below it has
    }
    let name = unit.split('/').rev().find(|part| part.ends_with(".service")).unwrap_or_default();
    marks.push(format!("its cgroup is that of {name}"));
    if process.ancestors.first().is_some_and(|parent| parent == "systemd") {
        marks.push("its parent is systemd".into());
    }
    if own.contains(&Kind::Mnt) {
        marks.push("it has mounts of its own, as with PrivateTmp= and similar settings".into());
    }
    marks
}

/// The options that explain the difference from Docker's default.
fn docker_options(process: &Process, own: &[Kind]) -> Vec<String> {
    let mut options = Vec::new();
    for (kind, option) in [
        (Kind::Net, "--network host"),
        (Kind::Pid, "--pid host"),
        (Kind::Ipc, "--ipc host"),
        (Kind::Uts, "--uts host"),
    ] {
        if !own.contains(&kind) {
            options.push(option.to_string());
        }
    }
    if own.contains(&Kind::User) {
        options.push("an engine with userns-remap, or a rootless one".into());
    }
    let unmasked = process.masked().is_empty();
    // Without a /proc, there is nothing to mask.
    let sees_proc = process.mounts.iter().any(|mount| mount.mount_point == Path::new("/proc"));
    let added = process.bounding & !DOCKER_DEFAULT;
    let dropped = DOCKER_DEFAULT & !process.bounding;
    if unmasked && sees_proc && process.seccomp == 0 && added.count_ones() > 20 {
        options.push("--privileged".into());
    } else {
        if process.seccomp == 0 {
            options.push("--security-opt seccomp=unconfined".into());
        }
        if unmasked && sees_proc {
            options.push("--security-opt systempaths=unconfined".into());
        }
        for (set, option) in [(added, "--cap-add"), (dropped, "--cap-drop")] {
            let names = capabilities::named(set);
            if set == DOCKER_DEFAULT {
                options.push(format!("{option} ALL"));
            } else if set != 0 {
                options
                    .push(format!("{option} {}", names.split_once(": ").map_or(&*names, |(_, names)| names)));
            }
        }
    }
    if process.no_new_privs {
        options.push("--security-opt no-new-privileges".into());
    }
    if process.root_mount().is_some_and(is_read_only) {
        options.push("--read-only".into());
    }
    if process.pids.last() != Some(&1) || process.command == "docker-init" {
        let below_init = process.ancestors.first().is_some_and(|parent| parent == "docker-init");
        if below_init || process.command == "docker-init" {
            options.push("--init".into());
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use ns_core::Pid;
    use ns_core::cgroup::Membership;
    use ns_core::mount::Mount;

    const ID: &str = "f8fec73ba66c7fae5a74c96f0a2e2212223ea9f5e8fe35d9230c5fba90231db6";
    const CONTAINER: [Kind; 5] = [Kind::Ipc, Kind::Net, Kind::Mnt, Kind::Pid, Kind::Uts];

    fn process() -> Process {
        Process {
            pid: Pid::from_raw(4899),
            command: "bash".into(),
            ancestors: vec!["systemd".into()],
            namespaces: Vec::new(),
            pids: vec![4899],
            uid_map: vec!["0 0 4294967295".into()],
            gid_map: vec!["0 0 4294967295".into()],
            root: "/".into(),
            mounts: Vec::new(),
            marks: Vec::new(),
            effective: u64::MAX,
            bounding: u64::MAX,
            seccomp: 0,
            no_new_privs: false,
            cgroups: vec![Membership { controllers: String::new(), path: "/user.slice".into() }],
        }
    }

    fn mounts(lines: &[&str]) -> Vec<Mount> {
        lines.iter().map(|line| Mount::from_line(line).unwrap()).collect()
    }

    fn in_docker() -> Process {
        Process {
            pids: vec![4899, 1],
            ancestors: vec!["containerd-shim".into(), "systemd".into()],
            marks: vec!["/.dockerenv"],
            effective: DOCKER_DEFAULT,
            bounding: DOCKER_DEFAULT,
            seccomp: 2,
            mounts: mounts(&[
                "123 97 0:44 / / rw,relatime master:2 - overlay overlay rw",
                "124 123 0:47 / /proc rw,nosuid - proc proc rw",
                "101 124 0:47 /sys /proc/sys ro,nosuid - proc proc rw",
                "102 124 0:53 / /proc/acpi ro,relatime - tmpfs tmpfs ro",
                "103 124 0:48 /null /proc/keys rw,nosuid - tmpfs tmpfs rw,mode=755",
            ]),
            cgroups: vec![Membership { controllers: String::new(), path: format!("/docker/{ID}") }],
            ..process()
        }
    }

    #[test]
    fn a_docker_container_is_told_by_its_marks() {
        let judged = judge(&in_docker(), &CONTAINER);
        assert_eq!(judged.what, DOCKER);
        assert!(judged.evidence.len() >= 4, "{:?}", judged.evidence);
        assert_eq!(judged.options, [""; 0], "it was started without any");
    }

    #[test]
    fn options_are_read_off_what_differs() {
        let on_host = judge(&in_docker(), &[Kind::Ipc, Kind::Mnt, Kind::Pid, Kind::Uts]);
        assert_eq!(on_host.options, ["--network host"]);
        let mut privileged = in_docker();
        (privileged.effective, privileged.bounding, privileged.seccomp) = (u64::MAX, u64::MAX, 0);
        privileged.mounts.truncate(2);
        assert_eq!(judge(&privileged, &CONTAINER).options, ["--privileged"]);
        let mut bare = in_docker();
        (bare.effective, bare.bounding) = (0, 0);
        assert_eq!(judge(&bare, &CONTAINER).options, ["--cap-drop ALL"]);
        let mut more = in_docker();
        more.bounding |= 1 << 21;
        assert_eq!(judge(&more, &CONTAINER).options, ["--cap-add SYS_ADMIN"]);
    }

    #[test]
    fn masks_and_read_only_paths_are_two_things() {
        assert_eq!(in_docker().masked(), ["/proc/acpi", "/proc/keys"]);
        assert_eq!(in_docker().read_only(), ["/proc/sys"]);
    }

    #[test]
    fn creators_are_told_apart() {
        let bwrap =
            Process { ancestors: vec!["bwrap".into(), "bwrap".into()], no_new_privs: true, ..process() };
        assert_eq!(judge(&bwrap, &CONTAINER).what, BUBBLEWRAP);
        let cgroup = |path: &str| vec![Membership { controllers: String::new(), path: path.into() }];
        let podman = Process {
            ancestors: vec!["conmon".into()],
            cgroups: cgroup(&format!("/machine.slice/libpod-{ID}.scope")),
            ..process()
        };
        assert_eq!(judge(&podman, &CONTAINER).what, PODMAN);
        let ssh = Process { cgroups: cgroup("/system.slice/ssh.service"), ..process() };
        assert_eq!(judge(&ssh, &[]).what, SERVICE);
        assert_eq!(judge(&process(), &[]).what, PLAIN);
        assert_eq!(judge(&process(), &[Kind::Uts]).what, BY_HAND);
        let pod = Process {
            ancestors: vec!["containerd-shim".into()],
            cgroups: cgroup(&format!("/kubepods.slice/cri-containerd-{ID}.scope")),
            ..process()
        };
        assert_eq!(judge(&pod, &CONTAINER).what, CONTAINERD);
    }

    #[test]
    fn what_looks_like_docker_inside_is_told_by_who_made_it() {
        let mini = Process {
            marks: Vec::new(),
            cgroups: process().cgroups,
            ancestors: vec!["mini-container".into(), "mini-container".into(), "bash".into()],
            ..in_docker()
        };
        assert_eq!(judge(&mini, &CONTAINER).what, MINI);
        let nobody = Process { ancestors: vec!["bash".into()], ..mini };
        assert_eq!(judge(&nobody, &CONTAINER).what, BY_HAND);
    }

    #[test]
    fn a_container_below_a_service_is_no_service() {
        let made = Process { cgroups: cgroup_of("/system.slice/cron.service"), ..process() };
        assert_eq!(judge(&made, &CONTAINER).what, BY_HAND);
        let docker =
            Process { cgroups: cgroup_of(&format!("/system.slice/docker-{ID}.scope")), ..in_docker() };
        assert_eq!(judge(&docker, &CONTAINER).what, DOCKER);
    }

    fn cgroup_of(path: &str) -> Vec<Membership> {
        vec![Membership { controllers: String::new(), path: path.into() }]
    }
}
