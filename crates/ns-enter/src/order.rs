//! Who may enter, in which order, and by which descriptor.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;

use anyhow::Result;
use lesson::{Claim, Lab, Picture, Step, cause};
use ns_core::{
    Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Spawn, Value, Witness, namespace, process, uts,
};

use crate::{of, pidfd_for_children, take_name_and_stay};

pub(crate) const USER_FIRST: Claim = Claim::holds(
    "user-first",
    "Without privilege one enters the user namespace first: what it owns can be entered then, and not before.",
)
.cause("setns(user) before setns(uts)")
.more(&[19]);
pub(crate) const TOO_EARLY: Claim = Claim::holds(
    "too-early",
    "A namespace that is owned above the user namespace is entered before it, or not at all: EPERM.",
)
.cause("setns(user) before setns(uts)")
.more(&[19]);
pub(crate) const NO_ORDER: Claim = Claim::holds(
    "no-order",
    "One setns() with a pidfd needs no order: all of it is asked with the rights that its caller has before.",
)
.cause("a single call")
.more(&[4]);
pub(crate) const STRANGER: Claim = Claim::holds(
    "stranger",
    "Root of another user namespace may enter none of the eight, and cannot open their links.",
)
.cause("CLONE_NEWUSER")
.more(&[2, 19]);
pub(crate) const MEMBERLESS: Claim = Claim::holds(
    "memberless",
    "An open namespace can be entered when its last member is gone; by the member's pidfd it cannot: ESRCH.",
)
.cause("a descriptor of the namespace")
.more(&[4]);
pub(crate) const SOCKET: Claim = Claim::holds(
    "socket",
    "A socket leads to the network namespace that it was born in, even to one without a member.",
)
.cause("a socket from there")
.more(&[13]);

const BOTH: Namespaces = Namespaces::USER.union(Namespaces::UTS);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    order(lab)?;

    lab.step(Step {
        goal: "Try to enter all eight of a container's, as one who is privileged out here, and as root of another user namespace, beside the container's.",
        calls: &["unshare(CLONE_NEWUSER)", "open(\"/proc/PID/ns/uts\")", "setns(ns, CLONE_NEW…)"],
        by_hand: &["unshare -Ur nsenter --uts --target $c hostname"],
    })?;
    let container = Spawn::new("container").namespaces_always(Namespaces::all()).run(Witness::stay)?;
    let (privileged, stranger) =
        (try_each(&container, Namespaces::NONE)?, try_each(&container, Namespaces::USER)?);
    lab.picture(
        Picture::Heat(1),
        "How setns() answers",
        &["kind", "to the privileged", "to root of another user namespace"],
        Kind::ALL
            .into_iter()
            .zip(privileged.iter().zip(&stranger))
            .map(|(kind, (privileged, stranger))| {
                vec![kind.link().into(), privileged.value.clone(), stranger.value.clone()]
            })
            .collect(),
    )?;
    lab.claim(STRANGER).without(privileged).with(stranger).shows(|answers| {
        answers
            .facts()
            .iter()
            .all(|fact| fact.value == *if fact.what.starts_with("open") { "EACCES" } else { "EPERM" })
    })?;

    lab.step(Step {
        goal: "Let the only member of a UTS namespace end; enter the namespace by the member's pidfd, and by its own open file.",
        calls: &[
            "open(\"/proc/PID/ns/uts\")",
            "waitid(PID)",
            "setns(pidfd, CLONE_NEWUTS)",
            "setns(uts, CLONE_NEWUTS)",
        ],
        by_hand: &[
            "unshare -Ur --uts sh -c 'hostname container; exec sleep 60' & sleep 1; exec 8</proc/$!/ns/user 9</proc/$!/ns/uts; kill $!; wait $!",
            "nsenter --user=/proc/self/fd/8 --uts=/proc/self/fd/9 --preserve-credentials hostname; exec 8<&- 9<&-",
        ],
    })?;
    let mut ended = Spawn::new("container").namespaces_always(Namespaces::UTS).run(take_name_and_stay)?;
    ended.hear()?;
    let (uts, pidfd) = (of(&ended, Kind::Uts)?, pidfd_for_children(&ended)?);
    ended.release()?;
    ended.wait()?;
    let visit = |by_file| enter_what_is_left(&uts, pidfd.as_fd(), by_file);
    lab.claim(MEMBERLESS)
        .without(visit(false)?)
        .with(visit(cause(true, false))?)
        .shows(|it| it.inside("hostname").is_some_and(|it| *it == crate::NAME))?;

    lab.step(Step {
        goal: "Make a socket in a new network namespace, go home, and enter the network that the socket leads to.",
        calls: &["socket(AF_UNIX)", "ioctl(socket, SIOCGSKNS)", "setns(net, CLONE_NEWNET)"],
        by_hand: &[
            "unshare -Ur --net /usr/bin/python3 -c 'import ctypes,fcntl,os,socket; c=ctypes.CDLL(None); home=os.open(\"/proc/self/ns/net\",0); c.unshare(0x40000000); s=socket.socket(socket.AF_UNIX); c.setns(home,0); print(os.fstat(home).st_ino, os.fstat(fcntl.ioctl(s,0x894c)).st_ino)'",
        ],
    })?;
    lab.claim(SOCKET)
        .without(follow_a_socket(Namespaces::NONE)?)
        .with(follow_a_socket(Namespaces::NET)?)
        .shows(|it| {
            it.inside("ioctl(socket, SIOCGSKNS)") == it.inside("/proc/self/ns/net after setns()")
                && it.inside("/proc/self/ns/net at home") != it.inside("/proc/self/ns/net after setns()")
        })?;
    Ok(())
}

