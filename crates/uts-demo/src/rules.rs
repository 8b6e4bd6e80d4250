//! How long a name may be, and who may set it. Then the release of uname(2), which does not belong to the namespace.

use std::fs::OpenOptions;

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, hand, inside, outside, right, wrong};
use nix::sys::personality::{self, Persona};
use ns_core::probe::{self, Unmet};
use ns_core::{Capability, Child, Fact, Kind, Named, Namespaces, Outcome, Value, namespace, process, uts};

/// UNAME26 of linux/personality.h. nix has it for glibc only.
const AS_LINUX_2_6: Persona = Persona::from_bits_retain(0x2_0000);

const TOO_LONG: Claim =
    Claim::holds("too-long", "sethostname() and setdomainname() accept 64 bytes; 65 bytes fail with EINVAL.")
        .factor("a 65th byte")
        .more(&[53]);

pub(crate) const SET_LONG_NAMES: Step = Step {
    title: "Set names of 0 to 65 bytes.",
    calls: &["sethostname(name, length)", "setdomainname(name, length)"],
    by_hand: &[hand("unshare -Ur --uts hostname $(printf %065d 0)")
        .prints("hostname: name too long")
        .status(1)],
    claims: &[TOO_LONG],
    run: |lab| {
        let mut rows = Vec::new();
        for length in [0, 1, 63, 64, 65] {
            let [hostname, domain] = set_long_names(length)?;
            rows.push(vec![length.into(), hostname.value, domain.value]);
        }
        lab.table("Results by the length of the name", &["bytes", "sethostname()", "setdomainname()"], rows)?;
        lab.compare(TOO_LONG, 64, 65, set_long_names)?
            .shows(outside("sethostname()").is("EINVAL") & outside("setdomainname()").is("EINVAL"))
    },
};

const ADMIN: Claim =
    Claim::holds("admin", "Without CAP_SYS_ADMIN, clone3(CLONE_NEWUTS) with no other flag fails with EPERM.")
        .factor("CAP_SYS_ADMIN")
        .more(&[52])
        .arms("no SYS_ADMIN", "CAP_SYS_ADMIN")
        .core(&[
            Row::inside("new UTS ns alone", "clone3(CLONE_NEWUTS)"),
            Row::inside("and a user ns", "clone3(CLONE_NEWUSER|CLONE_NEWUTS)"),
        ])
        .asks(
            "A process without CAP_SYS_ADMIN calls clone3(CLONE_NEWUTS), with no other flag. What happens?",
            &[
                right("EPERM"),
                wrong(
                    "it succeeds: only sethostname() needs the capability",
                    "a copy of two names looks harmless",
                ),
                wrong(
                    "it succeeds, as for every user",
                    "`unshare -Ur --uts` succeeds: its -U creates a user namespace first",
                ),
            ],
        );

pub(crate) const MAKE_WITHOUT_PRIVILEGE: Step = Step {
    title: "Create a UTS namespace without CAP_SYS_ADMIN and with it: alone, then together with a user namespace.",
    calls: &["capset()", "clone3(CLONE_NEWUTS)", "clone3(CLONE_NEWUSER|CLONE_NEWUTS)"],
    by_hand: &[
        hand("unshare --uts true").prints("EPERM").status(1),
        hand("unshare -Ur --uts true").prints("").status(0),
    ],
    claims: &[ADMIN],
    run: |lab| {
        lab.compare(ADMIN, false, true, make_namespaces)?
            .shows(inside("clone3(CLONE_NEWUTS)").from("EPERM").to("OK"))
    },
};

const OWNER: Claim = Claim::holds(
    "owner",
    "sethostname() requires CAP_SYS_ADMIN in the user namespace that owns the UTS namespace.",
)
.factor("CLONE_NEWUTS")
.more(&[53])
.requires(&[Requirement::Probe(user_namespaces)]);

