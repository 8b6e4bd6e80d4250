//! The file `setgroups`, and when it must be `deny` before gid_map is written.

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, hand, inside, outside, right, wrong};
use nix::unistd::{Gid, setgroups};
use ns_core::{Capability, Child, Fact, Named, Namespaces, Outcome, idmap, namespace};

use crate::maps;
use crate::user::{self, User};

const WRITE: &str = "write(gid_map)";
const SETGROUPS_CALL: &str = "setgroups([0, 5])";
const DENY_AGAIN: &str = "write(setgroups, \"deny\") again";

const MUST_DENY: Claim = Claim::holds(
    "must-deny",
    "Without CAP_SETGID in the parent namespace, write() to gid_map fails with EPERM unless setgroups is `deny`.",
)
.factor("setgroups at `allow`")
.notes(&[132])
.arms("deny first", "allow")
.core(&[Row::outside("gid_map, by a user", WRITE)])
.asks(
    "An ordinary user writes gid_map while the file setgroups says `allow`. What happens?",
    &[
        right("EPERM"),
        wrong(
            "it succeeds, as with uid_map",
            "the two maps look alike, and uid_map needs no such step",
        ),
        wrong("it succeeds, and setgroups becomes `deny`", "the kernel could write `deny` by itself"),
    ],
);

pub(crate) const WRITE_AS_A_USER: Step = Step {
    title: "Write gid_map from outside, as an ordinary user: with setgroups at `deny`, then at `allow`.",
    calls: &["write(\"/proc/PID/setgroups\", \"deny\")", "write(\"/proc/PID/gid_map\", \"0 GID 1\")"],
    by_hand: &[hand("unshare --user sleep 60 &").prints(""), hand("echo \"0 $(id -g) 1\" > /proc/$!/gid_map").prints("EPERM"), hand("echo deny > /proc/$!/setgroups; echo \"0 $(id -g) 1\" > /proc/$!/gid_map; cat /proc/$!/gid_map; kill $!").prints("0 <group id> 1"), ],
    claims: &[MUST_DENY],
    run: |lab| {
        lab.compare(MUST_DENY, true, false, |denies| write_gid_map(User::Ordinary, &own_group(), denies))?
            .shows(outside(WRITE).is("EPERM"))
    },
};

const ROOT: &[Requirement] =
    &[Requirement::Capability(Capability::CAP_SETUID), Requirement::Capability(Capability::CAP_SETGID)];

const ALWAYS_DENY: Claim =
    Claim::refuted("always-deny", "Every writer must write `deny` to setgroups before gid_map.", "must-deny")
        .factor("setgroups at `allow`")
        .notes(&[132])
        .requires(ROOT)
        .arms("deny first", "allow")
        .core(&[Row::outside("gid_map, by root", WRITE)])
        .asks(
            "Root outside writes a child's gid_map while its setgroups says `allow`. What happens?",
            &[
                right("the map is written"),
                wrong(
                    "EPERM, as for anyone",
                    "every example writes `deny` first, because an ordinary user must",
                ),
                wrong("EINVAL: setgroups must be `deny`", "the notes give this rule without an exception"),
            ],
        );
const SETGROUPS: Claim = Claim::holds(
    "setgroups",
    "If root maps the groups and setgroups stays at `allow`, setgroups() inside succeeds.",
)
.factor("setgroups at `allow`")
.notes(&[132])
.requires(ROOT);

pub(crate) const WRITE_AS_ROOT: Step = Step {
    title: "Write gid_map as root, for six groups, at `deny` and at `allow`. Then let the child call setgroups().",
    calls: &["write(\"/proc/PID/gid_map\", \"0 1 6\")", "setgroups([0, 5])"],
    by_hand: &[
        hand("unshare --user sleep 60 &").as_root().prints(""),
        hand("echo '0 1 6' > /proc/$!/gid_map; cat /proc/$!/gid_map /proc/$!/setgroups; kill $!")
            .as_root()
            .prints("0 1 6\nallow"),
    ],
    claims: &[ALWAYS_DENY, SETGROUPS],
    run: |lab| {
        let arms = lab.arms(true, false, |denies| write_gid_map(User::Root, "0 1 6\n", denies))?;
        lab.judge(ALWAYS_DENY, arms.clone()).shows(outside(WRITE).is("EPERM"))?;
        lab.judge(SETGROUPS, arms).shows(inside(SETGROUPS_CALL).from("EPERM").to("OK"))
    },
};

