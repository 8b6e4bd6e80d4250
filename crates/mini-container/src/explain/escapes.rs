//! What the notes leave out: namespaces and chroot alone make no container.

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use ns_core::{Capability, Fact, Named, process};

use super::privileges::nested;
use super::root::{climb, enter_an_empty_root, identity_of, in_a_box};
use crate::run::{capabilities, seccomp};

pub(crate) const NAMESPACES_AND_CHROOT: Claim = Claim::refuted(
    "namespaces-and-chroot",
    "Namespaces and chroot are what a container is built from: with them no way out is open.",
    "the-rest",
)
.cause("chroot()")
.notes(&[2]);
pub(crate) const THE_REST: Claim = Claim::holds(
    "the-rest",
    "It takes pivot_root(), fewer capabilities and a seccomp filter besides: then none of these ways is open.",
)
.cause("the other ingredients")
.notes(&[2]);

/// How complete a container is.
#[derive(Clone, Copy, PartialEq)]
enum Built {
    OfNamespaces,
    AndChroot,
    AndTheRest,
}

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Try three ways out of a container: of namespaces, of namespaces and chroot, and of all ingredients.",
        calls: &["chroot(\"door\")", "capget()", "unshare(CLONE_NEWUSER)"],
        by_hand: &[],
    })?;
    let namespaces = ways_out(Built::OfNamespaces)?;
    let chrooted = ways_out(Built::AndChroot)?;
    let whole = ways_out(cause(Built::AndTheRest, Built::AndChroot))?;
    lab.claim(NAMESPACES_AND_CHROOT).without(namespaces).with(chrooted.clone()).shows(|open| *open == 0)?;
    lab.claim(THE_REST).without(chrooted).with(whole).shows(|open| *open == 0)?;
    Ok(())
}

fn ways_out(built: Built) -> Result<Vec<Fact>> {
    in_a_box(move |me| {
        let whole = built == Built::AndTheRest;
        let outside = identity_of("/")?;
        if built != Built::OfNamespaces {
            enter_an_empty_root(whole)?;
        }
        if whole {
            capabilities::keep_few()?;
            nix::sys::prctl::set_no_new_privs().named(|| "prctl(PR_SET_NO_NEW_PRIVS, 1)".into())?;
            seccomp::filter()?;
        }
        let powerful = process::is_capable(Capability::CAP_SYS_ADMIN);
        // Who never left is there already.
        let reached = built == Built::OfNamespaces || climb()? == outside;
        // Last, since it changes who we are. A chrooted process may make none (user_namespaces(7), EPERM).
        let nests = nested().is_ok();
        me.saw("ways that are open", [reached, powerful, nests].into_iter().filter(|it| *it).count())?;
        me.saw("the old root was reached", reached)?;
        me.saw("CAP_SYS_ADMIN", powerful)?;
        me.saw("another user namespace can be made", nests)
    })
}
