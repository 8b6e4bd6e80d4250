//! The sandbox: namespaces in which a whole experiment runs, so that even its control, which has no namespace of its
//! own, changes nothing on the host.

use std::sync::OnceLock;

use nix::unistd::{getgid, getuid};

use crate::error::Result;
use crate::idmap::IdMaps;
use crate::namespace::{self, Namespaces, NsFile};
use crate::{host, mount, process};

/// The namespaces that were left for the sandbox. If we were their only member, they would end with that, and one of
/// our own children's namespaces could get the inode number of the host's. [`host::left`] would take it for that.
static LEFT: OnceLock<Vec<NsFile>> = OnceLock::new();

/// Where the experiment went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sandbox {
    /// The namespaces that it made for itself.
    pub namespaces: Namespaces,
    /// Its user ID on the host. In a user namespace of its own it is 0 there.
    pub uid: u32,
}

/// Moves the caller into new `namespaces`, and into a new user namespace too if it lacks CAP_SYS_ADMIN.
///
/// PID and time namespaces take in the caller's next children. In a new mount namespace all mounts are private.
/// `USER` among `namespaces` asks for a user namespace in any case.
///
/// # Errors
/// EPERM or ENOSPC where user namespaces are off: [`crate::probe::why_refused`] says by what.
pub fn enter(namespaces: Namespaces) -> Result<Sandbox> {
    host::remember()?;
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    let namespaces = needed(namespaces);
    if namespaces.is_empty() {
        return Ok(Sandbox { namespaces, uid });
    }
    let left = namespaces.kinds().map(|kind| NsFile::of(None, kind)).collect::<Result<_>>()?;
    LEFT.get_or_init(|| left);
    namespace::unshare(namespaces)?;
    if namespaces.contains(Namespaces::USER) {
        IdMaps::own(0, uid, gid).write_for(None)?;
    }
    if namespaces.contains(Namespaces::MNT) {
        mount::make_private()?;
    }
    Ok(Sandbox { namespaces, uid })
}

/// What [`enter`] makes when asked for `namespaces`.
pub fn needed(namespaces: Namespaces) -> Namespaces {
    let privileged = process::is_capable(caps::Capability::CAP_SYS_ADMIN);
    if namespaces.is_empty() || privileged { namespaces } else { namespaces | Namespaces::USER }
}
