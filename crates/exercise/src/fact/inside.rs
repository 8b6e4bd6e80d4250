//! A look from inside: by a child that enters a namespace of the process.

use ns_core::{Capability, Child, Error, Kind, NsFile, Result, Value, namespace, process};
use wake::Subject;

use super::namespaces::is_ours;
use crate::seen::Seen;

/// What `look` sees as a member of the namespace of `kind` that `subject` is in. Where that is the caller's own, the
/// caller looks itself, which costs no child.
///
/// Who lacks CAP_SYS_ADMIN first enters the user namespace that owns the other: that gives it there (setns(2)).
///
/// # Errors
/// EACCES where the caller may not look at the process, EPERM where it may not enter; those of `look`.
pub(super) fn inside(subject: Subject, kind: Kind, look: impl FnOnce() -> Result<Seen>) -> Result<Seen> {
    // By the links, which is cheaper than to open both.
    if is_ours(subject, kind)? {
        return look();
    }
    inside_of(NsFile::of(Some(subject.pid), kind)?, kind, look)
}

/// As [`inside`], of a namespace that is open. Any member of it would see the same.
///
/// # Errors
/// As [`inside`].
pub(super) fn inside_of(wanted: NsFile, kind: Kind, look: impl FnOnce() -> Result<Seen>) -> Result<Seen> {
    if wanted.id()? == namespace::of_kind(None, kind)? {
        return look();
    }
    let owner = if kind == Kind::User || process::is_capable(Capability::CAP_SYS_ADMIN) {
        None
    } else {
        let owner = wanted.owner()?;
        (owner.id()? != namespace::of_kind(None, Kind::User)?).then_some(owner)
    };
    let mut visitor = Child::spawn("visitor", ns_core::Namespaces::NONE, |me| {
        if let Some(owner) = owner {
            owner.enter(Some(Kind::User))?;
        }
        wanted.enter(Some(kind))?;
        match value(look()?) {
            Some(value) => me.report("seen", value),
            None => Ok(()),
        }
    })?;
    // Facts and the end of all of them: without one it was absent.
    match visitor.facts()?.into_iter().next() {
        None => Ok(Seen::Absent),
        Some(fact) if fact.what == "seen" => seen(fact.value),
        Some(end) => Err(Error::Input(format!("who looked for us ended: {}", end.value))),
    }
}

/// As it goes through the pipe; `None` for what is absent. No look from inside reads a flag.
fn value(seen: Seen) -> Option<Value> {
    Some(match seen {
        Seen::Text(text) => Value::Text(text),
        Seen::Number(number) => Value::Number(number as i64),
        Seen::Set(words) => Value::List(words.into_iter().map(Value::Text).collect()),
        Seen::Namespace(id) => Value::Namespace(id),
        Seen::Absent | Seen::Flag(_) | Seen::Unreadable(_) => return None,
    })
}

fn seen(value: Value) -> Result<Seen> {
    Ok(match value {
        Value::Text(text) => Seen::Text(text),
        Value::Number(number) => Seen::Number(number as f64),
        Value::Namespace(id) => Seen::Namespace(id),
        Value::List(words) => Seen::Set(words.iter().filter_map(Value::as_str).map(String::from).collect()),
        other => return Err(Error::Input(format!("who looked for us said {other}"))),
    })
}