pub(crate) const SET_WITHOUT_OWNERSHIP: Step = Step {
    title: "Create a user namespace, with every capability in it. Set the hostname of the parent's UTS namespace, then of a new one.",
    calls: &["clone3(CLONE_NEWUSER)", "clone3(CLONE_NEWUSER|CLONE_NEWUTS)", "sethostname(\"inside\")"],
    by_hand: &[
        hand("unshare -Ur hostname inside")
            .prints("hostname: you must be root to change the host name")
            .status(1),
        hand("unshare -Ur --uts hostname inside").prints("").status(0),
    ],
    claims: &[OWNER],
    run: |lab| {
        let user = Namespaces::USER;
        lab.compare(OWNER, user, user | Namespaces::UTS, rename_in_a_user_namespace)?
            .shows(inside("sethostname()").from("EPERM").to("OK"))
    },
};

const UNAME26: Claim = Claim::holds(
    "uname26",
    "After personality(UNAME26), uname() returns a 2.6 release in the same UTS namespace.",
)
.factor("UNAME26")
.more(&[54]);

pub(crate) const READ_THE_RELEASE: Step = Step {
    title: "Open the release for writing. Then read it before and after personality(UNAME26), which old programs need.",
    calls: &["open(\"/proc/sys/kernel/osrelease\", O_WRONLY)", "personality(UNAME26)", "uname()"],
    by_hand: &[hand("uname --kernel-release; setarch --uname-2.6 uname --kernel-release")
        .prints("<release A>\n2.6.…")],
    claims: &[UNAME26],
    run: |lab| {
        let release = "/proc/sys/kernel/osrelease";
        let opened = OpenOptions::new().write(true).open(release).named(|| format!("open(\"{release}\")"));
        lab.saw(Fact::outside(format!("open(\"{release}\", O_WRONLY)"), Outcome::of(opened)?))?;
        lab.compare(UNAME26, Persona::empty(), AS_LINUX_2_6, read_release)?
            .in_both_arms(inside("/proc/self/ns/uts").same_as(outside("/proc/self/ns/uts")))
            .shows(
                inside("release").that(|release| release.as_str().is_some_and(|it| it.starts_with("2.6."))),
            )
    },
};

fn set_long_names(length: usize) -> Result<[Fact; 2]> {
    let name = "x".repeat(length);
    Ok([
        Fact::outside("sethostname()", Outcome::of(uts::set_hostname(&name))?),
        Fact::outside("setdomainname()", Outcome::of(uts::set_domain_name(&name))?),
    ])
}

fn make_namespaces(capable: bool) -> Result<Vec<Fact>> {
    let mut creator = Child::spawn("creator", Namespaces::NONE, |me| {
        if !capable {
            process::drop_capability(Capability::CAP_SYS_ADMIN)?;
        }
        for namespaces in [Namespaces::UTS, Namespaces::USER | Namespaces::UTS] {
            let made = Child::spawn("child", namespaces, |_| Ok(()));
            me.report(format!("clone3({})", namespaces.as_typed()), Outcome::of(made)?)?;
        }
        Ok(())
    })?;
    Ok(creator.facts()?)
}

fn rename_in_a_user_namespace(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", namespaces, |me| {
        me.report("has CAP_SYS_ADMIN", process::is_capable(Capability::CAP_SYS_ADMIN))?;
        me.report("sethostname()", Outcome::of(uts::set_hostname("inside"))?)
    })?;
    Ok(child.facts()?)
}

fn read_release(persona: Persona) -> Result<Vec<Fact>> {
    let mut reader = Child::spawn("reader", Namespaces::NONE, |me| {
        personality::set(persona).named(|| "personality()".into())?;
        me.report("release", Value::Name(uts::release()))?;
        me.report("/proc/self/ns/uts", namespace::of_kind(None, Kind::Uts)?)
    })?;
    let mut facts = reader.facts()?;
    facts.push(Fact::outside("/proc/self/ns/uts", namespace::of_kind(None, Kind::Uts)?));
    Ok(facts)
}

fn user_namespaces() -> ns_core::Result<Option<Unmet>> {
    probe::sandbox(Namespaces::USER)
}
