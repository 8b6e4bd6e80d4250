//! The calls that bring a process into a namespace: clone3(), unshare(), setns(); and ioctl(), which does not.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::Result;
use lesson::{Claim, Lab, Step};
use ns_core::child::{self, Call};
use ns_core::{
    Child, Fact, Kind, Named, Namespaces, NsFile, NsId, Outcome, Spawn, Value, Witness, namespace,
};

use crate::{EIGHT, list, moved};

pub(crate) const EIGHT_KINDS: Claim = Claim::holds(
    "eight",
    "There are eight kinds of namespace, each with a flag of its own and a link in /proc/PID/ns.",
)
.cause("CLONE_NEW*")
.notes(&[5])
.more(&[1]);
pub(crate) const CLONE: Claim = Claim::holds(
    "clone3",
    "clone3() makes its child in a new namespace of each kind whose flag it is given.",
)
.cause("CLONE_NEW*")
.notes(&[14]);
pub(crate) const LOST_FLAG: Claim = Claim::holds(
    "lost-flag",
    "clone() takes CLONE_NEWTIME for a part of the exit signal and makes no time namespace; clone3() makes one.",
)
.cause("clone3()")
.notes(&[14])
.more(&[16])
;
pub(crate) const UNSHARE_ANY: Claim = Claim::refuted(
    "unshare-any",
    "unshare() changes the namespaces of the process that calls it, whatever their kind.",
    "unshare",
)
.cause("unshare()")
.notes(&[16])
.misconceptions(&[("its own links that change = cgroup ipc net mnt pid time user uts; links of its child that change = cgroup ipc net mnt pid time user uts", "one call takes the flags of all eight kinds, and for six of them the caller does move")]);
pub(crate) const UNSHARE: Claim = Claim::holds(
    "unshare",
    "unshare() moves its caller into the new namespaces; for PID and time, its next children instead.",
)
.cause("unshare()")
.notes(&[16]);
pub(crate) const SETNS: Claim = Claim::holds(
    "setns",
    "setns() moves its caller into namespaces that exist; for PID, its next children instead.",
)
.cause("setns()")
.notes(&[15]);
pub(crate) const ONE_SHOT: Claim =
    Claim::holds("one-shot", "One setns() with a pidfd enters all namespaces of that process at once.")
        .cause("setns(pidfd)")
        .more(&[4]);
pub(crate) const ALL_OR_NONE: Claim = Claim::holds(
    "all-or-none",
    "One setns() with a pidfd enters every namespace that it names or, if one is refused, none.",
)
.cause("a single call")
.more(&[4]);
pub(crate) const IOCTL_MOVES: Claim =
    Claim::refuted("ioctl-moves", "ioctl() changes which namespaces a process is in.", "ioctl-finds")
        .cause("ioctl(NS_GET_*)")
        .notes(&[17]);
pub(crate) const IOCTL_FINDS: Claim = Claim::holds(
    "ioctl-finds",
    "ioctl() finds a namespace by another and opens it; setns() with that descriptor moves the caller.",
)
.cause("setns()")
.notes(&[17]);

