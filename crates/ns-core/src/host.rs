//! The namespaces that we were started in, and a guard in front of every call that could change them.
//!
//! Nothing is changed on the host "and put back": we may be killed in between. What would be visible outside is only
//! done once the process has left the host's namespace of that kind.

use std::sync::OnceLock;

use nix::errno::Errno;

use crate::error::{Error, Named, Result};
use observation::{Kind, NsId};

use crate::namespace::{self, Namespaces};

static STARTED_IN: OnceLock<Vec<NsId>> = OnceLock::new();

/// Remembers the caller's namespaces as the host's. The first call counts: make it first.
///
/// # Errors
/// When /proc is no procfs, or that of another PID namespace, whose numbers would be taken for ours.
pub fn remember() -> Result<()> {
    require_procfs()?;
    started_in().map(drop)
}

/// Whether /proc has numbers that mean the caller's. For who need not remember more, since all that it does it does in
/// namespaces that the kernel created for it.
///
/// # Errors
/// When /proc is no procfs, or that of another PID namespace, whose numbers would be taken for ours.
pub fn require_procfs() -> Result<()> {
    let own = std::process::id().to_string();
    let read = std::fs::read_link("/proc/self").named(|| "readlink(\"/proc/self\")".into());
    match read {
        Ok(link) if link.as_os_str() == own.as_str() => Ok(()),
        Err(error) if error.errno() != Some(Errno::ENOENT) => Err(error),
        _ => Err(Error::Input(
            "no procfs of this PID namespace is mounted at /proc: mount -t proc proc /proc (unshare(1): --mount-proc)".into(),
        )),
    }
}

/// Whether the caller has left the namespace of `kind` that it was started in. The kernel has said so where it created
/// one for the caller. Otherwise it is asked, until it says so, and again after each call that may lead back.
///
/// # Errors
/// When /proc is no procfs.
pub fn left(kind: Kind) -> Result<bool> {
    let kinds = Namespaces::only(kind);
    if namespace::is_known_to_have_left(kinds) {
        return Ok(true);
    }
    let host = started_in()?.iter().find(|id| id.kind == kind);
    let has_left = Some(&namespace::of_kind(None, kind)?) != host;
    if has_left {
        namespace::has_left(kinds);
    }
    Ok(has_left)
}

/// # Errors
/// [`Error::WouldChangeHost`] unless the caller has left the namespace of `kind` that it was started in.
pub fn require_left(kind: Kind, call: impl FnOnce() -> String) -> Result<()> {
    if left(kind)? { Ok(()) } else { Err(Error::WouldChangeHost { call: call(), kind }) }
}

fn started_in() -> Result<&'static [NsId]> {
    if let Some(ids) = STARTED_IN.get() {
        return Ok(ids);
    }
    let ids = namespace::of(None)?;
    Ok(STARTED_IN.get_or_init(|| ids))
}
