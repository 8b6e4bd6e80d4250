//! The cgroups that the steps make, and the processes in them.

use anyhow::{Context, Result};
use lesson::Requirement;
use nix::unistd::gettid;
use ns_core::cgroup::{self, Cgroup, CgroupParent, CgroupRequest};
use ns_core::{Child, Error, Named, Namespaces, Pid, Reporter, Value};

/// A v2 cgroup in which others can be made, whatever its controllers.
pub(crate) const A_PARENT: Requirement = Requirement::CgroupParent(CgroupRequest::AnyV2);

/// A new cgroup, with a child of its own.
pub(crate) fn with_child(parent: &CgroupParent) -> Result<(Cgroup, Cgroup)> {
    let top = parent.create("top")?;
    let child = top.child(&"child".parse()?)?;
    Ok((top, child))
}

pub(crate) fn start_idle(label: &str) -> ns_core::Result<Child> {
    Child::spawn(label, Namespaces::NONE, Reporter::stay)
}

/// An idle process in a cgroup.
pub(crate) fn start_in(cgroup: &Cgroup, label: &str) -> ns_core::Result<Child> {
    let child = start_idle(label)?;
    cgroup.join(child.pid())?;
    Ok(child)
}

/// A process with a second thread, and that thread's ID.
pub(crate) fn start_two_threads() -> Result<(Child, Pid)> {
    let mut process = Child::spawn("process", Namespaces::NONE, |me| {
        let (sender, receiver) = std::sync::mpsc::channel();
        // It ends with the process, which ends by _exit().
        let thread = std::thread::Builder::new().spawn(move || {
            let _ = sender.send(gettid());
            loop {
                std::thread::park();
            }
        });
        thread.named(|| "clone(CLONE_THREAD)".into())?;
        let thread = receiver.recv().map_err(|error| Error::Input(error.to_string()))?;
        me.report("its second thread", thread)?;
        me.stay()
    })?;
    let thread = process.fact()?.value.as_i64().context("a thread ID")?;
    Ok((process, Pid::from_raw(i32::try_from(thread)?)))
}

/// The path of a thread's cgroup, seen from `top`: `top`, `top/child`, or `elsewhere`.
///
/// `hierarchy` begins its line of /proc/PID/cgroup from the second colon field on: empty for v2.
pub(crate) fn seen_from(top: &Cgroup, hierarchy: &str, thread: Pid) -> Result<Value> {
    // A thread is found in /proc by its ID, though it is not listed there.
    let path = cgroup::path_of(Some(thread), hierarchy)?;
    let name = top.path().file_name().unwrap_or_default().to_string_lossy();
    let below = path.as_deref().and_then(|path| path.split_once(&*name)).map(|(_, below)| below);
    Ok(below.map_or("elsewhere".into(), |below| format!("top{below}")).into())
}
