//! What is left of the capabilities: after execve(2), and of what was given up before.

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use nix::unistd::{getgid, getuid};
use ns_core::idmap::IdMaps;
use ns_core::{Capability, Fact, Namespaces, Value, Witness, capabilities, namespace};

use crate::person::{as_user, in_z, set};

pub(crate) const KEEPS: Claim = Claim::holds(
    "keeps",
    "execve() recalculates capabilities: who is user 0 inside keeps all of them, anybody else loses all.",
)
.cause("being user 0 inside")
.notes(&[124, 125])
.more(&[71]);
pub(crate) const AMBIENT: Claim = Claim::holds(
    "ambient",
    "Whoever is not user 0 keeps through execve() the capabilities that are in the ambient set.",
)
.cause("an ambient set")
.notes(&[124]);
pub(crate) const BOUNDING: Claim = Claim::holds(
    "bounding",
    "A capability that was dropped from the bounding set is back in a new user namespace.",
)
.cause("CLONE_NEWUSER")
.notes(&[111])
.more(&[78]);
pub(crate) const CLEAN: Claim = Claim::holds(
    "clean",
    "Whoever comes into a new user namespace has empty ambient and inheritable sets, and no securebits.",
)
.cause("CLONE_NEWUSER")
.more(&[78]);

/// Who a child is when it has become this program again.
pub(crate) const AFTER_EXECVE: &str = "user-ns-caps-after-execve";

const BEFORE: &str = "CapEff before execve()";
const AFTER: &str = "CapEff after execve()";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "In a new user namespace, map the user to 7 or to 0, and execute a program. What is left of its capabilities?",
        calls: &["unshare(CLONE_NEWUSER)", "write(\"/proc/self/uid_map\", \"0 UID 1\")", "execve()"],
        by_hand: &[
            "unshare --user --map-user=7 grep CapEff /proc/self/status",
            "unshare --user --map-root-user grep CapEff /proc/self/status",
        ],
    })?;
    let root = cause(0, SEVEN);
    let kept = |seen: &lesson::Observation| {
        seen.inside(BEFORE).is_some_and(|it| *it == "all")
            && seen.inside(AFTER).is_some_and(|it| *it == "all")
    };
    let lost = execute(SEVEN, false)?;
    lab.claim(KEEPS).without(lost.clone()).with(execute(root, false)?).shows(kept)?;

    lab.step(Step {
        goal: "As user 7 there, put all capabilities into the inheritable and the ambient set first, and execute a program.",
        calls: &["capset(inheritable)", "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, …)", "execve()"],
        by_hand: &["unshare --user --map-user=7 --keep-caps sh -c 'id -u; grep Cap /proc/self/status'"],
    })?;
    lab.claim(AMBIENT).without(lost).with(execute(SEVEN, cause(true, false))?).shows(kept)?;

    lab.step(Step {
        goal: "As root of Z, drop CAP_NET_ADMIN from all sets, the bounding set too. Then make a user namespace.",
        calls: &["prctl(PR_CAPBSET_DROP, CAP_NET_ADMIN)", "capset()", "unshare(CLONE_NEWUSER)"],
        by_hand: &[
            "unshare -Ur setpriv --bounding-set=-net_admin sh -c 'grep CapBnd /proc/self/status; unshare -Ur grep CapBnd /proc/self/status'",
        ],
    })?;
    lab.claim(BOUNDING)
        .without(drop_and_move(Namespaces::NONE)?)
        .with(drop_and_move(Namespaces::USER)?)
        .shows(|seen| {
            seen.inside("CapBnd at the end").is_some_and(|it| *it == "all")
                && seen.inside("CapEff at the end").is_some_and(|it| *it == "all")
        })?;

    lab.step(Step {
        goal: "As root of Z, fill the ambient set and set SECBIT_NOROOT. Then make a user namespace.",
        calls: &[
            "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN)",
            "prctl(PR_SET_SECUREBITS, SECBIT_NOROOT)",
            "unshare(CLONE_NEWUSER)",
        ],
        by_hand: &[
            "unshare -Ur setpriv --inh-caps=+net_admin --ambient-caps=+net_admin --securebits=+noroot setpriv --dump",
            "unshare -Ur setpriv --inh-caps=+net_admin --ambient-caps=+net_admin unshare -Ur setpriv --dump",
        ],
    })?;
    lab.claim(CLEAN).without(fill_and_move(Namespaces::NONE)?).with(fill_and_move(Namespaces::USER)?).shows(
        |seen| {
            seen.inside("CapInh").is_some_and(|it| *it == "none")
                && seen.inside("CapAmb").is_some_and(|it| *it == "none")
                && seen.inside("securebits").is_some_and(|it| *it == "none")
        },
    )?;
    Ok(())
}

const SEVEN: u32 = 7;

fn execute(called: u32, ambient: bool) -> Result<Vec<Fact>> {
    let mut user = as_user("user", move |me| {
        let maps = IdMaps::own(called, getuid().as_raw(), getgid().as_raw());
        namespace::unshare(Namespaces::USER)?;
        maps.write_for(None)?;
        if ambient {
            capabilities::make_all_ambient()?;
        }
        me.saw(BEFORE, set(capabilities::own()?.effective)?)?;
        me.exec_again(AFTER_EXECVE).map(|never| match never {})
    })?;
    Ok(user.hear_all()?)
}

/// What the child does, once it has become this program afresh.
pub(crate) fn say_after(me: &mut Witness) -> ns_core::Result<()> {
    me.saw(AFTER, set(capabilities::own()?.effective)?)
}

fn drop_and_move(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_z(Namespaces::NONE, move |me| {
        capabilities::leave_bounding_set(Capability::CAP_NET_ADMIN)?;
        ns_core::process::drop_capability(Capability::CAP_NET_ADMIN)?;
        me.saw("CapBnd at first", set_but(capabilities::own()?.bounding)?)?;
        namespace::unshare(namespaces)?;
        let own = capabilities::own()?;
        me.saw("CapBnd at the end", set_but(own.bounding)?)?;
        me.saw("CapEff at the end", set_but(own.effective)?)
    })
}

fn fill_and_move(namespaces: Namespaces) -> Result<Vec<Fact>> {
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
        me.saw("CapInh", net_admin(own.inheritable))?;
        me.saw("CapAmb", net_admin(own.ambient))?;
        me.saw("securebits", if own.securebits == 0 { "none" } else { "SECBIT_NOROOT" })
    })
}

/// A set that lacks nothing, or CAP_NET_ADMIN.
fn set_but(mask: u64) -> ns_core::Result<Value> {
    let without = capabilities::all()? & !Capability::CAP_NET_ADMIN.bitmask();
    if mask == without { Ok("all but CAP_NET_ADMIN".into()) } else { set(mask) }
}
