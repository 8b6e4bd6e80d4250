//! Namespaces: each closes one view of the outside.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Picture, Requirement, Row, Step, hand, inside, outside, right, wrong};
use ns_core::net::{LinkName, Netlink};
use ns_core::{
    Child, Errno, Error, Fact, Kind, Named, Namespaces, Outcome, Pid, Reporter, Spawn, Value, ipc, mount,
    namespace, probe, process, signals, uts,
};

const PROCESSES: Claim = Claim::holds(
    "processes",
    "A process in a container is a process of the host: it has a PID there, and another inside.",
)
.factor("CLONE_NEWPID")
.notes(&[1])
.core(&[Row::outside("number of its PIDs", "PIDs in NSpid"), Row::inside("getpid()", "getpid()")])
.asks(
    "A process runs in a container. Which PID does it have?",
    &[
        right("two: one inside, and another on the host"),
        wrong("only 1", "the host is thought to see only the engine, as with a virtual machine"),
        wrong("only that on the host", "ps on the host shows it, and a process is thought to have one PID"),
        wrong(
            "the same inside and on the host",
            "a namespace is thought to hide PIDs, and not to give new ones",
        ),
    ],
);
const EIGHT: Claim = Claim::holds(
    "eight",
    "clone3() with eight CLONE_NEW* flags creates a process in eight new namespaces: eight links in /proc/PID/ns differ.",
)
.factor("eight CLONE_NEW* flags")
.notes(&[1, 2])
.requires(&ALL_EIGHT);

pub(crate) const START: Step = Step {
    title: "Start a plain process, and one in eight new namespaces. Compare both from outside.",
    calls: &["clone3(CLONE_NEWUSER|CLONE_NEWPID|…)", "readlink(\"/proc/PID/ns/…\")"],
    by_hand: &[hand("unshare --map-root-user --fork --kill-child --pid --mount --uts --ipc --net --cgroup --time sleep 60 & sleep 1").prints(""), hand("pid=$(pgrep --parent $!); grep NSpid /proc/$pid/status; readlink /proc/$pid/ns/uts /proc/self/ns/uts; kill -KILL $!").prints("NSpid: <pid> 1\nuts:[<ns A>]\nuts:[<ns B>]"), ],
    claims: &[PROCESSES, EIGHT],
    run: |lab| {
        let facts = lab.arms(Namespaces::NONE, all_of_this_kernel(), start)?.try_map(|(child, facts)| {
            lab.keep(child)?;
            Ok(facts)
        })?;
        let (pids, links) = ("PIDs in NSpid", "links that differ from its parent's");
        lab.judge(PROCESSES, facts.only(&[pids, "its PID", "getpid()"]))
            .shows(outside(pids).is(2) & inside("getpid()").is(1))?;
        lab.judge(EIGHT, facts.only(&[links])).shows(outside(links).is(8))
    },
};

const ALL_BUT_ONE: Claim = Claim::holds(
    "all-but-one",
    "Each of six namespaces closes one view of the outside: if it is left out, only that view is open.",
)
.factor("the namespaces")
.notes(&[2])
.core(&[Row::inside("views of the outside", "views of the outside that are open")])
.asks(
    "A process is in new namespaces of every kind except UTS. What does it see of the outside?",
    &[
        right("only the hostname"),
        wrong("everything", "a container is thought to be complete or no container at all"),
        wrong("nothing", "the other namespaces are thought to be enough"),
        wrong(
            "the hostname, and by it the network",
            "a hostname and its addresses are thought to belong together",
        ),
    ],
);

pub(crate) const LEAVE_ONE_OUT: Step = Step {
    title: "Leave out each namespace in turn, and look from inside for six objects that are outside.",
    calls: &["clone3(all but one)", "uname()", "msgget()", "kill(pid, 0)", "open()"],
    by_hand: &[hand("unshare --map-root-user --fork --pid --mount-proc --ipc --net ip -brief link  # and so on, one less each time").prints("lo DOWN …"), ],
    claims: &[ALL_BUT_ONE],
    run: |lab| {
        create_the_outside()?;
        let six = VIEWS.iter().fold(Namespaces::NONE, |all, (kind, _)| all | Namespaces::only(*kind));
        let views = lab.arms(Namespaces::NONE, six, Views::of)?;
        mount::unmount(Path::new(OUTSIDE))?;
        views.treatment().show(lab)?;
        lab.judge(ALL_BUT_ONE, views.map(|views| views.facts())).shows(
            inside("views of the outside that are open").is(0) & inside("cells unlike the claim").is(0),
        )
    },
};

/// An empty tmpfs outside.
const OUTSIDE: &str = "/mnt";
/// A file in it that only root of the owning user namespace can read.
const SECRET: &str = "/mnt/secret";
/// A directory in it, to mount on.
const DOOR: &str = "/mnt/door";
/// A message queue outside.
const QUEUE: i32 = 0x6d63;
/// A link outside.
const LINK: &str = "outside0";

/// The kinds that close a view. Cgroup is left out, since some machines have no cgroups to hide; time is left out, since
/// a time namespace without offsets changes nothing.
const VIEWS: [(Kind, &str); 6] = [
    (Kind::Uts, "hostname"),
    (Kind::Ipc, "queue"),
    (Kind::Net, "link"),
    (Kind::Mnt, "mount"),
    (Kind::Pid, "process"),
    (Kind::User, "file"),
];

const ALL_EIGHT: [Requirement; 8] = [
    Requirement::Namespace(Kind::Cgroup),
    Requirement::Namespace(Kind::Ipc),
    Requirement::Namespace(Kind::Net),
    Requirement::Namespace(Kind::Mnt),
    Requirement::Namespace(Kind::Pid),
    Requirement::Namespace(Kind::Time),
    Requirement::Namespace(Kind::User),
    Requirement::Namespace(Kind::Uts),
];

