//! The calls that move a process into a namespace: clone3(), unshare() and setns(). ioctl() only finds namespaces.

use std::os::fd::AsFd;

use anyhow::Result;
use lesson::{Claim, Effect, Requirement, Row, Step, first, hand, inside, right, wrong};
use ns_core::child::{self, Call};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, NsId, Outcome, Reporter, Value, namespace};

use crate::container::{pidfd_for_children, start_container};
use crate::eight::{EIGHT, all_at_once, at_once, list, moved, of_this_kernel};

const EIGHT_KINDS: Claim = Claim::holds(
    "eight",
    "There are eight kinds of namespace, each with its own flag and its own link in /proc/PID/ns.",
)
.factor("CLONE_NEW*")
.notes(&[5])
.more(&[1])
.requires(&[Requirement::Probe(all_at_once)]);

pub(crate) const TRY_EACH_FLAG: Step = Step {
    title: "Try the flags one by one, and list the links of a child in /proc/PID/ns that each changes.",
    calls: &["unshare(CLONE_NEW…)", "fork()", "readlink(\"/proc/self/ns/…\")"],
    by_hand: &[hand("readlink /proc/self/ns/uts /proc/self/ns/ipc; unshare -Ur --uts readlink /proc/self/ns/uts /proc/self/ns/ipc").prints("uts:[<ns A>]\nipc:[<ipc>]\nuts:[<ns B>]\nipc:[<ipc>]"), ],
    claims: &[EIGHT_KINDS],
    run: |lab| {
        lab.saw(Fact::outside("ls /proc/self/ns", namespace::names()?))?;
        lab.compare(EIGHT_KINDS, Namespaces::NONE, EIGHT, links_changed_alone)?
            .shows(first().is(list(Kind::ALL)))
    },
};

const CLONE: Claim = Claim::holds(
    "clone3",
    "clone3() creates its child in a new namespace of each kind whose flag it is given.",
)
.factor("CLONE_NEW*")
.notes(&[14])
.requires(&[Requirement::Probe(at_once)]);

pub(crate) const CLONE_INTO_EIGHT: Step = Step {
    title: "Create a child in new namespaces of all eight kinds by a single call.",
    calls: &["clone3(CLONE_NEWCGROUP|CLONE_NEWIPC|CLONE_NEWNET|…)"],
    by_hand: &[],
    claims: &[CLONE],
    run: |lab| {
        let all = of_this_kernel();
        lab.compare(CLONE, Namespaces::NONE, all, links_of_a_child)?.shows(first().is(list(all.kinds())))
    },
};

const LOST_FLAG: Claim = Claim::holds(
    "lost-flag",
    "clone() reads CLONE_NEWTIME as part of the exit signal and creates no time namespace; clone3() creates one.",
)
.factor("clone3()")
.notes(&[14])
.requires(&[Requirement::Namespace(Kind::Time)]);

pub(crate) const LOSE_A_FLAG: Step = Step {
    title: "Pass CLONE_NEWTIME, 0x80, to both calls. The lowest byte of clone()'s flags is the exit signal.",
    calls: &["clone(CLONE_NEWTIME|SIGCHLD)", "clone3(CLONE_NEWTIME)"],
    by_hand: &[],
    claims: &[LOST_FLAG],
    run: |lab| {
        lab.compare(LOST_FLAG, Call::Clone, Call::Clone3, links_of_a_child_by)?.shows(first().is("time"))
    },
};

const UNSHARE_ANY: Claim = Claim::refuted(
    "unshare-any",
    "unshare() moves its caller into new namespaces of every kind.",
    "unshare",
)
.factor("unshare()")
.notes(&[16])
.core(&[Row::inside("caller's new links", OWN_COUNT)])
.asks(
    "A process calls unshare() with the flags of all eight kinds. Of how many do its own links in /proc/self/ns change?",
    &[
        right("of six"),
        wrong("of all eight", "one call takes all flags, and for six kinds the caller does move"),
        wrong("of seven", "PID is known as an exception, and thought to be the only one"),
        wrong("of none: its children move", "`unshare --pid` needs --fork, so all kinds are thought to need it"),
    ],
)
.requires(&[Requirement::Namespace(Kind::Pid), Requirement::Namespace(Kind::Time)]);
const UNSHARE: Claim = Claim::holds(
    "unshare",
    "unshare() moves its caller into the new namespaces; for PID and time, it moves only later children.",
)
.factor("unshare()")
.notes(&[16])
.core(&[Row::inside("only its child's", CHILD_ALONE)])
.asks(
    "After unshare() with all eight flags, and fork(): in which new namespaces is the child, and its parent not?",
    &[
        right("PID and time"),
        wrong("PID", "time namespaces came later, and most texts do not have them"),
        wrong("PID and user", "a user namespace is thought to need a new process too"),
        wrong("none: the child is where its parent is", "this is true for six of the eight kinds"),
    ],
)
.requires(&[Requirement::Namespace(Kind::Pid), Requirement::Namespace(Kind::Time)]);

