//! The namespaces of one process.

use std::path::Path;

use anyhow::{Result, bail};
use ns_core::{Errno, NsId, Pid, namespace};

/// The namespaces that the process `pid` of the procfs at `proc` is in.
///
/// # Errors
/// One line with a remedy, when there is no such process, or the caller may not look at it.
pub fn of_process(proc: &Path, pid: i32) -> Result<Vec<NsId>> {
    match namespace::of_under(proc, Some(Pid::from_raw(pid))) {
        Ok(found) => Ok(found),
        Err(error) if error.is_no_process() => {
            bail!("there is no process {pid} in {}: ps -e lists those that there are", proc.display())
        }
        Err(error) if matches!(error.errno(), Some(Errno::EACCES | Errno::EPERM)) => {
            bail!("the namespaces of process {pid} are not yours to see: sudo ns-map --pid {pid} shows them")
        }
        Err(error) => Err(error.into()),
    }
}