/// How a visitor enters a user and a UTS namespace.
#[derive(Clone, Copy)]
enum Way {
    UserFirst,
    UserLast,
    AtOnce,
}

const WAYS: [Way; 3] = [Way::UserFirst, Way::UserLast, Way::AtOnce];

/// Two containers: one whose user namespace owns its UTS namespace, and one where that is owned above.
fn order(lab: &mut Lab) -> Result<()> {
    let mut below = Spawn::new("container").namespaces_always(BOTH).run(take_name_and_stay)?;
    below.hear()?;
    let mut above = Spawn::new("container").namespaces_always(Namespaces::UTS).run(|me| {
        uts::set_hostname(crate::NAME)?;
        // The UTS namespace is there already, so it is not the new user namespace that owns it.
        namespace::unshare(Namespaces::USER)?;
        me.saw("ready", "yes")?;
        me.stay()
    })?;
    above.hear()?;

    lab.step(Step {
        goal: "Enter a container's user and UTS namespaces: user first, user last, and both at once. The first \
               container's user namespace owns its UTS namespace, and the visitor has no capability; the second's UTS \
               namespace is owned out here, and the visitor is privileged.",
        calls: &[
            "setns(user, CLONE_NEWUSER)",
            "setns(uts, CLONE_NEWUTS)",
            "setns(pidfd, CLONE_NEWUSER|CLONE_NEWUTS)",
        ],
        by_hand: &[
            "nsenter --uts --target $c hostname  # as an ordinary user",
            "nsenter -U --preserve-credentials --uts --target $c hostname",
        ],
    })?;
    let mut rows = Vec::new();
    let mut seen = Vec::new();
    for (title, container, capable) in
        [("first: no capability", &below, false), ("second: privileged", &above, true)]
    {
        let tried = WAYS.map(|way| visit(container, capable, way));
        let tried = tried.into_iter().collect::<Result<Vec<_>>>()?;
        let hostname =
            |facts: &Vec<Fact>| facts.last().map(|fact| fact.value.clone()).unwrap_or("none".into());
        let mut row = vec![Value::from(title)];
        row.extend(tried.iter().map(hostname));
        rows.push(row);
        seen.push(tried);
    }
    lab.picture(
        Picture::Heat(1),
        "The hostname that the visitor reads: the container's, or the one outside",
        &["container: visitor", "user first", "user last", "at once"],
        rows,
    )?;
    let [own, other] = [&seen[0], &seen[1]];
    lab.claim(USER_FIRST)
        .without(own[1].clone())
        .with(own[0].clone())
        .shows(|it| it.inside("hostname").is_some_and(|it| *it == crate::NAME))?;
    lab.claim(TOO_EARLY)
        .without(other[1].clone())
        .with(other[0].clone())
        .shows(|it| it.inside("setns(uts)").is_some_and(|it| *it == "EPERM"))?;
    let hostname_in = |which: &str, facts: &[Fact]| {
        let hostname = facts.last().map(|fact| fact.value.clone());
        Fact::inside("visitor", format!("hostname, {which} container"), hostname)
    };
    let of_both =
        |first: &[Fact], second: &[Fact]| [hostname_in("first", first), hostname_in("second", second)];
    lab.claim(NO_ORDER)
        .without(of_both(&own[1], &other[0]))
        .with(of_both(&own[2], &other[2]))
        .shows(|hostnames| hostnames.facts().iter().all(|fact| fact.value == *crate::NAME))?;
    Ok(())
}

