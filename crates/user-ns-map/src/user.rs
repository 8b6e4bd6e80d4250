//! The user of an arm: an ordinary user, or root if root runs the experiment.

use nix::unistd::{getgid, getuid};
use ns_core::{Child, Namespaces, Reporter, Result, namespace, process};

/// The user that root becomes. It needs no entry in /etc/passwd.
const ORDINARY: u32 = 1000;

/// The user that acts outside of the namespaces under test.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum User {
    /// Without any privilege.
    Ordinary,
    /// With the privileges that the experiment was started with.
    Root,
}

impl User {
    /// A child of this user that creates `namespaces` by unshare(), and then runs `body`.
    pub(crate) fn child(
        self,
        label: &str,
        namespaces: Namespaces,
        body: impl FnOnce(&mut Reporter) -> Result<()>,
    ) -> Result<Child> {
        Child::spawn(label, Namespaces::NONE, move |me| {
            if self == User::Ordinary {
                give_up_privilege()?;
            }
            namespace::unshare(namespaces)?;
            body(me)
        })
    }
}

/// The IDs of the ordinary user outside.
#[derive(Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The ID of another user.
    pub(crate) other: u32,
}

/// The IDs outside. Call this before unshare(): in a new user namespace, no ID is mapped.
pub(crate) fn ids() -> Ids {
    let (uid, gid) =
        if getuid().is_root() { (ORDINARY, ORDINARY) } else { (getuid().as_raw(), getgid().as_raw()) };
    Ids { uid, gid, other: if uid == ORDINARY { ORDINARY + 1 } else { ORDINARY } }
}

pub(crate) fn give_up_privilege() -> Result<()> {
    if getuid().is_root() { process::become_user(ORDINARY) } else { Ok(()) }
}
