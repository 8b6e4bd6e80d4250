//! Programs that report what execve(2) has given to them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lesson::Requirement;
use ns_core::child::become_program;
use ns_core::mount::{Restriction, Tree};
use ns_core::{
    Capability, Child, Error, ExitStatus, Message, Named, Namespaces, Outcome, Result, capabilities, probe,
    process,
};

/// The path of a program whose file gives something, on a filesystem of its own.
pub(crate) const PROGRAM: &str = "/mnt/program";
/// The fact that the program reports.
pub(crate) const NET_RAW: &str = "CAP_NET_RAW after execve()";

/// The name under which this program ends with its privileges as its exit status. It sends no report by a pipe: an
/// execve(2) that gives privileges also clears PR_SET_PDEATHSIG, so the program must end at once.
const PRIVILEGES: &str = "sandbox-privileges";

/// The exit status of an answer has this bit, so another failure cannot be taken for one.
const ANSWER: i32 = 64;
const ROOT_BIT: i32 = 1;
const NET_RAW_BIT: i32 = 2;
const SYS_ADMIN_BIT: i32 = 4;

/// The privileges of a program after execve(2).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Privileges(i32);

impl Privileges {
    /// Its effective user ID is 0.
    pub(crate) fn is_root(self) -> bool {
        self.0 & ROOT_BIT != 0
    }

    /// CAP_NET_RAW is effective.
    pub(crate) fn net_raw(self) -> bool {
        self.0 & NET_RAW_BIT != 0
    }

    /// CAP_SYS_ADMIN is effective.
    pub(crate) fn sys_admin(self) -> bool {
        self.0 & SYS_ADMIN_BIT != 0
    }
}

/// Ends with the privileges as the exit status, if this program was executed for that. Call this first in `main`.
pub(crate) fn end_with_privileges() {
    if std::env::args_os().next().is_none_or(|name| name != PRIVILEGES) {
        return;
    }
    let bit = |is: bool, bit| if is { bit } else { 0 };
    let root = bit(nix::unistd::geteuid().is_root(), ROOT_BIT);
    let net_raw = bit(process::is_capable(Capability::CAP_NET_RAW), NET_RAW_BIT);
    let sys_admin = bit(process::is_capable(Capability::CAP_SYS_ADMIN), SYS_ADMIN_BIT);
    std::process::exit(ANSWER | root | net_raw | sys_admin);
}

/// The privileges of a child that runs `before`, and then executes `path`, which is this program. If execve() fails,
/// its result instead.
pub(crate) fn executed(
    path: &Path,
    before: impl FnOnce() -> Result<()>,
) -> Result<std::result::Result<Privileges, Outcome>> {
    let mut child = Child::spawn("program", Namespaces::NONE, |me| {
        before()?;
        let refused = become_program(path, [PRIVILEGES]).map(|never| match never {});
        me.report("execve()", Outcome::of(refused)?)
    })?;
    match child.recv()? {
        Message::Exited(ExitStatus::Exited(status)) if status & ANSWER != 0 => Ok(Ok(Privileges(status))),
        Message::Fact(fact) => match fact.value.as_outcome() {
            Some(outcome) => Ok(Err(outcome)),
            None => Err(Error::Input(format!("execve(): {}", fact.value))),
        },
        other => Err(Error::Input(format!("the program after execve(): {other:?}"))),
    }
}

/// As [`executed`], where execve() must succeed.
pub(crate) fn privileges(path: &Path, before: impl FnOnce() -> Result<()>) -> Result<Privileges> {
    executed(path, before)?
        .map_err(|answer| Error::Input(format!("execve(\"{}\"): {answer}", path.display())))
}

/// Memory for a copy of this program in a tmpfs.
pub(crate) const ROOM: Requirement = Requirement::Probe(|| {
    let program = fs::metadata("/proc/self/exe").named(|| "stat(\"/proc/self/exe\")".into())?;
    probe::memory(usize::try_from(program.len()).unwrap_or(usize::MAX / 4) * 5 / 4 + (8 << 20))
});

/// Copies this program to a new tmpfs with these restrictions, and gives its file CAP_NET_RAW.
pub(crate) fn put(restrictions: &[Restriction]) -> Result<()> {
    let path = Path::new(PROGRAM);
    let tmpfs = Tree::new_filesystem("tmpfs", &[("mode", "755")], restrictions)?;
    tmpfs.attach(Path::new("/mnt"))?;
    fs::copy("/proc/self/exe", path).named(|| format!("cp /proc/self/exe {PROGRAM}"))?;
    fs::set_permissions(path, Permissions::from_mode(0o755)).named(|| format!("chmod 755 {PROGRAM}"))?;
    capabilities::give_to_file(path, Capability::CAP_NET_RAW)
}

/// Gives up all capabilities, and the special treatment of user ID 0. Then only the program's file can give some.
pub(crate) fn give_up_all() -> Result<()> {
    capabilities::forget_root()?;
    process::drop_all_capabilities()
}