/// What a visitor is answered, and the hostname that it reads then.
fn visit(container: &Child, capable: bool, way: Way) -> Result<Vec<Fact>> {
    let [user, uts] = [of(container, Kind::User)?, of(container, Kind::Uts)?];
    let pidfd = pidfd_for_children(container)?;
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        if !capable {
            process::drop_all_capabilities()?;
        }
        let enter = |me: &mut Witness, kind: Kind, file: &NsFile| {
            me.saw(format!("setns({kind})"), Outcome::of(file.enter(Some(kind)))?)
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
                me.saw("setns(user and uts)", Outcome::of(namespace::enter_all_of(pidfd.as_fd(), BOTH))?)?;
            }
        }
        me.saw("hostname", uts::hostname())
    })?;
    Ok(visitor.hear_all()?)
}

/// Tries to open and to enter each namespace, from new `namespaces` of one's own.
fn try_each(container: &Child, namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut answers = Vec::new();
    for kind in Kind::ALL {
        // Opened by us, so that the answer of setns() can be heard though the link cannot be opened.
        let file = of(container, kind)?;
        let mut visitor = Child::spawn("visitor", namespaces, |me| {
            me.saw(format!("setns({kind})"), Outcome::of(file.enter(Some(kind)))?)
        })?;
        answers.push(visitor.hear()?);
    }
    let mut visitor = Child::spawn("visitor", namespaces, |me| {
        me.saw("open(\"/proc/PID/ns/uts\")", Outcome::of(of(container, Kind::Uts))?)
    })?;
    answers.push(visitor.hear()?);
    Ok(answers)
}

/// Enters the namespace of an ended member by its file or by its pidfd.
fn enter_what_is_left(uts: &NsFile, pidfd: BorrowedFd<'_>, by_file: bool) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        let answer = if by_file {
            uts.enter(Some(Kind::Uts))
        } else {
            namespace::enter_all_of(pidfd, Namespaces::UTS)
        };
        me.saw("setns()", Outcome::of(answer)?)?;
        me.saw("hostname", uts::hostname())
    })?;
    Ok(visitor.hear_all()?)
}

/// Makes a socket in new `namespaces`, leaves them, and enters where the socket leads.
fn follow_a_socket(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut traveller = Child::spawn("traveller", Namespaces::NONE, move |me| {
        let home = NsFile::of(None, Kind::Net)?;
        namespace::unshare(namespaces)?;
        let socket = UnixDatagram::unbound().named(|| "socket(AF_UNIX)".into())?;
        // From here on the socket is all that is left of a new namespace.
        home.enter(Some(Kind::Net))?;
        me.saw("/proc/self/ns/net at home", namespace::of_kind(None, Kind::Net)?)?;
        let led_to = NsFile::of_socket(&socket)?;
        me.saw("ioctl(socket, SIOCGSKNS)", led_to.id()?)?;
        led_to.enter(Some(Kind::Net))?;
        me.saw("/proc/self/ns/net after setns()", namespace::of_kind(None, Kind::Net)?)
    })?;
    Ok(traveller.hear_all()?)
}
