//! What the trials share: a namespace around both arms, and numbers that are told.

use anyhow::Result;
use ns_core::{Child, Error, Fact, Namespaces, Pid, Spawn, Value, Witness, process};

/// Runs `body` as the init of a PID namespace around the whole trial. It is owned by the stage, so that an ordinary user
/// may come back to it; and it takes every orphan along when it ends.
pub(crate) fn in_a(body: impl FnOnce(&mut Witness) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    // The trial's own namespace is no cause of anything, and stays under --sabotage too.
    let mut around = Spawn::new("A's init").namespaces_always(Namespaces::PID).run(body)?;
    Ok(around.hear_all()?)
}

/// Tells all that `child` tells, until it ends.
pub(crate) fn tell_all_of(mut child: Child, me: &mut Witness) -> ns_core::Result<()> {
    child.hear_all()?.into_iter().try_for_each(|fact| me.tell(fact))
}

/// The caller's PIDs as the procfs has them that we were started with: the number there first, then one a PID namespace
/// further down.
pub(crate) fn own_numbers() -> ns_core::Result<Value> {
    Ok(process::pids(None)?.into_iter().map(Value::Pid).collect::<Vec<_>>().into())
}

/// For a child that only has to be there: tells its numbers, and stays.
pub(crate) fn tell_numbers_and_stay(me: &mut Witness) -> ns_core::Result<()> {
    me.saw("PIDs", own_numbers()?)?;
    me.stay()
}

/// The number that a process told of itself for the PID namespace `level` below the one that we were started in.
pub(crate) fn number(told: &Fact, level: usize) -> ns_core::Result<Pid> {
    let number = match &told.value {
        Value::List(numbers) => numbers.get(level).and_then(Value::as_i64),
        _ => None,
    };
    number.and_then(|it| i32::try_from(it).ok()).map(Pid::from_raw).ok_or_else(|| Error::Unreadable {
        what: format!("{} of {}", told.what, told.who),
        message: format!("no number of level {level} in '{}'", told.value),
    })
}