pub(crate) fn run(lab: &mut Lab, container: &Child) -> Result<()> {
    lab.step(Step {
        goal: "Try the flags one by one: which links of a child in /proc/PID/ns does each change?",
        calls: &["unshare(CLONE_NEW…)", "fork()", "readlink(\"/proc/self/ns/…\")"],
        by_hand: &["ls -l /proc/self/ns; unshare -Ur --uts ls -l /proc/self/ns"],
    })?;
    lab.saw(Fact::outside("ls /proc/self/ns", namespace::names()?))?;
    lab.claim(EIGHT_KINDS)
        .without(links_changed_alone(|_| Namespaces::NONE)?)
        .with(links_changed_alone(Kind::only)?)
        .shows(|kinds| kinds.value() == &list(Kind::ALL))?;

    lab.step(Step {
        goal: "Make a child in new namespaces of all eight kinds by a single call.",
        calls: &["clone3(CLONE_NEWCGROUP|CLONE_NEWIPC|CLONE_NEWNET|…)"],
        by_hand: &[],
    })?;
    lab.claim(CLONE)
        .without(links_of_a_child(Namespaces::NONE)?)
        .with(links_of_a_child(EIGHT)?)
        .shows(|links| links.value() == &list(Kind::ALL))?;

    lab.step(Step {
        goal: "Give CLONE_NEWTIME, 0x80, to both calls. The lowest byte of clone()'s flags is the exit signal.",
        calls: &["clone(CLONE_NEWTIME|SIGCHLD)", "clone3(CLONE_NEWTIME)"],
        by_hand: &[],
    })?;
    lab.claim(LOST_FLAG)
        .without(links_of_a_child_by(Call::Clone)?)
        .with(links_of_a_child_by(Call::Clone3)?)
        .shows(|links| *links == "time")?;

    lab.step(Step {
        goal: "Unshare all eight in one process. Which of its own links change, and which of its child's?",
        calls: &["unshare(CLONE_NEWCGROUP|CLONE_NEWIPC|CLONE_NEWNET|…)", "fork()"],
        by_hand: &["unshare -Ur --uts --pid sh -c 'ls -l /proc/$$/ns'"],
    })?;
    let (without, with) = (links_after_unshare(Namespaces::NONE)?, links_after_unshare(EIGHT)?);
    lab.claim(UNSHARE_ANY)
        .without(without.clone())
        .with(with.clone())
        .shows(|links| links.value() == &list(Kind::ALL))?;
    lab.claim(UNSHARE).without(without).with(with).shows(|links| {
        *links == "cgroup ipc net mnt user uts"
            && links.inside("links of its child that change") == Some(&list(Kind::ALL))
    })?;

    lab.step(Step {
        goal: "A container holds eight namespaces. A visitor enters them, one after another and then all at once.",
        calls: &["open(\"/proc/PID/ns/…\")", "setns(ns, CLONE_NEW…)", "setns(pidfd, CLONE_NEW…|CLONE_NEW…)"],
        by_hand: &[
            "unshare -Ur --uts --pid --fork --kill-child sleep 60 &",
            "nsenter -U --preserve-credentials --uts --target $! ls -l /proc/self/ns; ls -l /proc/$!/ns",
        ],
    })?;
    lab.actor(container)?;
    let stay_out: Visit = |_| Ok(());
    let entered = |links: &lesson::Observation| {
        *links == "cgroup ipc net mnt time user uts"
            && links.inside("links of its child that are the container's") == Some(&list(Kind::ALL))
    };
    lab.claim(SETNS)
        .without(visit(container, stay_out)?)
        .with(visit(container, enter_one_by_one)?)
        .shows(entered)?;
    let pidfd = pidfd_for_children(container)?;
    lab.claim(ONE_SHOT)
        .without(visit(container, stay_out)?)
        .with(visit(container, |_| namespace::enter_all_of(pidfd.as_fd(), EIGHT))?)
        .shows(entered)?;

    lab.step(Step {
        goal: "Enter a UTS namespace and, which is refused, the user namespace that we are in: by two calls and by one.",
        calls: &["setns(pidfd, CLONE_NEWUTS)", "setns(pidfd, CLONE_NEWUSER)", "setns(pidfd, CLONE_NEWUTS|CLONE_NEWUSER)"],
        by_hand: &[],
    })?;
    let half = Spawn::new("half a container").namespaces_always(Namespaces::UTS).run(Witness::stay)?;
    lab.claim(ALL_OR_NONE)
        .without(enter_what_is_refused(&half, &[Namespaces::UTS, Namespaces::USER])?)
        .with(enter_what_is_refused(&half, &[Namespaces::UTS.union(Namespaces::USER)])?)
        .shows(|links| *links == "none")?;

    lab.step(Step {
        goal: "Ask every ioctl about the container's namespaces, and look whether our own have changed.",
        calls: &[
            "ioctl(ns, NS_GET_NSTYPE)",
            "ioctl(ns, NS_GET_USERNS)",
            "ioctl(ns, NS_GET_PARENT)",
            "ioctl(ns, NS_GET_OWNER_UID)",
        ],
        by_hand: &["lsns -p $$ -o NS,TYPE,ONS,PNS"],
    })?;
    let (nothing, asked) =
        (ask_and_look(container, |_| Ok(vec![]))?, ask_and_look(container, ask_every_ioctl)?);
    lab.claim(IOCTL_MOVES).without(nothing).with(asked).shows(|links| *links != "none")?;

    lab.step(Step {
        goal: "Find the container's user namespace by its UTS namespace. Open it so; then enter what was opened.",
        calls: &["ioctl(uts, NS_GET_USERNS)", "setns(user, CLONE_NEWUSER)"],
        by_hand: &[],
    })?;
    let find = |enters: bool| {
        visit(container, move |container| {
            let owner = NsFile::of(Some(container.pid()), Kind::Uts)?.owner()?;
            if enters { owner.enter(Some(Kind::User)) } else { Ok(()) }
        })
    };
    lab.claim(IOCTL_FINDS).without(find(false)?).with(find(true)?).shows(|links| *links == "user")?;
    Ok(())
}

/// The kinds whose flag changes their own link in a child, and no other.
fn links_changed_alone(flags: fn(Kind) -> Namespaces) -> Result<Fact> {
    let mut alone = Vec::new();
    for kind in Kind::ALL {
        let facts = links_after_unshare(flags(kind))?;
        let of_child = facts.iter().find(|fact| fact.what == "links of its child that change");
        alone.extend(of_child.filter(|fact| fact.value == *kind.link()).map(|_| kind));
    }
    Ok(Fact::inside("child", "kinds whose flag changes their link", list(alone)))
}

