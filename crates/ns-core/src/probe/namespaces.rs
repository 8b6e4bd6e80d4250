//! Which namespaces can be made here.

use std::path::Path;

use observation::{Kind, Outcome};

use super::why_refused;
use crate::child::Child;
use crate::error::Result;
use crate::namespace::Namespaces;
use crate::unmet::Unmet;
use crate::{mount, sandbox};

/// Whether a [`mod@sandbox`] of `namespaces` can be entered: a child tries. `None` if so.
///
/// # Errors
/// What is no answer, such as a failing pipe.
pub fn sandbox(namespaces: Namespaces) -> Result<Option<Unmet>> {
    if namespaces.is_empty() {
        return Ok(None);
    }
    let mut child = Child::spawn("probe", Namespaces::NONE, move |me| {
        let sandbox = sandbox::enter(namespaces)?;
        me.report("entered", sandbox.namespaces.as_typed())
    })?;
    match child.fact() {
        Ok(_) => Ok(None),
        Err(error) => match error.refused() {
            Some(refused) => Ok(Some(why_refused(refused, sandbox::needed(namespaces)))),
            None => Err(error),
        },
    }
}

/// Whether this kernel has the kind of namespace. `None` if so.
pub fn kind(kind: Kind) -> Option<Unmet> {
    let has = Path::new(&format!("/proc/self/ns/{kind}")).exists();
    (!has).then_some(Unmet::Kind(kind))
}

/// Whether sysfs can be mounted from a user namespace that owns its network: the kernel wants all of /sys to be visible.
/// `None` if so.
///
/// # Errors
/// When a child could not be made.
pub fn sysfs() -> Result<Option<Unmet>> {
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        sandbox::enter(Namespaces::USER | Namespaces::MNT | Namespaces::NET)?;
        me.report("mount", Outcome::of(mount::mount("sysfs", Path::new("/sys")))?)
    })?;
    Ok(match child.fact()?.value.as_outcome() {
        Some(Outcome::Failed(errno)) => Some(Unmet::Sysfs(errno)),
        _ => None,
    })
}
