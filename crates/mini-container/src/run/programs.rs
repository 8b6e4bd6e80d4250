//! The programs that a container may execute: those of its root filesystem, and what is mounted in it.
//!
//! In a container, a script with `#!/proc/self/exe` makes the kernel execute the program that starts it: this one, a file
//! of the host. Then the container's root can open it by /proc/PID/exe, and write to it if the user outside may
//! (CVE-2019-5736). So a Landlock ruleset refuses to execute files outside of the container's root. No other process
//! leads to this program: /proc/1/exe is closed, since init is not dumpable ([`super::init`]).
//!
//! Where the kernel has no Landlock, this program executes a sealed copy of itself instead ([`super::sealed`]).

use std::path::Path;

use ns_core::landlock::{self, FileAccess, Ruleset};
use ns_core::{Error, Result};

use super::sealed;

/// What the ruleset handles. One that does not handle REFER refuses to rename a file from one directory to another.
const HANDLED: FileAccess = FileAccess::EXECUTE.union(FileAccess::REFER);

/// The first version of Landlock that has REFER.
const WITH_REFER: i64 = 2;

/// To be called first in the launcher: executes a sealed copy of this program, if the kernel has no Landlock.
pub(super) fn prepare() -> anyhow::Result<()> {
    if can_be_limited() { Ok(()) } else { sealed::become_a_copy() }
}

/// Limits this process and its descendants to the programs below the root directory. Needs no_new_privs or CAP_SYS_ADMIN.
///
/// # Errors
/// Those of landlock_restrict_self(2): E2BIG for a 17th ruleset.
pub(super) fn limit_to_root() -> Result<()> {
    if can_be_limited() {
        let rules = Ruleset::of_files(HANDLED)?;
        rules.allow(Path::new("/"), HANDLED)?;
        return rules.restrict_self();
    }
    if sealed::is_copy() {
        return Ok(());
    }
    Err(Error::Input("this program is no sealed copy, and there is no Landlock; run it again".into()))
}

fn can_be_limited() -> bool {
    landlock::abi().is_ok_and(|version| version >= WITH_REFER)
}