/// A namespace of each kind that this kernel has.
fn all_of_this_kernel() -> Namespaces {
    let known = Kind::ALL.into_iter().filter(|kind| probe::kind(*kind).is_none());
    known.fold(Namespaces::NONE, |all, kind| all | Namespaces::only(kind))
}

/// A child that keeps running, and the facts about its PIDs and namespaces.
fn start(namespaces: Namespaces) -> Result<(Child, Vec<Fact>)> {
    let label = if namespaces.is_empty() { "plain child" } else { "container" };
    let mut child = Child::spawn(label, namespaces, |me| {
        me.report("getpid()", nix::unistd::getpid())?;
        me.stay()
    })?;
    let pids = process::pids(Some(child.pid()))?;
    let (parents, childs) = (namespace::of(None)?, namespace::of(Some(child.pid()))?);
    let facts = vec![
        Fact::outside("PIDs in NSpid", pids.len()),
        Fact::outside("its PID", child.pid()),
        child.fact()?,
        Fact::outside(
            "links that differ from its parent's",
            childs.iter().filter(|id| !parents.contains(id)).count(),
        ),
    ];
    Ok((child, facts))
}

/// Creates the objects outside that the views look for.
fn create_the_outside() -> Result<()> {
    mount::mount("tmpfs", Path::new(OUTSIDE))?;
    fs::create_dir(DOOR).named(|| format!("mkdir {DOOR}"))?;
    fs::write(SECRET, "").named(|| format!("write(\"{SECRET}\")"))?;
    fs::set_permissions(SECRET, Permissions::from_mode(0o000)).named(|| format!("chmod 0 {SECRET}"))?;
    ipc::make_queue(QUEUE)?;
    Netlink::open()?.create_bridge(&LinkName::new(LINK)?)?;
    Ok(())
}

/// The views of the outside that are open: in all namespaces, and with each of the six left out.
struct Views {
    in_all: Vec<&'static str>,
    all_but: Vec<(Kind, Vec<&'static str>)>,
}

impl Views {
    fn of(namespaces: Namespaces) -> Result<Views> {
        let all_but = VIEWS
            .into_iter()
            .map(|(kind, _)| Ok((kind, views_from(namespaces.difference(Namespaces::only(kind)))?)));
        Ok(Views { all_but: all_but.collect::<Result<_>>()?, in_all: views_from(namespaces)? })
    }

    fn show(&self, lab: &mut Lab) -> Result<()> {
        let row = |(left_out, open): &(Kind, Vec<&str>)| {
            let cell = |(_, view): (Kind, &str)| if open.contains(&view) { "open" } else { "closed" };
            [left_out.flag()].into_iter().chain(VIEWS.map(cell)).map(Value::from).collect()
        };
        let columns: Vec<_> = ["left out"].into_iter().chain(VIEWS.map(|(_, view)| view)).collect();
        let rows = self.all_but.iter().map(row).collect();
        lab.picture(Picture::Heat(1), "What a process sees of the outside", &columns, rows)
    }

    fn facts(&self) -> Vec<Fact> {
        let wrong = |(left_out, open): &(Kind, Vec<&str>)| {
            VIEWS.iter().filter(|(kind, view)| open.contains(view) != (kind == left_out)).count()
        };
        let wrong: usize = self.all_but.iter().map(wrong).sum();
        vec![
            Fact::inside("container", "views of the outside that are open", self.in_all.len()),
            Fact::inside("container", "cells unlike the claim", wrong),
        ]
    }
}

/// The objects outside that a process in these `namespaces` can see. They are created or changed after the process,
/// since new namespaces of some kinds begin as a copy.
fn views_from(namespaces: Namespaces) -> Result<Vec<&'static str>> {
    // No process of the container has this PID inside: it is higher than this process's own, so at least 2.
    let idle = Child::spawn("idle process", Namespaces::NONE, Reporter::stay)?;
    let outside = idle.pid();
    uts::set_hostname("before")?;
    let mut container = Spawn::new("container").namespaces(namespaces).run(move |me| {
        me.checkpoint()?;
        for (kind, view) in VIEWS {
            if sees(kind, outside)? {
                me.report("sees", view)?;
            }
        }
        Ok(())
    })?;
    uts::set_hostname("after")?;
    mount::mount("tmpfs", Path::new(DOOR))?;
    container.wake()?;
    let seen = container.facts()?;
    mount::unmount(Path::new(DOOR))?;
    Ok(VIEWS
        .map(|(_, view)| view)
        .into_iter()
        .filter(|view| seen.iter().any(|it| it.value == *view))
        .collect())
}

fn sees(kind: Kind, outside: Pid) -> ns_core::Result<bool> {
    Ok(match kind {
        Kind::Uts => uts::hostname() == "after",
        Kind::Ipc => {
            // The queue is found, or access to it is denied.
            !matches!(ipc::find_queue(QUEUE), Ok(None))
        }
        Kind::Net => Netlink::open()?.link(&LinkName::new(LINK)?)?.is_some(),
        Kind::Mnt => mount::at(None, Path::new(DOOR))?.is_some(),
        Kind::Pid => match signals::send(outside, None)? {
            Outcome::Failed(Errno::ESRCH) => false,
            Outcome::Failed(errno) => return Err(Error::Call { call: format!("kill({outside}, 0)"), errno }),
            _ => true,
        },
        Kind::User => fs::File::open(SECRET).is_ok(),
        Kind::Cgroup | Kind::Time => false,
    })
}
