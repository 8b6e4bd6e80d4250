//! The owner and the parent of a namespace: ioctl_ns(2).

use anyhow::Result;
use lesson::{Claim, Lab, Requirement, Step, every, first, hand, inside, outside};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Outcome, Reporter, Value, namespace};

use crate::container::start_container;
use crate::eight::{at_once, list, of_this_kernel};
use crate::resource::{self, MAPPED_UID};

/// The kinds whose namespaces have parents.
const LEVELLED: [Kind; 2] = [Kind::Pid, Kind::User];

const PARENT: Claim = Claim::holds(
    "parent",
    "ioctl(NS_GET_PARENT) opens the parent of a PID or user namespace: the namespace that its creator was in.",
)
.factor("CLONE_NEWPID and CLONE_NEWUSER")
.more(&[5])
.requires(&[Requirement::Namespace(Kind::Pid), Requirement::Namespace(Kind::User)]);

pub(crate) const ASK_FOR_PARENTS: Step = Step {
    title: "Open the parents of a child's PID and user namespaces, and compare them with those of the caller.",
    calls: &["clone3(CLONE_NEWPID|CLONE_NEWUSER)", "ioctl(ns, NS_GET_PARENT)"],
    by_hand: &[
        hand(
            "unshare -Urpf --kill-child sleep 60 & sleep 1; lsns -p $(pgrep -P $!) -t pid -o NS,TYPE,PNS,ONS",
        )
        .prints("NS TYPE PNS ONS\n<ns A> pid <ns B> <user ns>"),
        hand("readlink /proc/$$/ns/pid /proc/$!/ns/user; kill -KILL $!")
            .prints("pid:[<ns B>]\nuser:[<user ns>]"),
    ],
    claims: &[PARENT],
    run: |lab| {
        lab.compare(PARENT, Namespaces::NONE, Namespaces::PID | Namespaces::USER, parents)?.shows(
            outside("parent of its pid namespace")
                .from("EPERM")
                .to_same_as(outside("caller's pid namespace"))
                & outside("parent of its user namespace")
                    .from("EPERM")
                    .to_same_as(outside("caller's user namespace")),
        )
    },
};

const KIND: Claim = Claim::holds("kind", "ioctl(NS_GET_NSTYPE) returns the kind of a namespace.")
    .factor("a namespace of each kind")
    .more(&[7])
    .requires(&[Requirement::Namespace(Kind::User), Requirement::Probe(at_once)]);
const NO_PARENT: Claim = Claim::holds(
    "no-parent",
    "Only PID and user namespaces have a parent; for the other six kinds NS_GET_PARENT fails with EINVAL.",
)
.factor("another kind")
.more(&[5])
.requires(&[
    Requirement::Namespace(Kind::Pid),
    Requirement::Namespace(Kind::User),
    Requirement::Probe(at_once),
]);
const USER_ONLY: Claim = Claim::holds(
    "user-only",
    "NS_GET_OWNER_UID works on user namespaces only; for the other seven kinds it fails with EINVAL.",
)
.factor("another kind")
.more(&[7])
.requires(&[Requirement::Namespace(Kind::User), Requirement::Probe(at_once)]);
const NO_NAMESPACE: Claim =
    Claim::holds("no-namespace", "On a regular file, NS_GET_NSTYPE and NS_GET_OWNER_UID fail with ENOTTY.")
        .factor("a regular file")
        .more(&[8])
        .requires(&[Requirement::Namespace(Kind::User)]);

