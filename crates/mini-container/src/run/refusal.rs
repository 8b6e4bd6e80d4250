//! Errors that say why the container could not be created, and the remedy.

use anyhow::anyhow;
use nix::unistd::geteuid;
use ns_core::probe::{self, Unmet};
use ns_core::{Capability, Errno, Error, Refused, idmap, process};

use super::kinds::NEEDED;

/// What failed, in one line, with the cause on this machine and a remedy where they are known.
pub(super) fn explain(error: &Error) -> anyhow::Error {
    let what = match error {
        // This message already says where it broke.
        Error::Broken { message, .. } => message.clone(),
        other => other.to_string(),
    };
    with_cause(&what, error.refused()).unwrap_or_else(|| anyhow!(what))
}

/// As [`explain`], for errors of any kind.
pub(super) fn explain_all(error: anyhow::Error) -> anyhow::Error {
    let refused = error.downcast_ref::<Error>().and_then(Error::refused);
    with_cause(&format!("{error:#}"), refused).unwrap_or(error)
}

fn with_cause(what: &str, refused: Option<Refused>) -> Option<anyhow::Error> {
    let why = why(&refused?)?;
    Some(anyhow!("no container can be made: {what}: {why}"))
}

/// The cause of a refusal, and what to do about it.
fn why(refused: &Refused) -> Option<String> {
    let Refused { call, errno } = refused;
    let makes_a_process = ["clone", "fork"].iter().any(|name| call.starts_with(name));
    let why = match errno {
        Errno::EMFILE => "the limit on open files is too low (RLIMIT_NOFILE); raise it: ulimit -n 256",
        Errno::EFBIG => {
            "the limit on the size of files is too low (RLIMIT_FSIZE); raise it: ulimit -f unlimited"
        }
        Errno::EAGAIN if makes_a_process => {
            "a limit on processes is reached: --pids-max (which counts init too), RLIMIT_NPROC, or pids.max of a \
             cgroup; raise it, such as by ulimit -u"
        }
        Errno::ENOMEM => {
            "there is no memory left, or the limit on it is too low (RLIMIT_AS); raise it: ulimit -v unlimited"
        }
        Errno::ENODEV if call.starts_with("mount -t ") => {
            let kind = call.split(' ').nth(2).unwrap_or_default();
            return Some(format!(
                "this kernel has no filesystem of this type; to get it: sudo modprobe {kind}"
            ));
        }
        Errno::EOPNOTSUPP if call.starts_with("ip link add ") => {
            "this kernel has no links of this type; to get them: sudo modprobe -a veth bridge; or leave --net out"
        }
        Errno::EINVAL if call.starts_with("seccomp(") => {
            "this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER); run another kernel"
        }
        Errno::ENOENT if call.starts_with("open(\"/dev/") => {
            "/dev lacks a device that every container gets; run on the host, or with -v /dev:/dev"
        }
        Errno::EROFS if call.contains("/proc/") => {
            "/proc is read-only here, as in a container; run outside the container, or give it --privileged"
        }
        Errno::EACCES if ["ROOTFS", "open ROOTFS", "open_tree("].iter().any(|it| call.starts_with(it)) => {
            "you may not read it, or not enter a directory above it; run as its owner, or chmod -R a+rX it"
        }
        Errno::EPERM | Errno::EACCES | Errno::ENOSYS | Errno::EINVAL | Errno::ENOSPC | Errno::EUSERS
            if *errno == Errno::ENOSYS || !is_about_a_file(call) =>
        {
            return forbidden(refused, makes_a_process);
        }
        _ => return None,
    };
    Some(why.into())
}

/// Whether the call may fail because of the owner or mode of a file. Then the cause is not a setting of the machine.
fn is_about_a_file(call: &str) -> bool {
    const FILES: [&str; 12] = [
        "ROOTFS", "chdir", "chmod", "chown", "mkdir", "open", "readdir", "rm ", "stat", "symlink", "touch",
        "unpack",
    ];
    if call.starts_with("open_tree(") {
        return false;
    }
    // A failed write has its own cause, such as a full disk.
    call.starts_with("write") || FILES.iter().any(|name| call.starts_with(name))
}

/// Why this machine denies, to everyone or to this caller, what every container needs.
fn forbidden(refused: &Refused, makes_a_process: bool) -> Option<String> {
    let Refused { call, errno } = refused;
    let unmet = probe::why_refused(refused.clone(), NEEDED);
    let lacks_setfcap = !process::is_capable(Capability::CAP_SETFCAP) && geteuid().is_root();
    Some(match (errno, &unmet) {
        // These explain any call.
        (_, Unmet::Setting { .. } | Unmet::Kind(_)) => lesson::unmet::in_words(&unmet),
        (Errno::EPERM, _) if call.starts_with("mount -t proc") => {
            "parts of /proc are covered here, as in a container, so the kernel mounts no new one; run outside the \
             container, or give it --privileged (podman: --security-opt unmask=ALL)"
                .into()
        }
        (Errno::EPERM, _) if call.contains("id_map") && lacks_setfcap => {
            "mapping user 0 needs CAP_SETFCAP, which root lacks here; map another user: --user 0:100000:65536, or run \
             where root has it"
                .into()
        }
        (Errno::EPERM | Errno::EINVAL, _) if call.contains("id_map") && own_ids() < 65_536 => format!(
            "this user namespace has only {} IDs (/proc/self/uid_map), and a map may name no others; leave --user out",
            own_ids()
        ),
        (_, Unmet::Refused { because: Some(_), .. }) => {
            let text = unmet.to_string();
            let cause = text.strip_prefix(&format!("{call} gives {errno:?}: ")).unwrap_or(&text);
            format!("{cause}; to get it: {}", lesson::unmet::remedy(&unmet))
        }
        (Errno::EPERM, _) if makes_a_process => {
            "the kernel denies this to a process in a chroot, or with unmapped IDs (user_namespaces(7)); run outside the \
             chroot"
                .into()
        }
        _ if makes_a_process || call.starts_with("unshare") => {
            format!("this machine denies it; to get it: {}", lesson::unmet::remedy(&unmet))
        }
        (Errno::ENOSYS, _) => "this kernel has no such call; run Linux 5.12 or newer".into(),
        _ => "no setting of this machine is known to deny it; a security module may: see sudo dmesg | tail".into(),
    })
}

/// The number of user IDs in this user namespace.
fn own_ids() -> u64 {
    let map = idmap::read(None, "uid_map").unwrap_or_default();
    map.split(", ").filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kernel_lacks_has_its_remedy() {
        for (call, errno, word) in [
            ("mount -t mqueue", Errno::ENODEV, "sudo modprobe mqueue"),
            ("mount -t tmpfs -o mode=755", Errno::ENODEV, "sudo modprobe tmpfs"),
            ("ip link add br type bridge", Errno::EOPNOTSUPP, "modprobe -a veth bridge"),
            ("seccomp(SECCOMP_SET_MODE_FILTER)", Errno::EINVAL, "CONFIG_SECCOMP_FILTER"),
            ("open_tree(\"/x\", OPEN_TREE_CLONE)", Errno::EACCES, "chmod -R a+rX"),
        ] {
            let line = explain(&Error::Call { call: call.into(), errno }).to_string();
            assert!(line.starts_with("no container can be made: ") && line.contains(word), "{line}");
        }
    }
}
