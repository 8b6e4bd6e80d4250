//! How an administrator forbids user namespaces. To see it they are forbidden for a moment to all of the machine, so
//! only where that is to be thrown away.

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step, cause};
use ns_core::machine::{self, Setting};
use ns_core::probe::Missing;
use ns_core::{Fact, Namespaces, Outcome, namespace};

use crate::person::Person;

/// How many there may be: of the user namespace of who reads it, here the first, and below.
const LIMIT: &str = "/proc/sys/user/max_user_namespaces";
/// Debian's, which other kernels lack.
const SWITCH: &str = "/proc/sys/kernel/unprivileged_userns_clone";

pub(crate) const NO_MORE: Claim = Claim::holds(
    "no-more",
    "Where user.max_user_namespaces is 0, nobody makes a user namespace, not even root: ENOSPC.",
)
.cause("a limit of 0")
.notes(&[119])
.needs(&[Need::Probe(limit)]);
pub(crate) const NO_USERS: Claim = Claim::holds(
    "no-users",
    "Where Debian's kernel.unprivileged_userns_clone is 0, users get EPERM, and root makes user namespaces.",
)
.cause("a switch at 0")
.notes(&[119])
.needs(&[Need::Probe(switch)]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if lab.can_ask(&[NO_MORE])? {
        lab.step(Step {
            goal: "Allow no user namespaces on this machine, and let a user and root make one.",
            calls: &["write(\"/proc/sys/user/max_user_namespaces\", \"0\")", "unshare(CLONE_NEWUSER)"],
            by_hand: &[
                "sudo sysctl user.max_user_namespaces=0; unshare --user true; sudo unshare --user true",
            ],
        })?;
        let (allowed, forbidden) = (unshare()?, unshare_under(LIMIT)?);
        lab.claim(NO_MORE).without(allowed).with(forbidden).shows(|of| {
            of.inside("a user").is_some_and(|it| *it == "ENOSPC")
                && of.inside("root").is_some_and(|it| *it == "ENOSPC")
        })?;
    }
    if lab.can_ask(&[NO_USERS])? {
        lab.step(Step {
            goal: "Forbid them to ordinary users, and let both make one.",
            calls: &["write(\"/proc/sys/kernel/unprivileged_userns_clone\", \"0\")", "unshare(CLONE_NEWUSER)"],
            by_hand: &["sudo sysctl kernel.unprivileged_userns_clone=0; unshare --user true; sudo unshare --user true"],
        })?;
        let (allowed, forbidden) = (unshare()?, unshare_under(SWITCH)?);
        lab.claim(NO_USERS).without(allowed).with(forbidden).shows(|of| {
            of.inside("a user").is_some_and(|it| *it == "EPERM")
                && of.inside("root").is_some_and(|it| *it == "OK")
        })?;
    }
    Ok(())
}

fn unshare_under(setting: &str) -> Result<[Fact; 2]> {
    let _zero = cause(Some("0"), None).map(|zero| Setting::change(setting, zero)).transpose()?;
    unshare()
}

fn unshare() -> Result<[Fact; 2]> {
    let answer_to = |person: Person, name: &'static str| {
        let mut child = person.child(name, Namespaces::NONE, move |me| {
            me.saw(name, Outcome::of(namespace::unshare(Namespaces::USER))?)
        })?;
        child.hear()
    };
    Ok([answer_to(Person::User, "a user")?, answer_to(Person::Root, "root")?])
}

fn limit() -> ns_core::Result<Option<Missing>> {
    machine::changeable(LIMIT)
}

fn switch() -> ns_core::Result<Option<Missing>> {
    machine::changeable(SWITCH)
}
