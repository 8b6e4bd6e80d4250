//! The privilege to enter, the order of the calls, and the descriptors.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;

use anyhow::Result;
use lesson::{Claim, Effect, Lab, Picture, Row, Step, hand, inside, right, wrong};
use ns_core::{
    Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Reporter, Value, namespace, process, uts,
};

use crate::answers::show_answers;
use crate::container::{NAME, kinds, of, of_all_kinds, pidfd_for_children, start, take_name};

const BOTH: Namespaces = Namespaces::USER.union(Namespaces::UTS);

const USER_FIRST: Claim = Claim::holds(
    "user-first",
    "Without capabilities, setns() into a UTS namespace succeeds only after setns() into the user namespace that owns it.",
)
.factor("setns(user) before setns(uts)")
.more(&[19])
.arms("UTS first", "user first")
.core(&[Row::inside("setns(uts)", "setns(uts)")])
.asks(
    "Without capabilities, you enter a container's user namespace, and the UTS namespace that it owns. In which order?",
    &[
        right("user first"),
        wrong("UTS first", "nsenter is thought to follow the order of its options; it sorts them"),
        wrong("in either order", "each call is thought to be checked by itself"),
        wrong("in neither: setns() is for root", "setns(2) needs CAP_SYS_ADMIN; the user namespace gives it"),
    ],
);
const TOO_EARLY: Claim = Claim::holds(
    "too-early",
    "After setns() into a user namespace, setns() into a UTS namespace that its parent owns fails with EPERM.",
)
.factor("setns(user) before setns(uts)")
.more(&[19]);
const NO_ORDER: Claim = Claim::holds(
    "no-order",
    "One setns() with a pidfd enters a user and a UTS namespace, whichever order separate calls need.",
)
.factor("a single call")
.more(&[4]);

pub(crate) const ENTER_IN_EACH_ORDER: Step = Step {
    title: "Enter the user and UTS namespaces of two containers: user first, user last, and both at once. The first \
            container's user namespace owns its UTS namespace, and the visitor has no capability. The parent user \
            namespace owns the second container's UTS namespace, and the visitor is privileged.",
    calls: &[
        "setns(user, CLONE_NEWUSER)",
        "setns(uts, CLONE_NEWUTS)",
        "setns(pidfd, CLONE_NEWUSER|CLONE_NEWUTS)",
    ],
    by_hand: &[
        hand("nsenter --uts --target $c hostname").prints("EPERM").in_the_same_shell(),
        hand("nsenter -U --preserve-credentials --uts --target $c hostname").prints("container"),
    ],
    claims: &[USER_FIRST, TOO_EARLY, NO_ORDER],
    run: |lab| {
        uts::set_hostname("outside")?;
        let owned = start(BOTH, take_name)?;
        let owned_by_parent = start(Namespaces::UTS, || {
            take_name()?;
            // The UTS namespace exists already, so the new user namespace does not own it.
            namespace::unshare(Namespaces::USER)
        })?;
        let first = |way| visit(&owned, false, way);
        let second = |way| visit(&owned_by_parent, true, way);
        show_hostnames(lab, first, second)?;
        lab.compare(USER_FIRST, Way::UserLast, Way::UserFirst, first)?
            .in_both_arms(inside("setns(user)").is("OK"))
            .shows(inside("setns(uts)").from("EPERM").to("OK") & inside("hostname").is(NAME))?;
        lab.compare(TOO_EARLY, Way::UserLast, Way::UserFirst, second)?
            .in_both_arms(inside("setns(user)").is("OK"))
            .shows(inside("setns(uts)").from("OK").to("EPERM"))?;
        // The control enters each container in the order that fails.
        lab.compare(NO_ORDER, [Way::UserLast, Way::UserFirst], [Way::AtOnce; 2], |[own, other]| {
            let (first, second) = (first(own)?, second(other)?);
            Ok([
                Fact::inside("visitor", "hostname, first container", hostname_in(&first)),
                Fact::inside("visitor", "hostname, second container", hostname_in(&second)),
                Fact::inside("visitor", "setns(), first container", answer_of_uts(&first)),
                Fact::inside("visitor", "setns(), second container", answer_of_uts(&second)),
            ])
        })?
        .shows(
            inside("hostname, first container").is(NAME)
                & inside("hostname, second container").is(NAME)
                & inside("setns(), first container").from("EPERM").to("OK")
                & inside("setns(), second container").from("EPERM").to("OK"),
        )
    },
};

const STRANGER: Claim = Claim::holds(
    "stranger",
    "Root of a sibling user namespace cannot enter a container's namespaces (EPERM) or open ns/uts (EACCES).",
)
.factor("CLONE_NEWUSER")
.more(&[2, 19]);

