//! Set-user-ID programs. They need two users, and only root can map two.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Requirement};
use ns_core::idmap::{Extent, IdMap, IdMaps};
use ns_core::{Capability, Child, Fact, Named, Namespaces, Spawn, mount, process};

use crate::program::{self, PROGRAM};
use crate::user::{can_gain, no_new_privs};

/// The first of two user IDs on the host for users 0 and 1 of Y. They belong to no user.
const FIRST: u32 = 64_321;
pub(crate) const ROOT_AFTER: &str = "effective user ID 0 after execve()";

const TWO_USERS: &[Requirement] = &[
    Requirement::Capability(Capability::CAP_SETUID),
    Requirement::Capability(Capability::CAP_SETGID),
    Requirement::Probe(can_gain),
    program::ROOM,
];

pub(crate) const IGNORED: Claim =
    Claim::holds("set-user-id", "With no_new_privs, execve() ignores the set-user-ID bit.")
        .factor("PR_SET_NO_NEW_PRIVS")
        .more(&[127])
        .requires(TWO_USERS);

/// Executes a set-user-ID program of user 0, as user 1 of Y, a user namespace with two users.
pub(crate) fn execute(sets: bool) -> Result<Vec<Fact>> {
    let both = || IdMap::new(vec![Extent { inside: 0, outside: FIRST, length: 2 }]);
    let maps = IdMaps { users: both()?, groups: both()?, deny_setgroups: false };
    let spawn = Spawn::new("root of Y").namespaces(Namespaces::USER | Namespaces::MNT).maps(maps);
    let mut child: Child = spawn.run(move |me| {
        process::become_root()?;
        mount::make_private()?;
        program::put(&[])?;
        fs::set_permissions(PROGRAM, Permissions::from_mode(0o4755))
            .named(|| format!("chmod 4755 {PROGRAM}"))?;
        let found = program::privileges(Path::new(PROGRAM), || {
            process::become_user(1)?;
            no_new_privs(sets)
        })?;
        me.report(ROOT_AFTER, found.is_root())
    })?;
    Ok(child.facts()?)
}
