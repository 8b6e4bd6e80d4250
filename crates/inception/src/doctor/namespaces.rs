//! Which namespaces can be made: each kind alone, all at once, and by whom.

use ns_core::probe::{self, Missing};
use ns_core::{Capability, Child, Error, Kind, Namespaces, Result, Witness, mount, process, stage};

use super::Group;

/// Debian's nobody: a user without any privilege.
const NOBODY: u32 = 65534;

pub(super) fn kinds() -> Group {
    let mut group = Group::new("Namespaces");
    for kind in Kind::ALL {
        let call = format!("unshare({})", stage::needed(kind.only()).as_typed());
        group.add(kind.link(), call, probe::stage(kind.only()));
    }
    group.add("all at once", "one call makes all eight", probe::stage(Namespaces::all()));
    if process::is_capable(Capability::CAP_SETUID) && process::is_capable(Capability::CAP_SETGID) {
        let call = format!("user {NOBODY} can unshare(CLONE_NEWUSER)");
        group.add("for ordinary users", call, become_nobody_and_enter());
    }
    group.add("a procfs of their own", "mount -t proc in new pid and mnt namespaces", mount_proc());
    group
}

/// Whether root alone may make user namespaces: a child gives up its privilege, and tries.
fn become_nobody_and_enter() -> Result<Option<Missing>> {
    missed_by(|me| {
        process::become_user(NOBODY)?;
        match stage::enter(Namespaces::USER) {
            Err(Error::Call { call, errno }) => tell(me, &probe::why_refused(&call, errno, Namespaces::USER)),
            other => other.map(drop),
        }
    })
}

/// Whether a procfs can be mounted: a container that hides parts of its own forbids it (user_namespaces(7), "Mount
/// restrictions").
fn mount_proc() -> Result<Option<Missing>> {
    let wanted = Namespaces::PID | Namespaces::MNT;
    if let Some(missing) = probe::stage(wanted)? {
        return Ok(Some(missing));
    }
    missed_by(|me| {
        stage::enter(wanted)?;
        let mut init =
            Child::spawn("init", Namespaces::NONE, |me| match mount::mount("proc", "/proc".as_ref()) {
                Err(Error::Call { call, errno }) => {
                    let what =
                        format!("{call} gives {errno:?}: parts of /proc are hidden, as in a container");
                    tell(me, &Missing::new(what, "run on the host or in a virtual machine"))
                }
                other => other,
            })?;
        init.hear_all()?.into_iter().try_for_each(|fact| me.tell(fact))
    })
}

/// What a child, which runs `body`, says is missing.
fn missed_by(body: impl FnOnce(&mut Witness) -> Result<()>) -> Result<Option<Missing>> {
    let facts = Child::spawn("probe", Namespaces::NONE, body)?.hear_all()?;
    match facts.as_slice() {
        [] => Ok(None),
        [what, remedy] => Ok(Some(Missing::new(what.value.to_string(), remedy.value.to_string()))),
        other => Err(Error::Input(format!("the probe told {} facts", other.len()))),
    }
}

fn tell(me: &mut Witness, missing: &Missing) -> Result<()> {
    me.saw("what", missing.what.as_str())?;
    me.saw("remedy", missing.remedy.as_str())
}
