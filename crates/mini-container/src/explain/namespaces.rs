//! What namespaces keep apart, and that each does one thing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Picture, Step};
use ns_core::net::{LinkName, Netlink};
use ns_core::{
    Child, Errno, Fact, Kind, Named, Namespaces, Outcome, Pid, Spawn, Value, Witness, ipc, mount, namespace,
    process, signals, uts,
};

pub(crate) const PROCESSES: Claim = Claim::holds(
    "processes",
    "A container is processes of the host: each has a PID there like any other, and a second one inside.",
)
.cause("CLONE_NEWPID")
.notes(&[1]);
pub(crate) const EIGHT: Claim = Claim::holds(
    "eight",
    "What sets a process of a container apart is its namespaces: eight links in /proc/PID/ns.",
)
.cause("eight CLONE_NEW* flags")
.notes(&[1, 2]);
pub(crate) const ALL_BUT_ONE: Claim = Claim::holds(
    "all-but-one",
    "Each of six namespaces closes one view of the outside: leave one out, and that view alone is open.",
)
.cause("the namespaces")
.notes(&[2]);

/// An empty tmpfs in the stage.
const PLACE: &str = "/mnt";
/// A file in it that nobody may read but who is root there.
const SECRET: &str = "/mnt/secret";
/// A directory in it, to mount on.
const DOOR: &str = "/mnt/door";
/// A message queue outside.
const QUEUE: i32 = 0x6d63;
/// A link outside.
const LINK: &str = "outside0";

/// The kinds whose views can be told apart by looking. A cgroup namespace hides what only a machine with cgroups shows,
/// and a time namespace nothing until it has offsets.
const VIEWS: [(Kind, &str); 6] = [
    (Kind::Uts, "hostname"),
    (Kind::Ipc, "queue"),
    (Kind::Net, "link"),
    (Kind::Mnt, "mount"),
    (Kind::Pid, "process"),
    (Kind::User, "file"),
];

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Start a process in eight new namespaces beside a plain one, and look at both from outside.",
        calls: &["clone3(CLONE_NEWUSER|CLONE_NEWPID|…)", "readlink(\"/proc/PID/ns/…\")"],
        by_hand: &[
            "unshare --map-root-user --fork --kill-child --pid --mount --uts --ipc --net --cgroup --time sleep 60 &",
            "pid=$(pgrep --parent $!); grep NSpid /proc/$pid/status; ls -l /proc/$pid/ns /proc/self/ns",
        ],
    })?;
    let mut plain = Child::spawn("plain child", Namespaces::NONE, stay)?;
    let mut container = Child::spawn("container", Namespaces::all(), stay)?;
    lab.actor(&plain)?;
    lab.actor(&container)?;
    let numbers = |child: &mut Child| -> Result<[Fact; 3]> {
        let pids = process::pids(Some(child.pid()))?;
        Ok([
            Fact::outside("numbers in NSpid", pids.len()),
            Fact::outside("its PID", child.pid()),
            child.hear()?,
        ])
    };
    lab.claim(PROCESSES)
        .without(numbers(&mut plain)?)
        .with(numbers(&mut container)?)
        .shows(|of| *of == 2 && of.inside("getpid()").is_some_and(|it| *it == 1))?;
    let ours = namespace::of(None)?;
    let others = |child: &Child| -> Result<Fact> {
        let theirs = namespace::of(Some(child.pid()))?;
        Ok(Fact::outside(
            "links that differ from ours",
            theirs.iter().filter(|id| !ours.contains(id)).count(),
        ))
    };
    lab.claim(EIGHT).without(others(&plain)?).with(others(&container)?).shows(|links| *links == 8)?;

    lab.step(Step {
        goal: "Leave each namespace out in turn, and ask from inside for six things that are outside.",
        calls: &["clone3(all but one)", "uname()", "msgget()", "kill(pid, 0)", "open()"],
        by_hand: &["unshare --map-root-user --fork --pid --mount-proc --ipc --net ip link # and so on, one less each time"],
    })?;
    mount::mount("tmpfs", Path::new(PLACE))?;
    fs::create_dir(DOOR).named(|| format!("mkdir {DOOR}"))?;
    fs::write(SECRET, "").named(|| format!("write(\"{SECRET}\")"))?;
    fs::set_permissions(SECRET, Permissions::from_mode(0o000)).named(|| format!("chmod 0 {SECRET}"))?;
    ipc::make_queue(QUEUE)?;
    Netlink::open()?.create_bridge(&LinkName::new(LINK)?)?;

    let every = VIEWS.iter().fold(Namespaces::NONE, |all, (kind, _)| all | kind.only());
    let mut rows = Vec::new();
    let mut strays = 0;
    for (left_out, _) in VIEWS {
        let open = views_from(every.difference(left_out.only()))?;
        strays += VIEWS.iter().filter(|(kind, view)| open.contains(view) != (*kind == left_out)).count();
        let mut row = vec![Value::from(left_out.flag())];
        row.extend(VIEWS.map(|(_, view)| Value::from(if open.contains(&view) { "open" } else { "closed" })));
        rows.push(row);
    }
    let mut columns = vec!["left out"];
    columns.extend(VIEWS.map(|(_, view)| view));
    lab.picture(Picture::Heat(1), "What a process sees of the outside", &columns, rows)?;
    let seen = |open: &[&str]| Fact::inside("container", "views of the outside that are open", open.len());
    lab.claim(ALL_BUT_ONE)
        .without(seen(&views_from(Namespaces::NONE)?))
        .with([
            seen(&views_from(every)?),
            Fact::inside("container", "cells that are not as the sentence says", strays),
        ])
        .shows(|of| {
            *of == 0 && of.inside("cells that are not as the sentence says").is_some_and(|it| *it == 0)
        })?;
    mount::unmount(Path::new(PLACE))?;
    Ok(())
}