pub(crate) const UNSHARE_EIGHT: Step = Step {
    title: "Call unshare() for all eight kinds. Compare the links of the caller and of its child before and after.",
    calls: &["unshare(CLONE_NEWCGROUP|CLONE_NEWIPC|CLONE_NEWNET|…)", "fork()"],
    by_hand: &[hand("unshare -Ur --uts --pid sh -c 'readlink /proc/$$/ns/uts /proc/$$/ns/pid /proc/$$/ns/pid_for_children'").prints("uts:[…]\npid:[<ns A>]\npid:[<ns B>]"), ],
    claims: &[UNSHARE_ANY, UNSHARE],
    run: |lab| {
        let all = of_this_kernel();
        let at_once = all.kinds().filter(|kind| !matches!(kind, Kind::Pid | Kind::Time));
        let links = lab.arms(Namespaces::NONE, all, links_after_unshare)?;
        lab.judge(UNSHARE_ANY, links.clone()).shows(inside(OWN_CHANGED).is(list(all.kinds())))?;
        lab.judge(UNSHARE, links)
            .shows(inside(OWN_CHANGED).is(list(at_once)) & inside(CHILDS_CHANGED).is(list(all.kinds())))
    },
};

const SETNS: Claim = Claim::holds(
    "setns",
    "setns() moves its caller into namespaces that exist; for PID, it moves only later children.",
)
.factor("setns()")
.notes(&[15])
.arms("no call", "setns()")
.core(&[Row::inside("only its child's", CHILD_ALONE)])
.asks(
    "A process enters a container's eight namespaces by setns(), and calls fork(). In which is the child, and its parent not?",
    &[
        right("PID"),
        wrong("PID and time", "this is true for unshare()"),
        wrong("none", "setns() is thought to move its caller into all of them"),
        wrong("all eight", "nsenter forks, so all kinds are thought to need it"),
    ],
)
.requires(&[Requirement::Namespace(Kind::Pid), Requirement::Probe(at_once)]);
const ONE_SHOT: Claim =
    Claim::holds("one-shot", "One setns() with a pidfd enters all namespaces of that process at once.")
        .factor("setns(pidfd)")
        .more(&[4])
        .requires(&[Requirement::Probe(at_once)]);

pub(crate) const ENTER_EIGHT: Step = Step {
    title: "Enter the eight namespaces of a container: one after another, then all by one call.",
    calls: &["open(\"/proc/PID/ns/…\")", "setns(ns, CLONE_NEW…)", "setns(pidfd, CLONE_NEW…|CLONE_NEW…)"],
    by_hand: &[hand("unshare -Ur --uts --pid --fork --kill-child sleep 60 &").prints(""), hand("readlink /proc/$!/ns/uts; nsenter -U --preserve-credentials --uts --target $! readlink /proc/self/ns/uts; kill -KILL $!").prints("uts:[<ns>]\nuts:[<ns>]"), ],
    claims: &[SETNS, ONE_SHOT],
    run: |lab| {
        let container = start_container(of_this_kernel())?;
        lab.actor(&container)?;
        lab.compare(SETNS, false, true, |enters| {
            visit(&container, || if enters { enter_one_by_one(&container) } else { Ok(()) })
        })?
        .shows(entered())?;
        let pidfd = pidfd_for_children(&container)?;
        let enter_at_once = || namespace::enter_all_of(pidfd.as_fd(), of_this_kernel());
        lab.compare(ONE_SHOT, false, true, |enters| {
            visit(&container, || if enters { enter_at_once() } else { Ok(()) })
        })?
        .shows(entered())
    },
};

const ALL_OR_NONE: Claim = Claim::holds(
    "all-or-none",
    "One setns() with a pidfd enters every namespace that its flags name or, if one is refused, none.",
)
.factor("a single call")
.more(&[4])
.requires(&[Requirement::Namespace(Kind::User)]);

pub(crate) const ENTER_WHAT_IS_REFUSED: Step = Step {
    title: "Enter a UTS namespace, and the caller's own user namespace, which is refused: by two calls, then by one.",
    calls: &[
        "setns(pidfd, CLONE_NEWUTS)",
        "setns(pidfd, CLONE_NEWUSER)",
        "setns(pidfd, CLONE_NEWUTS|CLONE_NEWUSER)",
    ],
    by_hand: &[],
    claims: &[ALL_OR_NONE],
    run: |lab| {
        let container = start_container(Namespaces::UTS)?;
        let (two_calls, one_call) =
            (vec![Namespaces::UTS, Namespaces::USER], vec![Namespaces::UTS | Namespaces::USER]);
        lab.compare(ALL_OR_NONE, two_calls, one_call, |calls| enter_what_is_refused(&container, &calls))?
            .in_both_arms(inside(UTS_ALONE).is("OK"))
            .shows(inside("links that changed").is("none"))
    },
};

