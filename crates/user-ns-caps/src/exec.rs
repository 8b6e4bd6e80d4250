//! The capabilities after execve(2), and those that a new user namespace gives back.

use anyhow::Result;
use lesson::user::{as_user, in_z};
use lesson::{Claim, Row, Step, hand, inside, right, wrong};
use nix::unistd::{getgid, getuid};
use ns_core::idmap::IdMaps;
use ns_core::{Capability, Fact, Namespaces, Reporter, Value, capabilities, namespace, process};

use crate::user::set;

/// The name under which a child executes this program again.
pub(crate) const AFTER_EXECVE: &str = "user-ns-caps-after-execve";

/// The user ID inside of a user that is not root there.
const SEVEN: u32 = 7;

const BEFORE: &str = "CapEff before execve()";
const AFTER: &str = "CapEff after execve()";

const KEEPS: Claim = Claim::holds(
    "keeps",
    "At execve(), user 0 inside keeps all capabilities; another user without an ambient set loses all.",
)
.factor("user ID 0 inside")
.notes(&[124, 125])
.more(&[71])
.arms("user 7", "user 0")
.core(&[Row::inside("CapEff after execve", AFTER)])
.asks(
    "User 7 of a new user namespace has all capabilities there, and executes a shell. Which capabilities does the shell have?",
    &[
        right("none"),
        wrong("all", "execve() keeps the user ID, and seems to keep capabilities too"),
        wrong("those in its bounding set", "user 0 gets those, and here the set is full"),
    ],
);

pub(crate) const EXECUTE: Step = Step {
    title: "In a new user namespace, map the user to 7 or to 0, and execute a program. Read its capabilities before and after.",
    calls: &["unshare(CLONE_NEWUSER)", "write(\"/proc/self/uid_map\", \"0 UID 1\")", "execve()"],
    by_hand: &[
        hand("unshare --user --map-user=7 grep CapEff /proc/self/status").prints("CapEff: 0000000000000000"),
        hand("unshare --user --map-root-user grep CapEff /proc/self/status").prints("CapEff: …ffffffff"),
    ],
    claims: &[KEEPS],
    run: |lab| {
        lab.compare(KEEPS, SEVEN, 0, |uid| execute(uid, false))?
            .in_both_arms(inside(BEFORE).is("all"))
            .shows(inside(AFTER).is("all"))
    },
};

const AMBIENT: Claim =
    Claim::holds("ambient", "A user other than 0 keeps the capabilities of the ambient set across execve().")
        .factor("an ambient set")
        .notes(&[124]);

pub(crate) const EXECUTE_WITH_AMBIENT: Step = Step {
    title: "As user 7 inside, add all capabilities to the inheritable and the ambient set. Then execute a program.",
    calls: &["capset(inheritable)", "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, …)", "execve()"],
    by_hand: &[hand(
        "unshare --user --map-user=7 --keep-caps sh -c 'id -u; grep -E \"Cap(Eff|Amb)\" /proc/self/status'",
    )
    .prints("7\nCapEff: …ffffffff\nCapAmb: …ffffffff")],
    claims: &[AMBIENT],
    run: |lab| {
        lab.compare(AMBIENT, false, true, |ambient| execute(SEVEN, ambient))?
            .in_both_arms(inside(BEFORE).is("all"))
            .shows(inside(AFTER).is("all"))
    },
};

const BOUNDING: Claim = Claim::holds(
    "bounding",
    "After unshare(CLONE_NEWUSER), the bounding set again has CAP_NET_ADMIN, which was dropped before.",
)
.factor("CLONE_NEWUSER")
.notes(&[111])
.more(&[78]);

pub(crate) const DROP_FROM_BOUNDING: Step = Step {
    title: "As root of Z, drop CAP_NET_ADMIN from all sets, including the bounding set. Then create a user namespace.",
    calls: &["prctl(PR_CAPBSET_DROP, CAP_NET_ADMIN)", "capset()", "unshare(CLONE_NEWUSER)"],
    by_hand: &[hand("unshare -Ur setpriv --bounding-set=-net_admin sh -c 'grep CapBnd /proc/self/status; unshare -Ur grep CapBnd /proc/self/status'").prints("CapBnd: …ffffefff\nCapBnd: …ffffffff"), ],
    claims: &[BOUNDING],
    run: |lab| {
        lab.compare(BOUNDING, Namespaces::NONE, Namespaces::USER, drop_and_unshare)?
            .shows(inside("CapBnd after unshare()").is("all") & inside("CapEff after unshare()").is("all"))
    },
};

