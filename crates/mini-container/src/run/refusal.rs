//! Why no container could be made, and what to do about it.

use anyhow::anyhow;
use nix::unistd::geteuid;
use ns_core::probe::{self, Unmet};
use ns_core::{Capability, Errno, Error, Refused, idmap, process};

use super::kinds::CREATED_IN;

/// What failed in one line, with its cause on this machine and a remedy where they can be told.
pub(super) fn explain(error: &Error) -> anyhow::Error {
    let what = match error {
        // What broke says itself where.
        Error::Broken { message, .. } => message.clone(),
        other => other.to_string(),
    };
    told(&what, error.refused()).unwrap_or_else(|| anyhow!(what))
}

/// As [`explain`], for what may be no refusal of the kernel's.
pub(super) fn explain_all(error: anyhow::Error) -> anyhow::Error {
    let refused = error.downcast_ref::<Error>().and_then(Error::refused);
    told(&format!("{error:#}"), refused).unwrap_or(error)
}

fn told(what: &str, refused: Option<Refused>) -> Option<anyhow::Error> {
    let why = why(&refused?)?;
    Some(anyhow!("no container can be made: {what}: {why}"))
}

/// The cause of a refusal, and what to do about it.
fn why(refused: &Refused) -> Option<String> {
    let Refused { call, errno } = refused;
    let makes_a_process = ["clone3", "fork"].iter().any(|name| call.starts_with(name));
    let why = match errno {
        Errno::EMFILE => "the limit on open files is too low (RLIMIT_NOFILE); raise it: ulimit -n 256",
        Errno::EFBIG => {
            "the limit on the size of files is too low (RLIMIT_FSIZE); raise it: ulimit -f unlimited"
        }
        Errno::EAGAIN if makes_a_process => {
            "a limit on processes is reached: --pids-max, for which init counts too, RLIMIT_NPROC, or pids.max of a \
             cgroup; raise it, such as by ulimit -u"
        }
        Errno::ENOMEM => {
            "memory is lacking, or the limit on it is too low (RLIMIT_AS); raise it: ulimit -v unlimited"
        }
        Errno::ENOENT if call.starts_with("open(\"/dev/") => {
            "/dev lacks a device that every container gets; run where it is whole: on the host, or with -v /dev:/dev"
        }
        Errno::EROFS if call.contains("/proc/") => {
            "/proc is read-only here, as in a container; run outside of it, or give it --privileged"
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

/// Whether the call may be refused because of whose a file is. Then nothing of the machine is to blame.
fn is_about_a_file(call: &str) -> bool {
    const FILES: [&str; 12] = [
        "ROOTFS", "chdir", "chmod", "chown", "mkdir", "open", "readdir", "rm ", "stat", "symlink", "touch",
        "unpack",
    ];
    // Who writes to a full disk knows that himself.
    call.starts_with("write") || FILES.iter().any(|name| call.starts_with(name))
}

/// Why this machine lets nobody, or not this caller, do what every container needs.
fn forbidden(refused: &Refused, makes_a_process: bool) -> Option<String> {
    let Refused { call, errno } = refused;
    let unmet = probe::why_refused(refused.clone(), CREATED_IN);
    let lacks_setfcap = !process::is_capable(Capability::CAP_SETFCAP) && geteuid().is_root();
    Some(match (errno, &unmet) {
        // They explain any call.
        (_, Unmet::Setting { .. } | Unmet::Kind(_)) => lesson::unmet::in_words(&unmet),
        (Errno::EPERM, _) if call.starts_with("mount -t proc") => {
            "a part of /proc is covered here, as in a container, so the kernel mounts no new one; run \
             outside of it, or give it --privileged (podman: --security-opt unmask=ALL)"
                .into()
        }
        (Errno::EPERM, _) if call.contains("id_map") && lacks_setfcap => {
            "to map the user 0 takes CAP_SETFCAP, of which root has been deprived here; map another: --user \
             0:100000:65536, or run where root has it"
                .into()
        }
        (Errno::EPERM | Errno::EINVAL, _) if call.contains("id_map") && own_ids() < 65_536 => format!(
            "this user namespace has {} of the IDs (/proc/self/uid_map), and a map may name no others; leave --user out",
            own_ids()
        ),
        (_, Unmet::Refused { because: Some(_), .. }) => {
            let told = unmet.to_string();
            let cause = told.strip_prefix(&format!("{call} gives {errno:?}: ")).unwrap_or(&told);
            format!("{cause}; to get it: {}", lesson::unmet::remedy(&unmet))
        }
        (Errno::EPERM, _) if makes_a_process => {
            "the kernel refuses this to a chrooted process, and to one whose IDs are not mapped (user_namespaces(7)); run \
             outside the chroot"
                .into()
        }
        _ if makes_a_process || call.starts_with("unshare") => {
            format!("this machine refuses it; to get it: {}", lesson::unmet::remedy(&unmet))
        }
        (Errno::ENOSYS, _) => "this kernel has no such call; run Linux 5.12 or newer".into(),
        _ => return None,
    })
}

/// How many users this user namespace has.
fn own_ids() -> u64 {
    let map = idmap::read(None, "uid_map").unwrap_or_default();
    map.split(", ").filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok()).sum()
}