fn stay(me: &mut Witness) -> ns_core::Result<()> {
    me.saw("getpid()", nix::unistd::getpid())?;
    me.stay()
}

/// Which things of the outside a process in these `namespaces` can see. They change, or come to be, after its birth: a
/// new namespace of some kinds begins as a copy.
fn views_from(namespaces: Namespaces) -> Result<Vec<&'static str>> {
    let outside = nix::unistd::getpid();
    uts::set_hostname("before")?;
    let mut inside = Spawn::new("container").namespaces(namespaces).run(move |me| {
        me.pause()?;
        for (kind, view) in VIEWS {
            if sees(kind, outside)? {
                me.saw("sees", view)?;
            }
        }
        Ok(())
    })?;
    uts::set_hostname("after")?;
    mount::mount("tmpfs", Path::new(DOOR))?;
    inside.release()?;
    let heard = inside.hear_all()?;
    mount::unmount(Path::new(DOOR))?;
    Ok(VIEWS
        .map(|(_, view)| view)
        .into_iter()
        .filter(|view| heard.iter().any(|it| it.value == *view))
        .collect())
}

fn sees(kind: Kind, outside: Pid) -> ns_core::Result<bool> {
    Ok(match kind {
        Kind::Uts => uts::hostname() == "after",
        Kind::Ipc => {
            // Found, or found to be another's.
            !matches!(ipc::find_queue(QUEUE), Ok(None))
        }
        Kind::Net => Netlink::open()?.link(&LinkName::new(LINK)?)?.is_some(),
        Kind::Mnt => mount::at(None, Path::new(DOOR))?.is_some(),
        // EPERM would be an answer about somebody, too.
        Kind::Pid => signals::send(outside, None)? != Outcome::Failed(Errno::ESRCH),
        Kind::User => fs::File::open(SECRET).is_ok(),
        Kind::Cgroup | Kind::Time => false,
    })
}