const CLEAN: Claim = Claim::holds(
    "clean",
    "unshare(CLONE_NEWUSER) clears the ambient set, the inheritable set and the securebits.",
)
.factor("CLONE_NEWUSER")
.more(&[78]);

pub(crate) const FILL_AMBIENT: Step = Step {
    title: "As root of Z, add CAP_NET_ADMIN to the ambient set, and set SECBIT_NOROOT. Then create a user namespace.",
    calls: &[
        "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN)",
        "prctl(PR_SET_SECUREBITS, SECBIT_NOROOT)",
        "unshare(CLONE_NEWUSER)",
    ],
    by_hand: &[hand("unshare -Ur setpriv --inh-caps=+net_admin --ambient-caps=+net_admin --securebits=+noroot setpriv --dump | grep -E 'Ambient|Secure'").prints("Ambient capabilities: net_admin\nSecurebits: noroot"), hand("unshare -Ur setpriv --inh-caps=+net_admin --ambient-caps=+net_admin unshare -Ur setpriv --dump | grep -E 'Ambient|Secure'").prints("Ambient capabilities: [none]\nSecurebits: [none]"), ],
    claims: &[CLEAN],
    run: |lab| {
        lab.compare(CLEAN, Namespaces::NONE, Namespaces::USER, fill_and_unshare)?.shows(
            inside("CapInh").is("none") & inside("CapAmb").is("none") & inside("securebits").is("none"),
        )
    },
};

/// Executes this program as user `uid` of a new user namespace.
fn execute(uid: u32, ambient: bool) -> Result<Vec<Fact>> {
    let mut user = as_user("user", move |me| {
        let maps = IdMaps::own(uid, getuid().as_raw(), getgid().as_raw());
        namespace::unshare(Namespaces::USER)?;
        maps.write_for(None)?;
        if ambient {
            capabilities::make_all_ambient()?;
        }
        me.report(BEFORE, set(capabilities::own()?.effective)?)?;
        me.exec_again(AFTER_EXECVE).map(|never| match never {})
    })?;
    Ok(user.facts()?)
}

/// The child's part after execve().
pub(crate) fn report_after(me: &mut Reporter) -> ns_core::Result<()> {
    me.report(AFTER, set(capabilities::own()?.effective)?)
}

fn drop_and_unshare(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_z(Namespaces::NONE, move |me| {
        capabilities::leave_bounding_set(Capability::CAP_NET_ADMIN)?;
        process::drop_capability(Capability::CAP_NET_ADMIN)?;
        me.report("CapBnd before", set_but(capabilities::own()?.bounding)?)?;
        namespace::unshare(namespaces)?;
        let own = capabilities::own()?;
        me.report("CapBnd after unshare()", set_but(own.bounding)?)?;
        me.report("CapEff after unshare()", set_but(own.effective)?)
    })
}

fn fill_and_unshare(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_z(Namespaces::NONE, move |me| {
        capabilities::make_ambient(Capability::CAP_NET_ADMIN)?;
        capabilities::forget_root()?;
        namespace::unshare(namespaces)?;
        let own = capabilities::own()?;
        let net_admin = |mask: u64| match mask {
            0 => "none".into(),
            mask if mask == Capability::CAP_NET_ADMIN.bitmask() => Value::from("CAP_NET_ADMIN"),
            _ => "others".into(),
        };
        me.report("CapInh", net_admin(own.inheritable))?;
        me.report("CapAmb", net_admin(own.ambient))?;
        me.report("securebits", if own.securebits == 0 { "none" } else { "SECBIT_NOROOT" })
    })
}

/// A set that is complete, or complete but for CAP_NET_ADMIN.
fn set_but(mask: u64) -> ns_core::Result<Value> {
    let without = capabilities::all()? & !Capability::CAP_NET_ADMIN.bitmask();
    if mask == without { Ok("all but CAP_NET_ADMIN".into()) } else { set(mask) }
}
