//! What an ordinary user needs, and helpers for root of Z. Z is a user namespace of that user, in the place of the
//! initial one.

use lesson::unmet;
use lesson::user::ORDINARY;
use nix::unistd::getuid;
use ns_core::idmap::IdMaps;
use ns_core::probe::{self, Unmet};
use ns_core::{Child, Error, Namespaces, Refused, Value, capabilities, process, sandbox};

/// Maps root to root, if the caller has moved into a new user namespace.
pub(crate) fn stay_root(moved_to: Namespaces) -> ns_core::Result<()> {
    if moved_to.contains(Namespaces::USER) { IdMaps::own(0, 0, 0).write_for(None) } else { Ok(()) }
}

/// A set of capabilities as a value. Kernels differ in how many there are.
pub(crate) fn set(mask: u64) -> ns_core::Result<Value> {
    Ok(match mask {
        0 => "none".into(),
        mask if mask == capabilities::all()? => "all".into(),
        mask => format!("{} of them", mask.count_ones()).into(),
    })
}

/// What this machine lacks for an ordinary user to be root in a user namespace. A child tries.
pub(crate) fn ordinary_user() -> ns_core::Result<Option<Unmet>> {
    let child = Child::spawn("probe", Namespaces::NONE, |me| {
        if getuid().is_root() {
            if let Err(error) = process::become_user(ORDINARY) {
                let remedy = "run as an ordinary user, or as root of the machine";
                return unmet::report(me, &Unmet::new(format!("an ordinary user: {error}"), remedy));
            }
        }
        if process::status(None)?.capeff != 0 {
            let missing =
                Unmet::new("an ordinary user: this one has capabilities", "run as a user without them");
            return unmet::report(me, &missing);
        }
        match sandbox::enter(Namespaces::USER) {
            Err(Error::Call { call, errno }) => {
                unmet::report(me, &probe::why_refused(Refused { call, errno }, Namespaces::USER))
            }
            other => other.map(drop),
        }
    })?;
    unmet::reported_by(child)
}
