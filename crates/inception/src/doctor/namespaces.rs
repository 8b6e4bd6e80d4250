//! Which namespaces can be made: each kind alone, all at once, and by whom.

use lesson::unmet;
use ns_core::probe::{self, Unmet};
use ns_core::{Capability, Child, Error, Kind, Namespaces, Reporter, Result, mount, process, sandbox};

use super::check::Group;

/// Debian's nobody: a user without any privilege.
const NOBODY: u32 = 65534;

pub(super) fn kinds() -> Group {
    let mut group = Group::new("Namespaces");
    for kind in Kind::ALL {
        let call = format!("unshare({})", sandbox::needed(Namespaces::only(kind)).as_typed());
        group.add(kind.link(), call, probe::sandbox(Namespaces::only(kind)));
    }
    group.add("all at once", "one call makes all eight", probe::sandbox(Namespaces::all()));
    if process::is_capable(Capability::CAP_SETUID) && process::is_capable(Capability::CAP_SETGID) {
        let call = format!("user {NOBODY} can unshare(CLONE_NEWUSER)");
        group.add("for ordinary users", call, become_nobody_and_enter());
    }
    group.add("a procfs of their own", "mount -t proc in new pid and mnt namespaces", mount_proc());
    group
}

/// Whether root alone may make user namespaces: a child gives up its privilege, and tries.
fn become_nobody_and_enter() -> Result<Option<Unmet>> {
    missed_by(|me| {
        process::become_user(NOBODY)?;
        match sandbox::enter(Namespaces::USER) {
            Err(Error::Call { call, errno }) => {
                unmet::report(me, &probe::why_refused(ns_core::Refused { call, errno }, Namespaces::USER))
            }
            other => other.map(drop),
        }
    })
}

/// Whether a procfs can be mounted: a container that hides parts of its own forbids it (user_namespaces(7), "Mount
/// restrictions").
fn mount_proc() -> Result<Option<Unmet>> {
    let wanted = Namespaces::PID | Namespaces::MNT;
    if let Some(missing) = probe::sandbox(wanted)? {
        return Ok(Some(missing));
    }
    missed_by(|me| {
        sandbox::enter(wanted)?;
        let mut init =
            Child::spawn("init", Namespaces::NONE, |me| match mount::mount("proc", "/proc".as_ref()) {
                Err(Error::Call { call, errno }) => {
                    let what =
                        format!("{call} gives {errno:?}: parts of /proc are hidden, as in a container");
                    unmet::report(me, &Unmet::new(what, "run on the host or in a virtual machine"))
                }
                other => other,
            })?;
        init.pass_on(me)
    })
}

/// What a child, which runs `body`, says is missing; a call that it was refused is missing too.
fn missed_by(body: impl FnOnce(&mut Reporter) -> Result<()>) -> Result<Option<Unmet>> {
    let missing = unmet::reported_by(Child::spawn("probe", Namespaces::NONE, body)?);
    missing.or_else(|error| match error.refused() {
        Some(refused) => Ok(Some(probe::why_refused(refused, Namespaces::NONE))),
        None => Err(error),
    })
}
