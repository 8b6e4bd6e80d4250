//! An ordinary user, and Z: a user namespace of theirs that stands in for the machine's own.

use anyhow::Result;
use nix::unistd::getuid;
use ns_core::idmap::IdMaps;
use ns_core::probe::{self, Missing};
use ns_core::{Child, Error, Fact, Namespaces, Value, Witness, capabilities, process, stage};

/// The user that root becomes. It needs no entry in /etc/passwd.
const ORDINARY: u32 = 1000;

/// A child without any privilege.
pub(crate) fn as_user(
    label: &str,
    body: impl FnOnce(&mut Witness) -> ns_core::Result<()>,
) -> ns_core::Result<Child> {
    Child::spawn(label, Namespaces::NONE, move |me| {
        if getuid().is_root() {
            process::become_user(ORDINARY)?;
        }
        body(me)
    })
}

/// Runs `body` as root of Z, which owns new `namespaces`, and gives what it tells. Z surrounds both arms alike, under
/// --sabotage too: so nothing can be done to the machine, and an arm without a cause has what an arm with it starts from.
pub(crate) fn in_z(
    namespaces: Namespaces,
    body: impl FnOnce(&mut Witness) -> ns_core::Result<()>,
) -> Result<Vec<Fact>> {
    let mut child = as_user("root of Z", move |me| {
        stage::enter(Namespaces::USER | namespaces)?;
        body(me)
    })?;
    Ok(child.hear_all()?)
}

/// For a process that was root where it was, and may have moved into a new user namespace: it is root there too.
pub(crate) fn stay_root(moved_to: Namespaces) -> ns_core::Result<()> {
    if moved_to.contains(Namespaces::USER) { IdMaps::own(0, 0, 0).write_for(None) } else { Ok(()) }
}

/// Tells all that `child` tells, until it ends.
pub(crate) fn tell_all_of(mut child: Child, me: &mut Witness) -> ns_core::Result<()> {
    child.hear_all()?.into_iter().try_for_each(|fact| me.tell(fact))
}

/// A set of capabilities as a value: how many there are differs from kernel to kernel.
pub(crate) fn set(mask: u64) -> ns_core::Result<Value> {
    Ok(match mask {
        0 => "none".into(),
        mask if mask == capabilities::all()? => "all".into(),
        mask => format!("{} of them", mask.count_ones()).into(),
    })
}

/// What this machine lacks for an ordinary user to be root in a user namespace: a child tries.
pub(crate) fn ordinary_user() -> ns_core::Result<Option<Missing>> {
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        if getuid().is_root() {
            if let Err(error) = process::become_user(ORDINARY) {
                let remedy = "run as an ordinary user, or as root of the machine";
                return tell_missing(me, Missing::new(format!("an ordinary user: {error}"), remedy));
            }
        }
        if process::status(None)?.capeff != 0 {
            let missing = Missing::new("an ordinary user: this one has capabilities", "run as another");
            return tell_missing(me, missing);
        }
        match stage::enter(Namespaces::USER) {
            Err(Error::Call { call, errno }) => {
                tell_missing(me, probe::why_refused(&call, errno, Namespaces::USER))
            }
            other => other.map(drop),
        }
    })?;
    missing_as_told(&mut child)
}

/// A probing child's answer, if something is missing. See [`missing_as_told`].
pub(crate) fn tell_missing(me: &mut Witness, missing: Missing) -> ns_core::Result<()> {
    me.saw("missing", missing.what)?;
    me.saw("remedy", missing.remedy)
}

/// What a probing child found missing; nothing if it ends without a word.
pub(crate) fn missing_as_told(child: &mut Child) -> ns_core::Result<Option<Missing>> {
    let told = child.hear_all()?;
    let find =
        |what: &str| told.iter().find(|fact: &&Fact| fact.what == what).map(|fact| fact.value.to_string());
    Ok(find("missing").map(|what| Missing::new(what, find("remedy").unwrap_or_default())))
}
