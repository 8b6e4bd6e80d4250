//! What a child and a program inherit: the same calls in a child, and after execve(2).

use ns_core::{Child, Namespaces, Reporter, Result, process};

use crate::calls::{GETPGID, OPEN_DEV_NULL, getpgid, open_dev_null};

/// The name under which a child executes this program again.
const AFTER_EXECVE: &str = "sandbox-after-execve";

/// Where the calls are made.
pub(crate) const WHERE: [&str; 2] = ["in a child", "after execve()"];

/// The child's part after execve(). Call this first in `main`.
pub(crate) fn after_execve() {
    ns_core::child::after_exec(AFTER_EXECVE, |me| report(me, WHERE[1]));
}

/// Reports in a child and, when that has ended, after execve(2).
pub(crate) fn report_in_both(me: &mut Reporter) -> Result<()> {
    Child::spawn("child", Namespaces::NONE, |me| report(me, WHERE[0]))?.pass_on(me)?;
    me.exec_again(AFTER_EXECVE).map(|never| match never {})
}

fn report(me: &mut Reporter, at: &str) -> Result<()> {
    let status = process::status(None)?;
    me.report(format!("NoNewPrivs {at}"), status.nonewprivs.unwrap_or(0) as i64)?;
    me.report(format!("Seccomp {at}"), i64::from(status.seccomp.unwrap_or(0)))?;
    me.report(format!("{GETPGID} {at}"), getpgid()?)?;
    me.report(format!("{OPEN_DEV_NULL} {at}"), open_dev_null()?)
}
