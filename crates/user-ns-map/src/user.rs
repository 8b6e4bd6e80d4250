//! Who acts: an ordinary user, or root as long as it is asked as root.

use nix::unistd::{getgid, getuid};
use ns_core::{Child, Namespaces, Reporter, Result, namespace, process};

/// The user that root becomes. It needs no entry in /etc/passwd.
const ORDINARY: u32 = 1000;

/// Who acts outside of the namespaces under test.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum User {
    /// Without any privilege.
    Ordinary,
    /// With all that the experiment was started with.
    Root,
}

impl User {
    /// A child of this user, which has moved into new `namespaces`, and then does what `body` says.
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
    /// A user that it is not.
    pub(crate) other: u32,
}

/// To be asked outside: in a new user namespace nobody has an ID yet.
pub(crate) fn ids() -> Ids {
    let (uid, gid) =
        if getuid().is_root() { (ORDINARY, ORDINARY) } else { (getuid().as_raw(), getgid().as_raw()) };
    Ids { uid, gid, other: if uid == ORDINARY { ORDINARY + 1 } else { ORDINARY } }
}

pub(crate) fn give_up_privilege() -> Result<()> {
    if getuid().is_root() { process::become_user(ORDINARY) } else { Ok(()) }
}