pub(crate) const ENTER_FROM_A_SIBLING: Step = Step {
    title: "Try to enter all eight namespaces of a container: with privilege in its parent user namespace, and as root of a sibling user namespace.",
    calls: &["unshare(CLONE_NEWUSER)", "open(\"/proc/PID/ns/uts\")", "setns(ns, CLONE_NEW…)"],
    by_hand: &[hand("unshare -Ur nsenter --uts --target $c hostname  # EACCES or EPERM, as nsenter asks by /proc or by a pidfd").prints("nsenter: …").in_the_same_shell(), ],
    claims: &[STRANGER],
    run: |lab| {
        let container = start(of_all_kinds(), || Ok(()))?;
        let answers =
            lab.arms(Namespaces::NONE, Namespaces::USER, |namespaces| try_each(&container, namespaces))?;
        show_answers(lab, ["privileged in the parent", "root of a sibling"], &answers)?;
        lab.judge(STRANGER, answers).shows(refuses_all())
    },
};

const MEMBERLESS: Claim = Claim::holds(
    "memberless",
    "After the last member ends, setns() enters a UTS namespace by ns/uts; by pidfd it fails with ESRCH.",
)
.factor("a descriptor of the namespace")
.more(&[4])
.arms("by pidfd", "by ns/uts")
.core(&[Row::inside("no members: setns()", "setns()")])
.asks(
    "The last process of a namespace has ended. You have its pidfd, and its ns/uts open. By which can you enter?",
    &[
        right("by ns/uts alone"),
        wrong("by the pidfd alone", "a pidfd enters all kinds at once, so it is thought to do more"),
        wrong("by both", "both refer to the namespace of the same process"),
        wrong("by neither", "a namespace is thought to end with its last process"),
    ],
);

pub(crate) const ENTER_WITHOUT_MEMBERS: Step = Step {
    title: "End the only member of a UTS namespace. Enter the namespace by the member's pidfd, then by its ns/uts, opened before.",
    calls: &[
        "open(\"/proc/PID/ns/uts\")",
        "waitid(PID)",
        "setns(pidfd, CLONE_NEWUTS)",
        "setns(uts, CLONE_NEWUTS)",
    ],
    by_hand: &[hand("unshare -Ur --uts sh -c 'hostname container; exec sleep 60' & sleep 1; exec 8</proc/$!/ns/user 9</proc/$!/ns/uts; kill $!; wait $!").prints("").in_the_same_shell(), hand("nsenter --user=/proc/self/fd/8 --uts=/proc/self/fd/9 --preserve-credentials hostname; exec 8<&- 9<&-").prints("container"), ],
    claims: &[MEMBERLESS],
    run: |lab| {
        uts::set_hostname("outside")?;
        let mut ended = start(Namespaces::UTS, take_name)?;
        let (uts, pidfd) = (of(&ended, Kind::Uts)?, pidfd_for_children(&ended)?);
        ended.wake()?;
        ended.wait()?;
        lab.compare(MEMBERLESS, false, true, |by_file| enter_without_members(&uts, pidfd.as_fd(), by_file))?
            .shows(inside("setns()").from("ESRCH").to("OK") & inside("hostname").is(NAME))
    },
};

const SOCKET: Claim = Claim::holds(
    "socket",
    "ioctl(socket, SIOCGSKNS) returns the network namespace that a socket was created in, even one without members.",
)
.factor("a socket of another network namespace")
.more(&[13]);

pub(crate) const FOLLOW_A_SOCKET: Step = Step {
    title: "Create a socket in a new network namespace and return from there. Then enter the namespace by the socket.",
    calls: &["socket(AF_UNIX)", "ioctl(socket, SIOCGSKNS)", "setns(net, CLONE_NEWNET)"],
    by_hand: &[hand("unshare -Ur --net /usr/bin/python3 -c 'import ctypes,fcntl,os,socket; c=ctypes.CDLL(None); home=os.open(\"/proc/self/ns/net\",0); c.unshare(0x40000000); s=socket.socket(socket.AF_UNIX); c.setns(home,0); print(os.fstat(home).st_ino, os.fstat(fcntl.ioctl(s,0x894c)).st_ino)'").prints("<ns A> <ns B>").in_the_same_shell(), ],
    claims: &[SOCKET],
    run: |lab| {
        let entered = || inside("/proc/self/ns/net after setns()");
        lab.compare(SOCKET, Namespaces::NONE, Namespaces::NET, follow_a_socket)?
            .in_both_arms(inside("ioctl(socket, SIOCGSKNS)").same_as(entered()))
            .shows(inside("/proc/self/ns/net before").differs_from(entered()))
    },
};

/// How a visitor enters a user and a UTS namespace.
#[derive(Clone, Copy)]
enum Way {
    UserFirst,
    UserLast,
    AtOnce,
}

