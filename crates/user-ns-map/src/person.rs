//! Who acts: an ordinary user, or root as long as it is asked as root.

use nix::unistd::{getgid, getuid};
use ns_core::idmap::IdMaps;
use ns_core::probe::{self, Missing};
use ns_core::{Child, Error, Fact, Kind, Namespaces, Result, Value, Witness, host, namespace, process};

/// The user that root becomes. It needs no entry in /etc/passwd.
const ORDINARY: u32 = 1000;

/// An actor outside of the namespaces under test.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Person {
    /// Without any privilege.
    User,
    /// With all that the experiment was started with.
    Root,
}

impl Person {
    /// A child that is this person, has moved into new `namespaces`, and then does what `body` says.
    pub(crate) fn child(
        self,
        label: &str,
        namespaces: Namespaces,
        body: impl FnOnce(&mut Witness) -> Result<()>,
    ) -> Result<Child> {
        Child::spawn(label, Namespaces::NONE, move |me| {
            if self == Person::User {
                give_up_privilege()?;
            }
            namespace::unshare(namespaces)?;
            body(me)
        })
    }
}

/// The numbers of an ordinary user outside.
#[derive(Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// A user that it is not.
    pub(crate) other: u32,
}

/// To be asked outside: in a new user namespace nobody has numbers yet.
pub(crate) fn ids() -> Ids {
    let (uid, gid) =
        if getuid().is_root() { (ORDINARY, ORDINARY) } else { (getuid().as_raw(), getgid().as_raw()) };
    Ids { uid, gid, other: if uid == ORDINARY { ORDINARY + 1 } else { ORDINARY } }
}

/// The one line that an ordinary user may write to uid_map.
pub(crate) fn own_id() -> String {
    format!("0 {} 1\n", ids().uid)
}

/// Maps by which the ordinary user is root inside.
pub(crate) fn root_inside() -> IdMaps {
    IdMaps::own(0, ids().uid, ids().gid)
}

/// Writes maps for the caller if it has moved into a user namespace. Where it has not, there is nothing to be mapped.
pub(crate) fn map_where_new(maps: &IdMaps) -> Result<()> {
    if host::left(Kind::User)? { maps.write_for(None) } else { Ok(()) }
}

/// Tells all that `child` tells, until it ends.
pub(crate) fn tell_all_of(mut child: Child, me: &mut Witness) -> Result<()> {
    child.hear_all()?.into_iter().try_for_each(|fact| me.tell(fact))
}

/// An ID as a value: 0 and the overflow ID are the same everywhere, the others are this machine's users.
pub(crate) fn id(number: u32) -> Value {
    match number {
        0..=99 | 65534 => number.into(),
        user => Value::Name(user.to_string()),
    }
}

/// A map of one line as a value: inside, outside, how many.
pub(crate) fn map(text: &str) -> Value {
    let numbers: Vec<u32> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
    match numbers.as_slice() {
        [inside, outside, length] => vec![id(*inside), id(*outside), (*length).into()].into(),
        _ if text.is_empty() => "empty".into(),
        _ => text.into(),
    }
}

/// As a bit mask: those up to /proc/sys/kernel/cap_last_cap.
pub(crate) fn all_capabilities() -> Result<u64> {
    let path = "/proc/sys/kernel/cap_last_cap";
    let unreadable = |message: String| Error::Unreadable { what: path.into(), message };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let last: u32 = text.trim().parse().map_err(|_| unreadable(format!("no number: {text:?}")))?;
    Ok(u64::MAX >> (63 - last.min(63)))
}

/// What this machine lacks for an ordinary user to make a user namespace and map itself: a child tries.
pub(crate) fn ordinary_user() -> Result<Option<Missing>> {
    let maps = root_inside();
    let mut child = Child::spawn("probe", Namespaces::NONE, move |me| {
        if let Err(error) = give_up_privilege() {
            let remedy = "run as an ordinary user, or as root of the machine";
            return tell_missing(me, Missing::new(format!("an ordinary user: {error}"), remedy));
        }
        if process::status(None)?.capeff != 0 {
            return tell_missing(
                me,
                Missing::new("an ordinary user: this one has capabilities", "run as another"),
            );
        }
        match namespace::unshare(Namespaces::USER).and_then(|()| maps.write_for(None)) {
            // Asked here, where we are the user: what stops root is something else.
            Err(Error::Call { call, errno }) => {
                tell_missing(me, probe::why_refused(&call, errno, Namespaces::USER))
            }
            other => other,
        }
    })?;
    missing_as_told(&mut child)
}

/// A probing child's answer, if something is missing. See [`missing_as_told`].
pub(crate) fn tell_missing(me: &mut Witness, missing: Missing) -> Result<()> {
    me.saw("missing", missing.what)?;
    me.saw("remedy", missing.remedy)
}

/// What a probing child found missing; nothing if it ends without a word.
pub(crate) fn missing_as_told(child: &mut Child) -> Result<Option<Missing>> {
    let told = child.hear_all()?;
    let find =
        |what: &str| told.iter().find(|fact: &&Fact| fact.what == what).map(|fact| fact.value.to_string());
    Ok(find("missing").map(|what| Missing::new(what, find("remedy").unwrap_or_default())))
}

fn give_up_privilege() -> Result<()> {
    if getuid().is_root() { process::become_user(ORDINARY) } else { Ok(()) }
}