const IOCTL_MOVES: Claim =
    Claim::refuted("ioctl-moves", "ioctl() changes which namespaces a process is in.", "ioctl-finds")
        .factor("ioctl(NS_GET_*)")
        .notes(&[17])
        .requires(&[Requirement::Namespace(Kind::User), Requirement::Probe(at_once)]);

pub(crate) const ASK_EVERY_IOCTL: Step = Step {
    title: "Call every ioctl on the container's namespaces, and compare the caller's own namespaces before and after.",
    calls: &[
        "ioctl(ns, NS_GET_NSTYPE)",
        "ioctl(ns, NS_GET_USERNS)",
        "ioctl(ns, NS_GET_PARENT)",
        "ioctl(ns, NS_GET_OWNER_UID)",
    ],
    by_hand: &[hand("lsns -p $$ -t uts -o NS,TYPE,ONS,PNS; readlink /proc/$$/ns/uts")
        .prints("NS TYPE ONS PNS\n<ns> uts …\nuts:[<ns>]")],
    claims: &[IOCTL_MOVES],
    run: |lab| {
        let container = start_container(of_this_kernel())?;
        lab.compare(IOCTL_MOVES, false, true, |asks| ask_and_look(&container, asks))?
            .shows(inside("links that changed").is_not("none"))
    },
};

const IOCTL_FINDS: Claim = Claim::holds(
    "ioctl-finds",
    "ioctl(NS_GET_USERNS) only opens the owner of a namespace; setns() with that descriptor moves the caller.",
)
.factor("setns()")
.notes(&[17])
.requires(&[Requirement::Namespace(Kind::User), Requirement::Probe(at_once)]);

pub(crate) const FIND_BY_IOCTL: Step = Step {
    title: "Open the container's user namespace by its UTS namespace. Then enter it.",
    calls: &["ioctl(uts, NS_GET_USERNS)", "setns(user, CLONE_NEWUSER)"],
    by_hand: &[],
    claims: &[IOCTL_FINDS],
    run: |lab| {
        let container = start_container(of_this_kernel())?;
        lab.compare(IOCTL_FINDS, false, true, |enters| {
            visit(&container, || {
                let owner = NsFile::of(Some(container.pid()), Kind::Uts)?.owner()?;
                if enters { owner.enter(Some(Kind::User)) } else { Ok(()) }
            })
        })?
        .shows(inside(OWN_ALIKE).is("user"))
    },
};

/// The kinds among `flags` whose flag changes their own link in a child, and no other link.
fn links_changed_alone(flags: Namespaces) -> Result<Fact> {
    let mut alone = Vec::new();
    for kind in Kind::ALL {
        let facts = links_after_unshare(flags & Namespaces::only(kind))?;
        let of_child = facts.iter().find(|fact| fact.what == CHILDS_CHANGED);
        alone.extend(of_child.filter(|fact| fact.value == *kind.link()).map(|_| kind));
    }
    Ok(Fact::inside("child", "kinds whose flag changes their link", list(alone)))
}

fn links_of_a_child(namespaces: Namespaces) -> Result<Fact> {
    let child = Child::spawn("child", namespaces, Reporter::stay)?;
    let changed = moved(&namespace::of(None)?, &namespace::of(Some(child.pid()))?);
    Ok(Fact::outside("links that differ from the parent's", list(changed)))
}

fn links_of_a_child_by(call: Call) -> Result<Fact> {
    let links = child::clone_with_flags(call, Namespaces::TIME.bits())?;
    Ok(Fact::outside("links that differ from the parent's", list(moved(&namespace::of(None)?, &links))))
}

const OWN_CHANGED: &str = "its own links that change";
const CHILDS_CHANGED: &str = "links of its child that change";
const OWN_COUNT: &str = "count of its own that change";
const CHILD_ALONE: &str = "links that only its child has";

fn links_after_unshare(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut caller = Child::spawn("caller", Namespaces::NONE, move |me| {
        let before = namespace::of(None)?;
        namespace::unshare(namespaces)?;
        let own = moved(&before, &namespace::of(None)?);
        me.report(OWN_CHANGED, list(own.iter().copied()))?;
        let count = format!("{} of {}", own.len(), before.len());
        let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
            report_of_child(me, CHILDS_CHANGED, moved(&before, &namespace::of(None)?), &own)
        })?;
        me.send(child.fact()?)?;
        me.report(OWN_COUNT, count)?;
        me.send(child.fact()?)
    })?;
    Ok(caller.facts()?)
}

