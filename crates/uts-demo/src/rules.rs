//! How long a name may be, who may set it, and what of uname(2) a UTS namespace does not hold.

use std::fs::OpenOptions;

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step, cause};
use nix::sys::personality::{self, Persona};
use ns_core::probe::{self, Missing};
use ns_core::{Capability, Child, Fact, Kind, Named, Namespaces, Outcome, Value, namespace, process, uts};

/// UNAME26, which nix has with glibc alone; linux/personality.h has the number.
const AS_LINUX_2_6: Persona = Persona::from_bits_retain(0x2_0000);

pub(crate) const TOO_LONG: Claim = Claim::holds(
    "too-long",
    "A hostname and a domain name have at most 64 bytes: for a 65th there is EINVAL.",
)
.cause("a 65th byte")
.more(&[53]);
pub(crate) const ADMIN: Claim =
    Claim::holds("admin", "To make a UTS namespace takes CAP_SYS_ADMIN; without it there is EPERM.")
        .cause("CAP_SYS_ADMIN")
        .more(&[52]);
pub(crate) const OWNER: Claim = Claim::holds(
    "owner",
    "sethostname() takes CAP_SYS_ADMIN in the user namespace that owns the UTS namespace.",
)
.cause("CLONE_NEWUTS")
.more(&[53])
.needs(&[Need::Probe(user_namespaces)]);
pub(crate) const UNAME26: Claim = Claim::holds(
    "uname26",
    "personality(UNAME26) shows a process another release, in the same UTS namespace.",
)
.cause("UNAME26")
.more(&[54]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Set names of 0 to 65 bytes.",
        calls: &["sethostname(name, length)", "setdomainname(name, length)"],
        by_hand: &["unshare -Ur --uts hostname $(printf %065d 0)"],
    })?;
    let mut rows = Vec::new();
    for length in [0, 1, 63, 64, 65] {
        let [hostname, domain] = set_long_names(length)?;
        rows.push(vec![length.into(), hostname.value, domain.value]);
    }
    lab.table("How long a name may be", &["bytes", "sethostname()", "setdomainname()"], rows)?;
    lab.claim(TOO_LONG).without(set_long_names(64)?).with(set_long_names(cause(65, 64))?).shows(|set| {
        set.outside("sethostname()").is_some_and(|it| *it == "EINVAL")
            && set.outside("setdomainname()").is_some_and(|it| *it == "EINVAL")
    })?;

    lab.step(Step {
        goal: "Make a UTS namespace without CAP_SYS_ADMIN and with it; beside it, one along with a user namespace.",
        calls: &["capset()", "clone3(CLONE_NEWUTS)", "clone3(CLONE_NEWUSER|CLONE_NEWUTS)"],
        by_hand: &["unshare --uts true; unshare -Ur --uts true  # as an ordinary user"],
    })?;
    lab.claim(ADMIN)
        .without(make_namespaces(false)?)
        .with(make_namespaces(cause(true, false))?)
        .shows(|made| made.inside("clone3(CLONE_NEWUTS)").is_some_and(|it| *it == "OK"))?;

    if lab.can_ask(&[OWNER])? {
        lab.step(Step {
            goal: "In a new user namespace, with every capability there, rename our UTS namespace, then a new one.",
            calls: &["clone3(CLONE_NEWUSER)", "clone3(CLONE_NEWUSER|CLONE_NEWUTS)", "sethostname(\"inside\")"],
            by_hand: &["unshare -Ur hostname inside; unshare -Ur --uts hostname inside"],
        })?;
        lab.claim(OWNER)
            .without(rename_as_stranger(Namespaces::USER)?)
            .with(rename_as_stranger(Namespaces::USER | Namespaces::UTS)?)
            .shows(|rename| rename.inside("sethostname()").is_some_and(|it| *it == "OK"))?;
    }

    lab.step(Step {
        goal: "Read the release, which nothing sets; then in the guise for programs that expect no kernel after 2.6.",
        calls: &["open(\"/proc/sys/kernel/osrelease\", O_WRONLY)", "personality(UNAME26)", "uname()"],
        by_hand: &["uname --kernel-release; setarch --uname-2.6 uname --kernel-release"],
    })?;
    let release = "/proc/sys/kernel/osrelease";
    let opened = OpenOptions::new().write(true).open(release).named(|| format!("open(\"{release}\")"));
    lab.saw(Fact::outside(format!("open(\"{release}\", O_WRONLY)"), Outcome::of(opened)?))?;
    lab.claim(UNAME26)
        .without(read_release(Persona::empty())?)
        .with(read_release(cause(AS_LINUX_2_6, Persona::empty()))?)
        .shows(|of| {
            of.inside("release").and_then(Value::as_str).is_some_and(|release| release.starts_with("2.6."))
                && of.inside("/proc/self/ns/uts") == of.outside("/proc/self/ns/uts")
        })?;
    Ok(())
}

fn set_long_names(length: usize) -> Result<[Fact; 2]> {
    let name = "x".repeat(length);
    Ok([
        Fact::outside("sethostname()", Outcome::of(uts::set_hostname(&name))?),
        Fact::outside("setdomainname()", Outcome::of(uts::set_domain_name(&name))?),
    ])
}

fn make_namespaces(capable: bool) -> Result<Vec<Fact>> {
    let mut maker = Child::spawn("maker", Namespaces::NONE, |me| {
        if !capable {
            process::drop_capability(Capability::CAP_SYS_ADMIN)?;
        }
        for namespaces in [Namespaces::UTS, Namespaces::USER | Namespaces::UTS] {
            let made = Child::spawn("child", namespaces, |_| Ok(()));
            me.saw(format!("clone3({})", namespaces.as_typed()), Outcome::of(made)?)?;
        }
        Ok(())
    })?;
    Ok(maker.hear_all()?)
}

fn rename_as_stranger(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut stranger = Child::spawn("stranger", namespaces, |me| {
        me.saw("has CAP_SYS_ADMIN", process::is_capable(Capability::CAP_SYS_ADMIN))?;
        me.saw("sethostname()", Outcome::of(uts::set_hostname("inside"))?)
    })?;
    Ok(stranger.hear_all()?)
}

fn read_release(persona: Persona) -> Result<Vec<Fact>> {
    let mut reader = Child::spawn("reader", Namespaces::NONE, |me| {
        personality::set(persona).named(|| "personality()".into())?;
        me.saw("release", Value::Name(uts::release()))?;
        me.saw("/proc/self/ns/uts", namespace::of_kind(None, Kind::Uts)?)
    })?;
    let mut facts = reader.hear_all()?;
    facts.push(Fact::outside("/proc/self/ns/uts", namespace::of_kind(None, Kind::Uts)?));
    Ok(facts)
}

fn user_namespaces() -> ns_core::Result<Option<Missing>> {
    probe::stage(Namespaces::USER)
}
