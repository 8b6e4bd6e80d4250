//! Who owns a namespace, and which is above it: ioctl_ns(2).

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use ns_core::{Child, Error, Fact, Kind, Namespaces, NsFile, Outcome, Value, Witness, namespace};

use crate::resource::{self, SOMEBODY};

pub(crate) const PARENT: Claim = Claim::holds(
    "parent",
    "ioctl(NS_GET_PARENT) opens the namespace in which a PID or user namespace was made.",
)
.cause("CLONE_NEWPID and CLONE_NEWUSER")
.more(&[5]);
pub(crate) const NO_PARENT: Claim =
    Claim::holds("no-parent", "Only PID and user namespaces have a parent; the other six kinds give EINVAL.")
        .cause("another kind")
        .more(&[5]);
pub(crate) const OWNER: Claim = Claim::holds(
    "owner",
    "A namespace is owned by the user namespace that its maker was in: ioctl(NS_GET_USERNS) opens it.",
)
.cause("CLONE_NEWUSER")
.more(&[6]);
pub(crate) const OUT_OF_SIGHT: Claim = Claim::holds(
    "out-of-sight",
    "To whoever is in a user namespace, what is above it is out of sight: NS_GET_PARENT and NS_GET_USERNS give EPERM.",
)
.cause("setns(CLONE_NEWUSER)")
.more(&[5, 6]);
pub(crate) const OWNER_UID: Claim = Claim::holds(
    "owner-uid",
    "ioctl(NS_GET_OWNER_UID) gives the maker of a user namespace by the user ID that the asker knows him by.",
)
.cause("CLONE_NEWUSER and a uid_map")
.more(&[7]);
pub(crate) const USER_ONLY: Claim = Claim::holds(
    "user-only",
    "Only user namespaces have an owner's user ID; the other seven kinds give EINVAL.",
)
.cause("another kind")
.more(&[7]);
pub(crate) const NO_NAMESPACE: Claim =
    Claim::holds("no-namespace", "A file that is no namespace has none of these ioctls: ENOTTY.")
        .cause("a regular file")
        .more(&[7, 8]);

const LEVELLED: [Kind; 2] = [Kind::Pid, Kind::User];

pub(crate) fn run(lab: &mut Lab, container: &Child) -> Result<()> {
    lab.step(Step {
        goal: "Ask for the parents of a child's PID and user namespaces, and compare them with our own.",
        calls: &["clone3(CLONE_NEWPID|CLONE_NEWUSER)", "ioctl(ns, NS_GET_PARENT)"],
        by_hand: &[
            "unshare -Urpf --kill-child sleep 60 & lsns -p $! -o NS,TYPE,PNS,ONS; readlink /proc/$$/ns/user",
        ],
    })?;
    lab.claim(PARENT)
        .without(parents(Namespaces::NONE)?)
        .with(parents(Namespaces::PID | Namespaces::USER)?)
        .shows(|of| {
            LEVELLED.iter().all(|kind| {
                let parent = of.outside(&format!("parent of its {kind} namespace"));
                parent.is_some() && parent == of.outside(&format!("our {kind} namespace"))
            })
        })?;

    lab.step(Step {
        goal: "Ask everything about every kind, of a container that has new namespaces of all eight.",
        calls: &[
            "ioctl(ns, NS_GET_USERNS)",
            "ioctl(ns, NS_GET_PARENT)",
            "ioctl(ns, NS_GET_OWNER_UID)",
            "ioctl(ns, NS_GET_ID)",
        ],
        by_hand: &["lsns -o NS,TYPE,NPROCS,PID,PNS,ONS"],
    })?;
    table(lab, container)?;
    let flat: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| !LEVELLED.contains(kind)).collect();
    let parent_of =
        |kinds: &[Kind]| answers(container, kinds, "NS_GET_PARENT", |file| file.parent().map(drop));
    lab.claim(NO_PARENT)
        .without(parent_of(&LEVELLED)?)
        .with(parent_of(cause(&flat, &LEVELLED))?)
        .shows(|answers| answers.facts().iter().all(|fact| fact.value == *"EINVAL"))?;
    let owner_of =
        |kinds: &[Kind]| answers(container, kinds, "NS_GET_OWNER_UID", |file| file.owner_uid().map(drop));
    let others: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| *kind != Kind::User).collect();
    lab.claim(USER_ONLY)
        .without(owner_of(&[Kind::User])?)
        .with(owner_of(cause(&others, &[Kind::User]))?)
        .shows(|answers| answers.facts().iter().all(|fact| fact.value == *"EINVAL"))?;
    lab.claim(NO_NAMESPACE)
        .without(ask_a_file("/proc/self/ns/user")?)
        .with(ask_a_file(cause("/proc/self/status", "/proc/self/ns/user"))?)
        .shows(|answers| answers.facts().iter().all(|fact| fact.value == *"ENOTTY"))?;

    lab.step(Step {
        goal: "Make a UTS namespace, with and without a user namespace beside it. Whose is it?",
        calls: &["clone3(CLONE_NEWUTS)", "clone3(CLONE_NEWUTS|CLONE_NEWUSER)", "ioctl(uts, NS_GET_USERNS)"],
        by_hand: &[
            "unshare -Ur --uts sleep 60 & lsns -p $! -o NS,TYPE,ONS -t uts; readlink /proc/$!/ns/user",
        ],
    })?;
    lab.claim(OWNER)
        .without(owner(Namespaces::UTS)?)
        .with(owner(Namespaces::UTS | Namespaces::USER)?)
        .shows(|of| {
            let owner = of.outside("owner of its UTS namespace");
            owner == of.outside("its user namespace") && owner != of.outside("our user namespace")
        })?;

    lab.step(Step {
        goal: "Enter a user namespace, and ask from inside for its parent and for the owner of what is outside.",
        calls: &["setns(user, CLONE_NEWUSER)", "ioctl(user, NS_GET_PARENT)", "ioctl(uts, NS_GET_USERNS)"],
        by_hand: &["unshare -Ur lsns -o NS,TYPE,PNS,ONS"],
    })?;
    lab.claim(OUT_OF_SIGHT)
        .without(ask_from(container, false)?)
        .with(ask_from(container, true)?)
        .shows(|answers| answers.facts().iter().all(|fact| fact.value == *"EPERM"))?;

    lab.step(Step {
        goal: "Call ourselves 4321 in a new user namespace, and ask inside and outside who made it.",
        calls: &[
            "unshare(CLONE_NEWUSER)",
            "write(\"/proc/self/uid_map\", \"4321 UID 1\")",
            "ioctl(user, NS_GET_OWNER_UID)",
        ],
        by_hand: &[],
    })?;
    lab.claim(OWNER_UID)
        .without(maker_of_a_user_namespace(Namespaces::NONE)?)
        .with(maker_of_a_user_namespace(Namespaces::USER)?)
        .shows(|maker| {
            maker.inside("its owner's user ID").is_some_and(|it| *it == SOMEBODY)
                && maker.outside("its owner's user ID") == maker.outside("getuid()")
        })?;
    Ok(())
}