const FROZEN: Claim =
    Claim::holds("frozen", "After gid_map is written, write() of `deny` to setgroups fails with EPERM.")
        .factor("a written gid_map")
        .notes(&[132]);

const INHERITED: Claim = Claim::holds(
    "inherited",
    "A user namespace that is created where setgroups is `deny` starts with `deny`.",
)
.factor("setgroups at `deny` in the parent namespace")
.notes(&[132])
.requires(ROOT);

pub(crate) const NEST: Step = Step {
    title: "Map a user as root, at `allow` and at `deny`. Then let the user create a nested user namespace.",
    calls: &[
        "write(\"/proc/PID/setgroups\", \"deny\")",
        "unshare(CLONE_NEWUSER)",
        "read(\"/proc/self/setgroups\")",
    ],
    by_hand: &[hand("cat /proc/self/setgroups; unshare -Ur sh -c 'unshare -U cat /proc/self/setgroups'")
        .prints("allow\ndeny")],
    claims: &[INHERITED],
    run: |lab| {
        lab.compare(INHERITED, false, true, read_below)?
            .shows(inside("cat /proc/self/setgroups").from("allow").to("deny"))
    },
};

pub(crate) const DENY_TWICE: Step = Step {
    title: "Write `deny` to setgroups twice: without a write to gid_map in between, then with one.",
    calls: &["write(\"/proc/self/setgroups\", \"deny\")", "write(\"/proc/self/gid_map\", \"0 GID 1\")"],
    by_hand: &[
        hand("unshare --user sleep 60 &").prints(""),
        hand("for n in 1 2; do echo deny > /proc/$!/setgroups; done; cat /proc/$!/setgroups; kill $!")
            .prints("deny"),
        hand("unshare --user --map-root-user bash -c 'echo deny > /proc/self/setgroups'").prints("EPERM"),
    ],
    claims: &[FROZEN],
    run: |lab| lab.compare(FROZEN, false, true, deny_again)?.shows(inside(DENY_AGAIN).is("EPERM")),
};

/// The only line that an ordinary user may write to gid_map: their own group.
fn own_group() -> String {
    format!("0 {} 1\n", user::ids().gid)
}

fn write_gid_map(writer: User, text: &str, denies: bool) -> Result<Vec<Fact>> {
    let mut parent = writer.child("parent", Namespaces::NONE, |me| {
        let mut inside = Child::spawn("inside", Namespaces::USER, |me| {
            me.checkpoint()?;
            let set = setgroups(&[Gid::from_raw(0), Gid::from_raw(5)]).named(|| SETGROUPS_CALL.into());
            me.report(SETGROUPS_CALL, Outcome::of(set)?)
        })?;
        if denies {
            idmap::write_setgroups(Some(inside.pid()), "deny")?;
        }
        let written = Outcome::of(idmap::write_gid_map(Some(inside.pid()), text))?;
        me.send(Fact::outside(WRITE, written))?;
        if writer == User::Root {
            inside.wake()?;
            inside.pass_on(me)?;
        }
        Ok(())
    })?;
    Ok(parent.facts()?)
}

/// The content of setgroups in a new user namespace. Root wrote `deny` in its parent, or left `allow`.
fn read_below(denies: bool) -> Result<Vec<Fact>> {
    let mut inside = User::Ordinary.child("inside", Namespaces::USER, |me| {
        me.report("in the new namespace", "yes")?;
        me.checkpoint()?;
        namespace::unshare(Namespaces::USER)?;
        me.report("cat /proc/self/setgroups", idmap::read(None, "setgroups")?)
    })?;
    inside.fact()?;
    if denies {
        idmap::write_setgroups(Some(inside.pid()), "deny")?;
    }
    idmap::write_uid_map(Some(inside.pid()), &maps::own_id())?;
    idmap::write_gid_map(Some(inside.pid()), &own_group())?;
    inside.wake()?;
    Ok(inside.facts()?)
}

fn deny_again(after_gid_map: bool) -> Result<Vec<Fact>> {
    let own_group = own_group();
    let mut inside = User::Ordinary.child("inside", Namespaces::USER, |me| {
        idmap::write_setgroups(None, "deny")?;
        if after_gid_map {
            idmap::write_gid_map(None, &own_group)?;
        }
        me.report(DENY_AGAIN, Outcome::of(idmap::write_setgroups(None, "deny"))?)
    })?;
    Ok(inside.facts()?)
}