pub(crate) const ASK_EVERYTHING: Step = Step {
    title: "Call every ioctl on every kind of namespace of a container that has all eight.",
    calls: &[
        "ioctl(ns, NS_GET_NSTYPE)",
        "ioctl(ns, NS_GET_USERNS)",
        "ioctl(ns, NS_GET_PARENT)",
        "ioctl(ns, NS_GET_OWNER_UID)",
        "ioctl(ns, NS_GET_ID)",
    ],
    by_hand: &[
        hand("lsns -t pid -o NS,TYPE,NPROCS,PID,PNS,ONS").prints("NS TYPE NPROCS PID PNS ONS\n… pid …\n…")
    ],
    claims: &[KIND, NO_PARENT, USER_ONLY, NO_NAMESPACE],
    run: |lab| {
        let container = start_container(of_this_kernel())?;
        table(lab, &container)?;
        lab.compare(KIND, false, true, |of_each| kinds_by_ioctl(&container, of_each))?
            .shows(first().is(list(of_this_kernel().kinds())))?;
        let all_but = |few: &[Kind]| of_this_kernel().kinds().filter(|kind| !few.contains(kind)).collect();
        lab.compare(NO_PARENT, LEVELLED.to_vec(), all_but(&LEVELLED), |kinds| {
            answers(&container, &kinds, "NS_GET_PARENT", |file| file.parent().map(drop))
        })?
        .shows(every().is("EINVAL"))?;
        lab.compare(USER_ONLY, vec![Kind::User], all_but(&[Kind::User]), |kinds| {
            answers(&container, &kinds, "NS_GET_OWNER_UID", |file| file.owner_uid().map(drop))
        })?
        .shows(every().is("EINVAL"))?;
        lab.compare(NO_NAMESPACE, "/proc/self/ns/user", "/proc/self/status", ask_a_file)?
            .shows(every().is("ENOTTY"))
    },
};

const OWNER: Claim = Claim::holds(
    "owner",
    "A user namespace owns a UTS namespace that is created together with it: ioctl(NS_GET_USERNS) opens the owner.",
)
.factor("CLONE_NEWUSER")
.more(&[6])
.requires(&[Requirement::Namespace(Kind::User)]);

pub(crate) const ASK_FOR_THE_OWNER: Step = Step {
    title: "Create a UTS namespace without and with a new user namespace, and open its owner.",
    calls: &["clone3(CLONE_NEWUTS)", "clone3(CLONE_NEWUTS|CLONE_NEWUSER)", "ioctl(uts, NS_GET_USERNS)"],
    by_hand: &[hand("unshare -Ur --uts sleep 60 & sleep 1; lsns -p $! -t uts -o NS,TYPE,ONS; readlink /proc/$!/ns/user; kill $!").prints("NS TYPE ONS\n… uts <user ns>\nuser:[<user ns>]"), ],
    claims: &[OWNER],
    run: |lab| {
        lab.compare(OWNER, Namespaces::UTS, Namespaces::UTS | Namespaces::USER, owner)?
            .in_both_arms(outside("owner of its UTS namespace").same_as(outside("its user namespace")))
            .shows(outside("owner of its UTS namespace").differs_from(outside("caller's user namespace")))
    },
};

const OUT_OF_SIGHT: Claim = Claim::holds(
    "out-of-sight",
    "Inside a user namespace, NS_GET_PARENT and NS_GET_USERNS fail with EPERM if they would lead outside it.",
)
.factor("setns(CLONE_NEWUSER)")
.more(&[5, 6])
.requires(&[Requirement::Namespace(Kind::User), Requirement::Probe(at_once)]);

pub(crate) const ASK_FROM_INSIDE: Step = Step {
    title: "Enter a user namespace. From inside, open its parent, and the owner of a UTS namespace outside.",
    calls: &["setns(user, CLONE_NEWUSER)", "ioctl(user, NS_GET_PARENT)", "ioctl(uts, NS_GET_USERNS)"],
    by_hand: &[hand("unshare -Ur lsns -t uts -o NS,TYPE,PNS,ONS").prints("NS TYPE PNS ONS\n… uts 0 0")],
    claims: &[OUT_OF_SIGHT],
    run: |lab| {
        let container = start_container(of_this_kernel())?;
        lab.compare(OUT_OF_SIGHT, false, true, |enters| ask_from(&container, enters))?
            .shows(every().is("EPERM"))
    },
};

const OWNER_UID: Claim = Claim::holds(
    "owner-uid",
    "ioctl(NS_GET_OWNER_UID) returns the creator of a user namespace as a user ID of the caller's user namespace.",
)
.factor("CLONE_NEWUSER and a uid_map")
.more(&[7])
.requires(&[Requirement::Namespace(Kind::User)]);

