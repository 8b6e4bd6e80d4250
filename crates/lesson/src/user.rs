//! An ordinary user, and Z: a user namespace of theirs, in which they are root.

use std::sync::OnceLock;

use anyhow::Result;
use nix::unistd::getuid;
use ns_core::{Child, Fact, Namespaces, Outcome, Reporter, capabilities, process, sandbox};

/// The user that root becomes. It needs no entry in /etc/passwd.
pub const ORDINARY: u32 = 1000;

/// A child called `label` without any capability: an ordinary user if we are root and can become one, else who we are.
///
/// # Errors
/// Those of [`Child::spawn`].
pub fn as_user(
    label: &str,
    body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>,
) -> ns_core::Result<Child> {
    let leaves = has_an_ordinary_user()?;
    Child::spawn(label, Namespaces::NONE, move |me| {
        if leaves {
            process::become_user(ORDINARY)?;
        } else if getuid().is_root() && capabilities::own()?.effective != 0 {
            // Or execve() would give it all back.
            capabilities::forget_root()?;
        }
        if capabilities::own()?.permitted != 0 {
            process::drop_all_capabilities()?;
        }
        body(me)
    })
}

/// What [`as_user`] reports until it ends.
///
/// # Errors
/// As there, and when the child gives up.
pub fn by_a_user(body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    Ok(as_user("user", body)?.facts()?)
}

/// A child that is root of Z, which owns new `namespaces`. Z surrounds both arms alike: so nothing can be done to the
/// machine, and the control has what the treatment starts from.
///
/// # Errors
/// Those of [`Child::spawn`].
pub fn root_of_z(
    namespaces: Namespaces,
    body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>,
) -> ns_core::Result<Child> {
    let leaves = has_an_ordinary_user()?;
    Child::spawn("root of Z", Namespaces::NONE, move |me| {
        if leaves {
            process::become_user(ORDINARY)?;
        }
        sandbox::enter(Namespaces::USER | namespaces)?;
        body(me)
    })
}

/// What [`root_of_z`] reports until it ends.
///
/// # Errors
/// As there, and when the child gives up.
pub fn in_z(
    namespaces: Namespaces,
    body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>,
) -> Result<Vec<Fact>> {
    Ok(root_of_z(namespaces, body)?.facts()?)
}

/// Whether we are root, and there is an ordinary user to become: a user namespace may map root alone, and root may lack
/// CAP_SETUID. A child tries, once.
fn has_an_ordinary_user() -> ns_core::Result<bool> {
    static HAS: OnceLock<bool> = OnceLock::new();
    if let Some(has) = HAS.get() {
        return Ok(*has);
    }
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        let becomes = getuid().is_root() && Outcome::of(process::become_user(ORDINARY))? == Outcome::Done;
        me.report("becomes an ordinary user", becomes)
    })?;
    let has = child.fact()?.value == true;
    Ok(*HAS.get_or_init(|| has))
}
