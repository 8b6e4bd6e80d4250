//! The cgroups that the steps create, and the processes in them.

use anyhow::{Context, Result};
use lesson::Requirement;
use nix::unistd::gettid;
use ns_core::cgroup::{self, Cgroup, CgroupParent, CgroupRequest};
use ns_core::{Child, Error, Named, Namespaces, Pid, Reporter, Value};

/// A v2 cgroup in which child cgroups can be created, with any controllers.
pub(crate) const A_PARENT: Requirement = Requirement::CgroupParent(CgroupRequest::AnyV2);

/// Creates a cgroup and its child.
pub(crate) fn with_child(parent: &CgroupParent) -> Result<(Cgroup, Cgroup)> {
    let top = parent.create("top")?;
    let child = top.child(&"child".parse()?)?;
    Ok((top, child))
}

pub(crate) fn start_idle(label: &str) -> ns_core::Result<Child> {
    Child::spawn(label, Namespaces::NONE, Reporter::stay)
}

/// Starts an idle process in a cgroup.
pub(crate) fn start_in(cgroup: &Cgroup, label: &str) -> ns_core::Result<Child> {
    let child = start_idle(label)?;
    cgroup.join(child.pid())?;
    Ok(child)
}

/// Starts a process with two threads. The ID is that of the second thread.
pub(crate) fn start_two_threads() -> Result<(Child, Pid)> {
    let mut process = Child::spawn("process", Namespaces::NONE, |me| {
        let (sender, receiver) = std::sync::mpsc::channel();
        // The thread ends with the process, which calls _exit().
        let thread = std::thread::Builder::new().spawn(move || {
            let _ = sender.send(gettid());
            loop {
                std::thread::park();
            }
        });
        thread.named(|| "clone(CLONE_THREAD)".into())?;
        let thread = receiver.recv().map_err(|error| Error::Input(error.to_string()))?;
        me.report("second thread", thread)?;
        me.stay()
    })?;
    let thread = process.fact()?.value.as_i64().context("a thread ID")?;
    Ok((process, Pid::from_raw(i32::try_from(thread)?)))
}

/// The path of a thread's cgroup relative to `top`: `top`, `top/child`, or `elsewhere`.
///
/// `hierarchy` is the second field of the line in /proc/PID/cgroup: empty for v2.
pub(crate) fn path_from(top: &Cgroup, hierarchy: &str, thread: Pid) -> Result<Value> {
    // /proc/TID exists for every thread, although /proc lists only processes.
    let path = cgroup::path_of(Some(thread), hierarchy)?;
    let name = top.path().file_name().unwrap_or_default().to_string_lossy();
    let below = path.as_deref().and_then(|path| path.split_once(&*name)).map(|(_, below)| below);
    Ok(below.map_or("elsewhere".into(), |below| format!("top{below}")).into())
}