pub(crate) const ASK_WHO_CREATED_IT: Step = Step {
    title: "Map the user to 4321 in a new user namespace, and read the creator's user ID inside and outside.",
    calls: &[
        "unshare(CLONE_NEWUSER)",
        "write(\"/proc/self/uid_map\", \"4321 UID 1\")",
        "ioctl(user, NS_GET_OWNER_UID)",
    ],
    by_hand: &[],
    claims: &[OWNER_UID],
    run: |lab| {
        lab.compare(OWNER_UID, Namespaces::NONE, Namespaces::USER, creator_of_a_user_namespace)?
            .in_both_arms(outside("its owner's user ID").same_as(outside("getuid()")))
            .shows(inside("its owner's user ID").is(MAPPED_UID))
    },
};

/// The namespace that an ioctl opened, or its errno.
fn found(answer: ns_core::Result<NsFile>) -> ns_core::Result<Value> {
    match answer {
        Ok(file) => Ok(file.id()?.into()),
        refused => Ok(Outcome::of(refused)?.into()),
    }
}

fn parents(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let child = Child::spawn("child", namespaces, Reporter::stay)?;
    let mut facts = Vec::new();
    for kind in LEVELLED {
        let parent = found(NsFile::of(Some(child.pid()), kind)?.parent())?;
        facts.push(Fact::outside(format!("parent of its {kind} namespace"), parent));
        facts.push(Fact::outside(format!("caller's {kind} namespace"), namespace::of_kind(None, kind)?));
    }
    Ok(facts)
}

fn table(lab: &mut Lab, container: &Child) -> Result<()> {
    let mut rows = Vec::new();
    for kind in of_this_kernel().kinds() {
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

/// The kinds that NS_GET_NSTYPE returns: for one namespace of each kind, or as many times for the user namespace.
fn kinds_by_ioctl(container: &Child, of_each: bool) -> Result<Fact> {
    let mut kinds = Vec::new();
    for kind in of_this_kernel().kinds() {
        let asked = if of_each { kind } else { Kind::User };
        kinds.push(NsFile::of(Some(container.pid()), asked)?.kind()?);
    }
    Ok(Fact::outside("kinds by NS_GET_NSTYPE", list(kinds)))
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
    let child = Child::spawn("child", namespaces, Reporter::stay)?;
    let owner = found(NsFile::of(Some(child.pid()), Kind::Uts)?.owner())?;
    Ok(vec![
        Fact::outside("owner of its UTS namespace", owner),
        Fact::outside("its user namespace", namespace::of_kind(Some(child.pid()), Kind::User)?),
        Fact::outside("caller's user namespace", namespace::of_kind(None, Kind::User)?),
    ])
}

fn ask_from(container: &Child, inside: bool) -> Result<Vec<Fact>> {
    let user = NsFile::of(Some(container.pid()), Kind::User)?;
    let uts_outside = NsFile::of(None, Kind::Uts)?;
    let mut asker = Child::spawn("asker", Namespaces::NONE, move |me| {
        if inside {
            user.enter(Some(Kind::User))?;
        }
        me.report("parent of the user namespace", found(user.parent())?)?;
        me.report("owner of the UTS namespace outside", found(uts_outside.owner())?)
    })?;
    Ok(asker.facts()?)
}

fn creator_of_a_user_namespace(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let uid = nix::unistd::getuid().as_raw();
    let mut creator = Child::spawn("creator", Namespaces::NONE, move |me| {
        resource::unshare_and_prepare(namespaces, Kind::User)?;
        me.report("its owner's user ID", NsFile::of(None, Kind::User)?.owner_uid()?)?;
        me.stay()
    })?;
    let inside = creator.fact()?;
    let outside = NsFile::of(Some(creator.pid()), Kind::User)?.owner_uid()?;
    Ok(vec![inside, Fact::outside("its owner's user ID", outside), Fact::outside("getuid()", uid)])
}
