//! Whether an ordinary user can create a user namespace on this machine.

use lesson::unmet;
use nix::unistd::{getgid, getuid};
use ns_core::probe::{self, Unmet};
use ns_core::{Child, Error, Namespaces, Refused, Result, idmap, namespace, process};

use crate::maps;
use crate::user::give_up_privilege;

/// What this machine lacks for an ordinary user to create a user namespace and map their own IDs. A child tries.
pub(crate) fn missing() -> Result<Option<Unmet>> {
    let maps = maps::root_inside();
    let child = Child::spawn("probe", Namespaces::NONE, move |me| {
        if let Err(error) = give_up_privilege() {
            let remedy = "run as an ordinary user, or as root of the machine";
            return unmet::report(me, &Unmet::new(format!("an ordinary user: {error}"), remedy));
        }
        if process::status(None)?.capeff != 0 {
            return unmet::report(
                me,
                &Unmet::new(
                    "an ordinary user: this one has capabilities",
                    "run as a user without capabilities",
                ),
            );
        }
        match namespace::unshare(Namespaces::USER).and_then(|()| maps.write_for(None)) {
            // Asked in the child, which is the user: root may be refused for other reasons.
            Err(Error::Call { call, errno }) => {
                unmet::report(me, &probe::why_refused(Refused { call, errno }, Namespaces::USER))
            }
            other => other,
        }
    })?;
    unmet::reported_by(child)
}

/// The user nobody of most systems has the IDs that unmapped ones read as, and sees no difference.
pub(crate) fn nobody() -> Result<Option<Unmet>> {
    let (overflow_uid, overflow_gid) = idmap::overflow_ids()?;
    let is_overflow = getuid().as_raw() == overflow_uid || getgid().as_raw() == overflow_gid;
    Ok(is_overflow.then(|| {
        let what = format!("a user with other IDs than the overflow IDs, {overflow_uid} and {overflow_gid}");
        Unmet::new(what, "run as another user, or as root")
    }))
}