/// What an ioctl led to, or why it did not.
fn found(answer: ns_core::Result<NsFile>) -> ns_core::Result<Value> {
    match answer {
        Ok(file) => Ok(file.id()?.into()),
        Err(Error::Call { errno, .. }) => Ok(Outcome::Failed(errno).into()),
        Err(other) => Err(other),
    }
}

fn parents(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let child = Child::spawn("child", namespaces, Witness::stay)?;
    let mut facts = Vec::new();
    for kind in LEVELLED {
        let parent = found(NsFile::of(Some(child.pid()), kind)?.parent())?;
        facts.push(Fact::outside(format!("parent of its {kind} namespace"), parent));
        facts.push(Fact::outside(format!("our {kind} namespace"), namespace::of_kind(None, kind)?));
    }
    Ok(facts)
}

fn table(lab: &mut Lab, container: &Child) -> Result<()> {
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let file = NsFile::of(Some(container.pid()), kind)?;
        let number = |answer: ns_core::Result<i64>| {
            answer.map_or_else(|error| error.errno().map(Outcome::Failed).into(), Value::Count)
        };
        rows.push(vec![
            kind.link().into(),
            found(file.owner())?,
            found(file.parent())?,
            number(file.owner_uid().map(i64::from)),
            number(file.serial().map(|serial| i64::try_from(serial).unwrap_or(i64::MAX))),
        ]);
    }
    lab.table("The container's namespaces", &["kind", "owner", "parent", "owner's UID", "NS_GET_ID"], rows)
}

fn answers(
    container: &Child,
    kinds: &[Kind],
    ioctl: &str,
    ask: fn(&NsFile) -> ns_core::Result<()>,
) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for kind in kinds {
        let file = NsFile::of(Some(container.pid()), *kind)?;
        facts.push(Fact::outside(format!("ioctl({kind}, {ioctl})"), Outcome::of(ask(&file))?));
    }
    Ok(facts)
}

fn ask_a_file(path: &str) -> Result<Vec<Fact>> {
    let file = NsFile::open(path)?;
    let name = path.rsplit('/').next().unwrap_or(path);
    Ok(vec![
        Fact::outside(format!("ioctl({name}, NS_GET_NSTYPE)"), Outcome::of(file.kind())?),
        Fact::outside(format!("ioctl({name}, NS_GET_OWNER_UID)"), Outcome::of(file.owner_uid())?),
    ])
}

fn owner(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let child = Child::spawn("child", namespaces, Witness::stay)?;
    let owner = found(NsFile::of(Some(child.pid()), Kind::Uts)?.owner())?;
    Ok(vec![
        Fact::outside("owner of its UTS namespace", owner),
        Fact::outside("its user namespace", namespace::of_kind(Some(child.pid()), Kind::User)?),
        Fact::outside("our user namespace", namespace::of_kind(None, Kind::User)?),
    ])
}

fn ask_from(container: &Child, inside: bool) -> Result<Vec<Fact>> {
    let user = NsFile::of(Some(container.pid()), Kind::User)?;
    let our_uts = NsFile::of(None, Kind::Uts)?;
    let mut asker = Child::spawn("asker", Namespaces::NONE, move |me| {
        if inside {
            user.enter(Some(Kind::User))?;
        }
        me.saw("parent of the user namespace", found(user.parent())?)?;
        me.saw("owner of the UTS namespace outside", found(our_uts.owner())?)
    })?;
    Ok(asker.hear_all()?)
}

fn maker_of_a_user_namespace(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let uid = nix::unistd::getuid().as_raw();
    let mut maker = Child::spawn("maker", Namespaces::NONE, move |me| {
        resource::unshare_and_prepare(namespaces, Kind::User)?;
        me.saw("its owner's user ID", NsFile::of(None, Kind::User)?.owner_uid()?)?;
        me.stay()
    })?;
    let inside = maker.hear()?;
    let outside = NsFile::of(Some(maker.pid()), Kind::User)?.owner_uid()?;
    Ok(vec![inside, Fact::outside("its owner's user ID", outside), Fact::outside("getuid()", uid)])
}