const OWN_ALIKE: &str = "its own links that equal the container's";
const CHILDS_ALIKE: &str = "links of its child that equal the container's";

/// A visitor is in all eight namespaces except PID. Its next child is in all eight.
fn entered() -> Effect {
    let all = of_this_kernel();
    let at_once = all.kinds().filter(|kind| *kind != Kind::Pid);
    inside(OWN_ALIKE).is(list(at_once)) & inside(CHILDS_ALIKE).is(list(all.kinds()))
}

/// The namespaces of the container that a visitor and the visitor's child are in after `enter`.
fn visit(container: &Child, enter: impl FnOnce() -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    let containers = namespace::of(Some(container.pid()))?;
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, move |me| {
        enter()?;
        let own = alike(&containers)?;
        me.report(OWN_ALIKE, list(own.iter().copied()))?;
        let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
            report_of_child(me, CHILDS_ALIKE, alike(&containers)?, &own)
        })?;
        me.send(child.fact()?)?;
        me.send(child.fact()?)
    })?;
    Ok(visitor.facts()?)
}

/// Reports as `what` the kinds `of_child`, and then those that are not among its parent's `own`.
fn report_of_child(me: &mut Reporter, what: &str, of_child: Vec<Kind>, own: &[Kind]) -> ns_core::Result<()> {
    me.report(what, list(of_child.iter().copied()))?;
    me.report(CHILD_ALONE, list(of_child.into_iter().filter(|kind| !own.contains(kind))))
}

fn alike(containers: &[NsId]) -> ns_core::Result<Vec<Kind>> {
    let own = namespace::of(None)?;
    Ok(containers.iter().filter(|id| own.contains(id)).map(|id| id.kind).collect())
}

fn enter_one_by_one(container: &Child) -> ns_core::Result<()> {
    // The user namespace first: membership gives the capabilities that the other seven kinds need.
    let mut order: Vec<Kind> = of_this_kernel().kinds().collect();
    order.sort_by_key(|kind| *kind != Kind::User);
    let files: Vec<_> =
        order.iter().map(|kind| NsFile::of(Some(container.pid()), *kind)).collect::<ns_core::Result<_>>()?;
    order.into_iter().zip(&files).try_for_each(|(kind, file)| file.enter(Some(kind)))
}

/// The fact that shows that setns() for UTS alone succeeds: so the refusal is about the user namespace.
const UTS_ALONE: &str = "setns(pidfd, CLONE_NEWUTS), by another";

fn enter_what_is_refused(container: &Child, calls: &[Namespaces]) -> Result<Vec<Fact>> {
    let pidfd = pidfd_for_children(container)?;
    let mut other = Child::spawn("other visitor", Namespaces::NONE, |me| {
        me.report(UTS_ALONE, Outcome::of(namespace::enter_all_of(pidfd.as_fd(), Namespaces::UTS))?)
    })?;
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        let before = namespace::of(None)?;
        let mut answers = Vec::new();
        for namespaces in calls {
            let answer = Outcome::of(namespace::enter_all_of(pidfd.as_fd(), *namespaces))?;
            answers.push((format!("setns(pidfd, {})", namespaces.as_typed()), answer));
        }
        me.report("links that changed", list(moved(&before, &namespace::of(None)?)))?;
        answers.into_iter().try_for_each(|(call, answer)| me.report(call, answer))
    })?;
    let mut facts = visitor.facts()?;
    facts.push(other.fact()?);
    Ok(facts)
}

fn ask_and_look(container: &Child, asks: bool) -> Result<Vec<Fact>> {
    let mut asker = Child::spawn("asker", Namespaces::NONE, move |me| {
        let before = namespace::of(None)?;
        let answers = if asks { ask_every_ioctl(container)? } else { Vec::new() };
        me.report("links that changed", list(moved(&before, &namespace::of(None)?)))?;
        answers.into_iter().try_for_each(|(call, answer)| me.report(call, answer))
    })?;
    Ok(asker.facts()?)
}

fn ask_every_ioctl(container: &Child) -> ns_core::Result<Vec<(&'static str, Value)>> {
    let user = NsFile::of(Some(container.pid()), Kind::User)?;
    let uts = NsFile::of(Some(container.pid()), Kind::Uts)?;
    Ok(vec![
        ("ioctl(uts, NS_GET_NSTYPE)", uts.kind()?.flag().into()),
        ("ioctl(uts, NS_GET_USERNS)", uts.owner()?.id()?.into()),
        ("ioctl(user, NS_GET_PARENT)", user.parent()?.id()?.into()),
        ("ioctl(user, NS_GET_OWNER_UID)", user.owner_uid()?.into()),
    ])
}
