//! How an administrator forbids user namespaces. The settings are of the whole machine, and these steps change them for
//! a moment. So they run only on a machine that may be thrown away.

use anyhow::Result;
use lesson::{Claim, Need, Requirement, Step, hand, inside};
use ns_core::machine::{self, Setting};
use ns_core::probe::Unmet;
use ns_core::{Fact, Namespaces, Outcome, namespace};

use crate::user::User;

/// The limit of the reader's user namespace, which includes the nested ones. Here that is the initial namespace.
const LIMIT: &str = "/proc/sys/user/max_user_namespaces";
/// A switch of Debian's kernels. Others lack it.
const SWITCH: &str = "/proc/sys/kernel/unprivileged_userns_clone";

const NO_MORE: Claim = Claim::holds(
    "no-more",
    "With user.max_user_namespaces at 0, unshare(CLONE_NEWUSER) fails with ENOSPC, even for root.",
)
.factor("a limit of 0")
.notes(&[119])
.requires(&[Requirement::Probe(limit)]);

pub(crate) const ALLOW_NONE: Step = Step {
    title: "Set the limit of user namespaces to 0, and let a user and root each create one.",
    calls: &["write(\"/proc/sys/user/max_user_namespaces\", \"0\")", "unshare(CLONE_NEWUSER)"],
    by_hand: &[hand("unshare -Ur bash -c 'echo 0 > /proc/sys/user/max_user_namespaces; unshare --user true'  # those below").prints("ENOSPC"), hand("max=/proc/sys/user/max_user_namespaces; old=$(<$max); echo 0 > $max; unshare --user true; echo $old > $max").as_root().prints("ENOSPC").needs(&[Need::ThrowAway]), ],
    claims: &[NO_MORE],
    run: |lab| {
        lab.compare(NO_MORE, None, Some("0"), |limit| unshare_under(LIMIT, limit))?
            .shows(inside("a user").is("ENOSPC") & inside("root").is("ENOSPC"))
    },
};

const NO_USERS: Claim = Claim::holds(
    "no-users",
    "With kernel.unprivileged_userns_clone at 0, unshare(CLONE_NEWUSER) fails with EPERM for users, and succeeds for root.",
)
.factor("a switch at 0")
.notes(&[119])
.requires(&[Requirement::Probe(switch)]);

pub(crate) const FORBID_TO_USERS: Step = Step {
    title: "Forbid user namespaces to ordinary users, and let a user and root each create one.",
    calls: &["write(\"/proc/sys/kernel/unprivileged_userns_clone\", \"0\")", "unshare(CLONE_NEWUSER)"],
    by_hand: &[hand("echo 0 > /proc/sys/kernel/unprivileged_userns_clone; setpriv --reuid 1000 --clear-groups unshare --user true").as_root().prints("EPERM").needs(&[Need::ThrowAway]), hand("unshare --user true; echo 1 > /proc/sys/kernel/unprivileged_userns_clone").as_root().prints("").status(0), ],
    claims: &[NO_USERS],
    run: |lab| {
        lab.compare(NO_USERS, None, Some("0"), |switch| unshare_under(SWITCH, switch))?
            .in_both_arms(inside("root").from("EPERM").to("OK"))
            .shows(inside("a user").is("EPERM"))
    },
};

/// Lets a user and root create a user namespace while `setting` reads `value`; `None` leaves it as it is.
fn unshare_under(setting: &str, value: Option<&str>) -> Result<[Fact; 2]> {
    let _changed = value.map(|value| Setting::change(setting, value)).transpose()?;
    let answer_to = |user: User, name: &'static str| {
        let mut child = user.child(name, Namespaces::NONE, move |me| {
            me.report(name, Outcome::of(namespace::unshare(Namespaces::USER))?)
        })?;
        child.fact()
    };
    Ok([answer_to(User::Ordinary, "a user")?, answer_to(User::Root, "root")?])
}

fn limit() -> ns_core::Result<Option<Unmet>> {
    machine::changeable(LIMIT)
}

fn switch() -> ns_core::Result<Option<Unmet>> {
    machine::changeable(SWITCH)
}
