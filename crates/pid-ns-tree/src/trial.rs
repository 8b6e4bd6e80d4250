//! What the trials share: a namespace around both arms, and PIDs that are reported.

use anyhow::Result;
use ns_core::{Child, Error, Fact, Namespaces, Pid, Reporter, Value, process};

/// Runs `body` as the init of a PID namespace around the whole trial. It is owned by the sandbox, so that an ordinary
/// user may come back to it; and it takes every orphan along when it ends.
pub(crate) fn in_a(body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    Ok(Child::spawn("A's init", Namespaces::PID, body)?.facts()?)
}

/// Sends on all that `child` reports, until it ends.
pub(crate) fn send_all_of(mut child: Child, me: &mut Reporter) -> ns_core::Result<()> {
    child.pass_on(me)
}

/// The caller's PIDs as the procfs has them that we were started with: the PID there first, then one a PID namespace
/// further down.
pub(crate) fn own_pids() -> ns_core::Result<Value> {
    Ok(process::pids(None)?.into_iter().map(Value::Pid).collect::<Vec<_>>().into())
}

/// For a child that only has to be there: reports its PIDs, and stays.
pub(crate) fn report_pids_and_stay(me: &mut Reporter) -> ns_core::Result<()> {
    me.report("PIDs", own_pids()?)?;
    me.stay()
}

/// The PID of a process that reported its PIDs, in the PID namespace `level` below the one that we were started in.
pub(crate) fn pid_of(pids: &Fact, level: usize) -> ns_core::Result<Pid> {
    let pid = match &pids.value {
        Value::List(pids) => pids.get(level).and_then(Value::as_i64),
        _ => None,
    };
    pid.and_then(|it| i32::try_from(it).ok()).map(Pid::from_raw).ok_or_else(|| Error::Unreadable {
        what: format!("{} of {}", pids.what, pids.who),
        message: format!("no PID of level {level} in '{}'", pids.value),
    })
}

/// Whether a value lists as many as `count`: of a process, its PIDs in as many PID namespaces.
pub(crate) fn lists(count: usize) -> impl Fn(&Value) -> bool {
    move |value| matches!(value, Value::List(values) if values.len() == count)
}