/// Shows the hostname that a visitor to each container reads, for each way to enter.
fn show_hostnames(
    lab: &mut Lab,
    first: impl Fn(Way) -> Result<Vec<Fact>>,
    second: impl Fn(Way) -> Result<Vec<Fact>>,
) -> Result<()> {
    let mut rows = vec![vec![Value::from("first: no capability")], vec![Value::from("second: privileged")]];
    for way in [Way::UserFirst, Way::UserLast, Way::AtOnce] {
        rows[0].push(hostname_in(&first(way)?));
        rows[1].push(hostname_in(&second(way)?));
    }
    lab.picture(
        Picture::Heat(1),
        "The hostname that the visitor reads: container or outside",
        &["container: visitor", "user first", "user last", "at once"],
        rows,
    )
}

/// The last fact of a visit: the hostname.
fn hostname_in(visit: &[Fact]) -> Value {
    visit.last().map_or("none".into(), |fact| fact.value.clone())
}

/// The outcome of the setns() call that includes the UTS namespace.
fn answer_of_uts(visit: &[Fact]) -> Value {
    let call = visit.iter().find(|fact| fact.what.starts_with("setns(") && fact.what.contains("uts"));
    call.map_or("none".into(), |fact| fact.value.clone())
}

/// setns() fails for each kind with EPERM, and open() of the link with EACCES.
fn refuses_all() -> Effect {
    let link = inside("open(\"/proc/PID/ns/uts\")").is("EACCES");
    kinds().fold(link, |effect, kind| effect & inside(format!("setns({kind})")).is("EPERM"))
}

/// The outcomes of a visitor's setns() calls, and the hostname that it reads after them.
fn visit(container: &Child, capable: bool, way: Way) -> Result<Vec<Fact>> {
    let [user, uts] = [of(container, Kind::User)?, of(container, Kind::Uts)?];
    let pidfd = pidfd_for_children(container)?;
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        if !capable {
            process::drop_all_capabilities()?;
        }
        let enter = |me: &mut Reporter, kind: Kind, file: &NsFile| {
            me.report(format!("setns({kind})"), Outcome::of(file.enter(Some(kind)))?)
        };
        match way {
            Way::UserFirst => {
                enter(me, Kind::User, &user)?;
                enter(me, Kind::Uts, &uts)?;
            }
            Way::UserLast => {
                enter(me, Kind::Uts, &uts)?;
                enter(me, Kind::User, &user)?;
            }
            Way::AtOnce => {
                me.report("setns(user and uts)", Outcome::of(namespace::enter_all_of(pidfd.as_fd(), BOTH))?)?;
            }
        }
        me.report("hostname", uts::hostname())
    })?;
    Ok(visitor.facts()?)
}

/// Tries to enter each namespace, and to open one link, from new `namespaces`.
fn try_each(container: &Child, namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut answers = Vec::new();
    for kind in kinds() {
        // The parent opens the link, so that setns() can be tried where the visitor cannot open it.
        let file = of(container, kind)?;
        let mut visitor = Child::spawn("visitor", namespaces, |me| {
            me.report(format!("setns({kind})"), Outcome::of(file.enter(Some(kind)))?)
        })?;
        answers.push(visitor.fact()?);
    }
    let mut visitor = Child::spawn("visitor", namespaces, |me| {
        me.report("open(\"/proc/PID/ns/uts\")", Outcome::of(of(container, Kind::Uts))?)
    })?;
    answers.push(visitor.fact()?);
    Ok(answers)
}

/// Enters the namespace of an ended member by its link or by its pidfd.
fn enter_without_members(uts: &NsFile, pidfd: BorrowedFd<'_>, by_file: bool) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        let answer = if by_file {
            uts.enter(Some(Kind::Uts))
        } else {
            namespace::enter_all_of(pidfd, Namespaces::UTS)
        };
        me.report("setns()", Outcome::of(answer)?)?;
        me.report("hostname", uts::hostname())
    })?;
    Ok(visitor.facts()?)
}

/// Creates a socket in new `namespaces`, leaves them, and enters the network namespace of the socket.
fn follow_a_socket(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, move |me| {
        let own = NsFile::of(None, Kind::Net)?;
        namespace::unshare(namespaces)?;
        let socket = UnixDatagram::unbound().named(|| "socket(AF_UNIX)".into())?;
        // From here on, only the socket refers to a new namespace.
        own.enter(Some(Kind::Net))?;
        me.report("/proc/self/ns/net before", namespace::of_kind(None, Kind::Net)?)?;
        let of_the_socket = NsFile::of_socket(&socket)?;
        me.report("ioctl(socket, SIOCGSKNS)", of_the_socket.id()?)?;
        of_the_socket.enter(Some(Kind::Net))?;
        me.report("/proc/self/ns/net after setns()", namespace::of_kind(None, Kind::Net)?)
    })?;
    Ok(visitor.facts()?)
}