fn links_of_a_child(namespaces: Namespaces) -> Result<Fact> {
    let child = Child::spawn("child", namespaces, Witness::stay)?;
    let changed = moved(&namespace::of(None)?, &namespace::of(Some(child.pid()))?);
    Ok(Fact::outside("links of the child that differ from ours", list(changed)))
}

fn links_of_a_child_by(call: Call) -> Result<Fact> {
    let born = child::born_by(call, Namespaces::TIME.bits())?;
    Ok(Fact::outside("links of the child that differ from ours", list(moved(&namespace::of(None)?, &born))))
}

fn links_after_unshare(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut caller = Child::spawn("caller", Namespaces::NONE, move |me| {
        let before = namespace::of(None)?;
        namespace::unshare(namespaces)?;
        me.saw("its own links that change", list(moved(&before, &namespace::of(None)?)))?;
        let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
            me.saw("links of its child that change", list(moved(&before, &namespace::of(None)?)))
        })?;
        me.tell(child.hear()?)
    })?;
    Ok(caller.hear_all()?)
}

type Visit = fn(&Child) -> ns_core::Result<()>;

/// Which of the container's namespaces a visitor and the visitor's child are in, once the visitor came its way.
fn visit(container: &Child, enter: impl FnOnce(&Child) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    let theirs = namespace::of(Some(container.pid()))?;
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, move |me| {
        enter(container)?;
        me.saw("its own links that are the container's", list(alike(&theirs)?))?;
        let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
            me.saw("links of its child that are the container's", list(alike(&theirs)?))
        })?;
        me.tell(child.hear()?)
    })?;
    Ok(visitor.hear_all()?)
}

/// A pidfd that our children keep. They close the one that the guard has, with all that tells them of our death.
pub(crate) fn pidfd_for_children(of: &Child) -> Result<OwnedFd> {
    Ok(of.pidfd().try_clone_to_owned().named(|| "dup(pidfd)".into())?)
}

fn alike(theirs: &[NsId]) -> ns_core::Result<Vec<Kind>> {
    let ours = namespace::of(None)?;
    Ok(theirs.iter().filter(|id| ours.contains(id)).map(|id| id.kind).collect())
}

fn enter_one_by_one(container: &Child) -> ns_core::Result<()> {
    // The user namespace first: membership gives the capabilities that the other seven ask for.
    let mut order = Kind::ALL;
    order.sort_by_key(|kind| *kind != Kind::User);
    let files: Vec<_> =
        order.iter().map(|kind| NsFile::of(Some(container.pid()), *kind)).collect::<ns_core::Result<_>>()?;
    order.into_iter().zip(&files).try_for_each(|(kind, file)| file.enter(Some(kind)))
}

fn enter_what_is_refused(container: &Child, calls: &[Namespaces]) -> Result<Vec<Fact>> {
    let pidfd = pidfd_for_children(container)?;
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        let before = namespace::of(None)?;
        let mut answers = Vec::new();
        for namespaces in calls {
            let answer = Outcome::of(namespace::enter_all_of(pidfd.as_fd(), *namespaces))?;
            answers.push((format!("setns(pidfd, {})", namespaces.as_typed()), answer));
        }
        me.saw("links that changed", list(moved(&before, &namespace::of(None)?)))?;
        answers.into_iter().try_for_each(|(call, answer)| me.saw(call, answer))
    })?;
    Ok(visitor.hear_all()?)
}

type Answers = Vec<(&'static str, Value)>;

fn ask_and_look(container: &Child, ask: fn(&Child) -> ns_core::Result<Answers>) -> Result<Vec<Fact>> {
    let mut asker = Child::spawn("asker", Namespaces::NONE, move |me| {
        let before = namespace::of(None)?;
        let answers = ask(container)?;
        me.saw("links that changed", list(moved(&before, &namespace::of(None)?)))?;
        answers.into_iter().try_for_each(|(call, answer)| me.saw(call, answer))
    })?;
    Ok(asker.hear_all()?)
}

fn ask_every_ioctl(container: &Child) -> ns_core::Result<Answers> {
    let user = NsFile::of(Some(container.pid()), Kind::User)?;
    let uts = NsFile::of(Some(container.pid()), Kind::Uts)?;
    Ok(vec![
        ("ioctl(uts, NS_GET_NSTYPE)", uts.kind()?.flag().into()),
        ("ioctl(uts, NS_GET_USERNS)", uts.owner()?.id()?.into()),
        ("ioctl(user, NS_GET_PARENT)", user.parent()?.id()?.into()),
        ("ioctl(user, NS_GET_OWNER_UID)", user.owner_uid()?.into()),
    ])
}
