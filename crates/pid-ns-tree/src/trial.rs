//! What the steps share: A, a PID namespace around both arms, and the report of PIDs.

use anyhow::Result;
use ns_core::{Child, Error, Fact, Namespaces, Pid, Reporter, Value, process};

/// Runs `body` as the init of A, a PID namespace around the arm. The sandbox owns A, so that an ordinary user may enter
/// it again. When the init ends, the kernel kills every orphan in A.
pub(crate) fn in_a(body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    Ok(Child::spawn("init of A", Namespaces::PID, body)?.facts()?)
}

/// Passes on all that `child` reports, until it ends.
pub(crate) fn send_all_of(mut child: Child, me: &mut Reporter) -> ns_core::Result<()> {
    child.pass_on(me)
}

/// The caller's PIDs, by the procfs of the experiment: the PID there first, then one for each PID namespace below.
pub(crate) fn own_pids() -> ns_core::Result<Value> {
    Ok(process::pids(None)?.into_iter().map(Value::Pid).collect::<Vec<_>>().into())
}

/// For a child that only needs to exist: reports its PIDs, and stays.
pub(crate) fn report_pids_and_stay(me: &mut Reporter) -> ns_core::Result<()> {
    me.report("PIDs", own_pids()?)?;
    me.stay()
}

/// The PID of a process that reported its PIDs, in the PID namespace `level` levels below that of the experiment.
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

/// Whether a value lists `count` PIDs, which are those of a process in `count` PID namespaces.
pub(crate) fn lists(count: usize) -> impl Fn(&Value) -> bool {
    move |value| matches!(value, Value::List(values) if values.len() == count)
}
