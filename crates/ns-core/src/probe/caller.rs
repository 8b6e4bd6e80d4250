//! What the caller has: privilege, programs, nobody who traces it.

use crate::error::Result;
use crate::process;
use crate::unmet::Unmet;

/// Whether the caller has a capability in its effective set. `None` if so.
pub fn capability(capability: caps::Capability) -> Option<Unmet> {
    (!process::is_capable(capability)).then_some(Unmet::Capability(capability))
}

/// Whether the caller runs by itself. Under strace(1) or a debugger the kernel reports signals to the tracer first.
/// Those that the init of a PID namespace does not handle are not dropped then. `None` if nobody traces it.
///
/// # Errors
/// When /proc is no procfs.
pub fn untraced() -> Result<Option<Unmet>> {
    let tracer = process::status(None)?.tracerpid;
    Ok((tracer != 0).then_some(Unmet::Untraced))
}

/// Whether a program can be found on PATH. `None` if so.
pub fn program(name: &str) -> Option<Unmet> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    (!found).then(|| Unmet::Program(name.into()))
}
