//! Whether a process may be traced, and what is to be done if not: ptrace(2), "Ptrace access mode checking".

use std::fs;

use anyhow::{Result, anyhow, ensure};
use nix::unistd::Pid;

/// The file of Yama, where the kernel has it.
const SCOPE: &str = "/proc/sys/kernel/yama/ptrace_scope";

/// Requires that `process` is there, is no thread, is not traced, and is not ours.
///
/// # Errors
/// One line, with the remedy.
pub(crate) fn require(process: Pid) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.map_err(|_| anyhow!("there is no process {process}: pgrep finds one by its name"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim).and_then(|value| value.split_whitespace().next()).map(str::to_string)
    };
    let leader = field("Tgid:").unwrap_or_default();
    ensure!(leader == process.to_string(), "{process} is a thread of process {leader}: -p {leader}");
    ensure!(
        process != nix::unistd::getpid(),
        "{process} is ns-trace itself, which cannot be traced by itself"
    );
    ensure!(
        own_tracer().as_deref() != Some(leader.as_str()),
        "process {process} traces ns-trace itself, and the two would wait for each other: leave it out"
    );
    ensure!(
        field("Kthread:").as_deref() != Some("1"),
        "{process} is a thread of the kernel, which cannot be traced"
    );
    ensure!(
        field("State:").as_deref() != Some("Z"),
        "process {process} has ended, and its parent has not waited for it"
    );
    let tracer = field("TracerPid:").filter(|pid| pid != "0");
    if let Some(tracer) = tracer {
        let name = fs::read_to_string(format!("/proc/{tracer}/comm")).unwrap_or_default();
        return Err(anyhow!(
            "process {process} is traced by process {tracer} ({}), and only one may: end that first",
            name.trim_end()
        ));
    }
    Ok(())
}

/// Who traces this process.
fn own_tracer() -> Option<String> {
    own("TracerPid:").filter(|pid| pid != "0")
}

/// Whether this process is behind a seccomp filter.
fn is_behind_filter() -> bool {
    own("Seccomp:").as_deref() == Some("2")
}

/// A field of what /proc says of this process (proc_pid_status(5)).
fn own(name: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix(name))?.trim().to_string())
}

/// What a refusal of `call` means. What forbids it for all is looked at first.
pub(crate) fn refused(call: &str, errno: &str) -> anyhow::Error {
    let scope = fs::read_to_string(SCOPE).unwrap_or_default();
    let remedy = match (errno, scope.trim()) {
        ("EPERM", "3") => format!("{SCOPE} is 3, which forbids it until the next boot"),
        ("EPERM", "2") => format!("{SCOPE} is 2, which leaves it to CAP_SYS_PTRACE: try as root"),
        ("EPERM", "1") => {
            format!("{SCOPE} is 1, which leaves it to ancestors: try as root, or write 0 to it")
        }
        ("EPERM", _) if own_tracer().is_some() => {
            format!(
                "ns-trace itself is traced, by process {}, which has all that it starts",
                own_tracer().unwrap_or_default()
            )
        }
        ("EPERM", _) if is_behind_filter() => {
            "ns-trace is behind a seccomp filter, which may refuse it: try outside of the container".into()
        }
        ("EPERM", _) => "it is another user's, or more privileged: try as root".into(),
        ("ESRCH", _) => "it has ended".into(),
        ("EIO" | "ENOSYS", _) => "this kernel or a seccomp filter has no ptrace() for us".into(),
        _ => "it cannot be traced".into(),
    };
    anyhow!("{call}: {errno}: {remedy}")
}
