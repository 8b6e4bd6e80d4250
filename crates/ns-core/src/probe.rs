//! What this machine can be asked, found out by asking it, and what would make it able to answer.

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::getuid;

use crate::child::Child;
use crate::error::{Error, Named, Result};
use crate::namespace::{Kind, Namespaces};
use crate::{files, process, stage};

/// What the kernel's command line says of a machine that is thrown away.
const THROW_AWAY: &str = "inception.throwaway";

/// Something that this machine lacks. Displayed, it is one line: `what; to get it: remedy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What, in a few words.
    pub what: String,
    /// How to get it.
    pub remedy: String,
}

impl Missing {
    /// `what` is missing, and `remedy` would supply it.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Missing {
        Missing { what: what.into(), remedy: remedy.into() }
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; to get it: {}", self.what, self.remedy)
    }
}

/// For a call that may only be made where nothing is missing.
///
/// # Errors
/// [`Error::Input`] with what is, and how to get it.
pub(crate) fn require(missing: Option<Missing>) -> Result<()> {
    missing.map_or(Ok(()), |missing| Err(Error::Input(missing.to_string())))
}

/// Whether a [`mod@stage`] of `namespaces` can be entered: a child tries. `None` if so.
///
/// # Errors
/// What is no answer, such as a failing pipe.
pub fn stage(namespaces: Namespaces) -> Result<Option<Missing>> {
    if namespaces.is_empty() {
        return Ok(None);
    }
    let mut child = Child::spawn("probe", Namespaces::NONE, move |me| match stage::enter(namespaces) {
        Ok(_) => me.saw("stage", "entered"),
        Err(Error::Call { call, errno }) => {
            me.saw("call", call)?;
            me.saw("errno", errno as i32)
        }
        Err(other) => Err(other),
    })?;
    let first = child.hear()?;
    if first.what != "call" {
        return Ok(None);
    }
    let errno = Errno::from_raw(child.hear()?.value.as_i64().unwrap_or(0) as i32);
    Ok(Some(why_refused(&first.value.to_string(), errno, stage::needed(namespaces))))
}

/// The fact of this machine that makes the kernel answer `errno` to `call`, which asked for `namespaces`.
pub fn why_refused(call: &str, errno: Errno, namespaces: Namespaces) -> Missing {
    let what = format!("{call} gives {errno:?}");
    let is_number = |file: &str, number: i64| files::number(file) == Ok(number);
    for kind in namespaces.kinds() {
        let file = format!("/proc/sys/user/max_{kind}_namespaces");
        if is_number(&file, 0) {
            return Missing::new(format!("{file} is 0"), format!("sysctl user.max_{kind}_namespaces=10000"));
        }
        if !Path::new(&format!("/proc/self/ns/{kind}")).exists() {
            return Missing::new(
                format!("this kernel has no {kind} namespaces"),
                "run a kernel that has them",
            );
        }
    }
    if is_number("/proc/sys/kernel/unprivileged_userns_clone", 0) && !getuid().is_root() {
        return Missing::new(
            "kernel.unprivileged_userns_clone is 0",
            "sysctl kernel.unprivileged_userns_clone=1, or run as root",
        );
    }
    if is_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1) {
        return Missing::new(
            "kernel.apparmor_restrict_unprivileged_userns is 1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root",
        );
    }
    if errno == Errno::EPERM && is_chrooted() {
        return Missing::new(
            format!("{what}: a chrooted process may not make user namespaces"),
            "run outside the chroot",
        );
    }
    if process::status(None).ok().and_then(|status| status.seccomp) == Some(2) {
        return Missing::new(
            format!("{what}: a seccomp filter is active, such as a container's"),
            "run on the host or in a virtual machine",
        );
    }
    match errno {
        Errno::ENOSPC => Missing::new(
            format!("{what}: a limit of /proc/sys/user is reached"),
            "raise the limit of that kind with sysctl, or end processes that hold namespaces",
        ),
        Errno::EINVAL => Missing::new(format!("{what}: the kernel does not know it"), "run a newer kernel"),
        _ => Missing::new(what, "run as root, or in a virtual machine"),
    }
}

/// Whether the caller has a capability in its effective set. `None` if so.
pub fn capability(capability: caps::Capability) -> Option<Missing> {
    if process::is_capable(capability) {
        return None;
    }
    let remedy = if getuid().is_root() {
        "run where root has not been deprived of it"
    } else {
        "run as root: sudo …"
    };
    Some(Missing::new(capability.to_string(), remedy))
}

/// Whether the caller runs by itself: under strace(1) or a debugger the kernel reports signals to the tracer first, and
/// those that the init of a PID namespace does not handle are not dropped then. `None` if nobody traces it.
///
/// # Errors
/// When /proc is no procfs.
pub fn untraced() -> Result<Option<Missing>> {
    let tracer = process::status(None)?.tracerpid;
    Ok((tracer != 0).then(|| Missing::new("a run that nobody traces", "run it without strace or a debugger")))
}

/// Whether this kernel has the kind of namespace. `None` if so.
pub fn kind(kind: Kind) -> Option<Missing> {
    let has = Path::new(&format!("/proc/self/ns/{kind}")).exists();
    (!has)
        .then(|| Missing::new(format!("this kernel has no {kind} namespaces"), "run a kernel that has them"))
}

/// Whether this machine may be put to sleep, deprived of its settings, and broken: one that is thrown away after, such as
/// `scripts/vm` starts. It says so on its kernel's command line, as `inception.throwaway`, since that is not said by
/// mistake; and cannot be said at all in a container. `None` if so.
///
/// # Errors
/// When /proc is no procfs.
pub fn throw_away() -> Result<Option<Missing>> {
    let line = fs::read_to_string("/proc/cmdline").named(|| "cat /proc/cmdline".into())?;
    let is_one = line.split_whitespace().any(|word| word == THROW_AWAY) && !is_chrooted();
    Ok((!is_one).then(|| {
        Missing::new(
            "a machine to throw away, since this changes all of it",
            "run it in a virtual machine: scripts/vm --user root -- PROGRAM",
        )
    }))
}

/// Whether sysfs can be mounted from a user namespace that owns its network: the kernel wants all of /sys to be visible.
/// `None` if so.
///
/// # Errors
/// When a child could not be made.
pub fn sysfs() -> Result<Option<Missing>> {
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        stage::enter(Namespaces::USER | Namespaces::MNT | Namespaces::NET)?;
        me.saw("mount", crate::Outcome::of(crate::mount::mount("sysfs", Path::new("/sys")))?)
    })?;
    let answer = child.hear()?.value;
    Ok((answer != "OK").then(|| {
        Missing::new(
            format!("mount -t sysfs in a user namespace gives {answer}"),
            "run where all of /sys is to be seen: on a host or in a virtual machine",
        )
    }))
}

/// Whether a program can be found on PATH. `None` if so; `package` is Debian's that has it.
pub fn program(name: &str, package: &str) -> Option<Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    (!found).then(|| Missing::new(format!("the program {name}"), format!("apt-get install {package}")))
}

/// Whether our root directory is not our mount namespace's. Only root can tell; anyone else is told no.
pub fn is_chrooted() -> bool {
    // In a chroot the mount of the root directory is not among those we can see, unless it is a mount point itself.
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    !text.lines().any(|line| line.split(' ').nth(4) == Some("/"))
}
