//! A shell in the namespaces of a step. The experiment waits meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use lesson::render::Layout;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getegid, geteuid, getpid};
use ns_core::idmap::IdMaps;
use ns_core::{Child, Named, Namespaces, Spawn, mount, namespace, pids};
use pages::write_now;
use shell::{Attendant, Ended, Program, attend, descendants, hold};

use super::card::Card;
use super::places::Place;

/// The variable that has the directory of the cgroup, whose path is too long for a card.
const CGROUP: &str = "CGROUP";
/// What such a shell is called.
const NAME: &str = "classroom";

/// Opens a shell at `place` of `experiment`, which is at rest, and waits until it ends; its prompt begins with `prompt`,
/// and before it stands a card in this `layout`. What it leaves behind is ended.
/// `Some` if this signal ended it, and is to end us.
///
/// # Errors
/// When the namespaces cannot be entered, which says which.
pub(super) fn open(experiment: Pid, place: &Place, prompt: &str, layout: Layout) -> Result<Option<Signal>> {
    let pidfd = pids::open(place.pid)?;
    let mut card = Card {
        who: place.who.clone(),
        namespaces: place.all(),
        own: place.own,
        limits: place.cgroups.first().map(|cgroup| limits(cgroup)).unwrap_or_default(),
        lacks: Vec::new(),
    };
    // From inside the directories may not be visible.
    let mut cgroups = Vec::new();
    for directory in &place.cgroups {
        let path = directory.join("cgroup.procs");
        match OpenOptions::new().write(true).open(&path) {
            Ok(file) => cgroups.push((path, file)),
            Err(error) => card.lacks.push(format!("Not in its cgroup: open({path:?}): {error}.")),
        }
    }
    let program = Program {
        of: "inception".into(),
        command: Vec::new(),
        prompt: prompt.into(),
        card: card.set(layout),
        variables: place.cgroups.first().map(|it| (CGROUP.to_string(), it.into())).into_iter().collect(),
    };
    let before_it = descendants(experiment);
    // setns(2) into a PID or time namespace counts for the children of the caller. So the one who enters is not the
    // one who becomes the shell.
    let ended = hold(&program, NAME, 1, |mark| {
        Child::spawn("attendant", Namespaces::NONE, |me| {
            if !place.namespaces.is_empty() {
                namespace::enter_all_of(pidfd.as_fd(), place.namespaces)?;
            }
            if let Some((file, kind)) = &place.held {
                file.enter(Some(*kind))?;
            }
            let mut spawn = Spawn::new("program").namespaces(place.anew);
            if place.anew.contains(Namespaces::USER) {
                spawn = spawn.maps(IdMaps::own(0, geteuid().as_raw(), getegid().as_raw()));
            }
            let last = || be_there(place, &cgroups, layout);
            let attendant = Attendant {
                program: &program,
                mark,
                nested: 0,
                handles: &[],
                first: &|| Ok(()),
                last: &last,
            };
            attend(me, &attendant, spawn)
        })
    });
    end_all_but(experiment, &before_it)?;
    match ended.map_err(|error| anyhow!("{}", shell::innermost(&error)))? {
        Ended::Status(_) => Ok(None), // how the shell ended is its own affair
        Ended::Signal(signal) => Ok(Some(signal)),
    }
}

/// Ends what the shell has left to the experiment: an orphan in a PID namespace is its init's.
fn end_all_but(experiment: Pid, before: &[Pid]) -> ns_core::Result<()> {
    ns_core::until("what the shell left behind to end", || {
        let mut left = descendants(experiment);
        left.retain(|pid| !before.contains(pid));
        for pid in &left {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        Ok(left.is_empty().then_some(()))
    })
}

/// In the process that becomes the shell: what it cannot have is no reason not to be there.
fn be_there(place: &Place, cgroups: &[(PathBuf, File)], layout: Layout) -> ns_core::Result<()> {
    let lacks = |what: &str, error: &dyn std::fmt::Display| {
        let _ = write_now(layout.wrap(&format!("{what}: {error}."), "   ", "   ").as_bytes());
    };
    for (path, file) in cgroups {
        let mut file = file;
        let joined = file.write_all(b"0").named(|| format!("write({path:?})"));
        joined.unwrap_or_else(|error| lacks("Not in its cgroup", &error));
    }
    if place.anew.contains(Namespaces::MNT) {
        // What is mounted in a copy would else be mounted in the original, too.
        mount::make_private()?;
    }
    if place.all().contains(Namespaces::PID) {
        own_proc().unwrap_or_else(|error| lacks("No /proc of its own", &error));
    }
    Ok(())
}

/// What can be tried in a cgroup: its limits first.
fn limits(cgroup: &Path) -> Vec<(String, String)> {
    const FORK: (&str, &str) =
        ("sh -c 'for i in 1 2 3 4; do sleep 9 & done'", "fork() fails with EAGAIN; nobody is killed");
    const TOUCH: (&str, &str) =
        ("head -c 64M /dev/zero | tail -c 64M | wc -c", "0: tail is killed, since it touches too much");
    const EXCEED: [(&str, (&str, &str)); 3] =
        [("pids.max", FORK), ("memory.max", TOUCH), ("memory.limit_in_bytes", TOUCH)];
    // Version 1's word for no limit is a page less than what fits into 63 bits.
    let is_one = |limit: &u64| *limit < 1 << 60;
    let mut tries = Vec::new();
    for (file, (command, expect)) in EXCEED {
        let text = fs::read_to_string(cgroup.join(file)).unwrap_or_default();
        if let Some(limit) = text.trim().parse::<u64>().ok().filter(is_one) {
            let set = format!("{limit}, as the experiment has set it");
            tries.extend([(format!("cat ${CGROUP}/{file}"), set), (command.into(), expect.into())]);
        }
    }
    let in_any = [
        ("cat /proc/self/cgroup", "the cgroup that the experiment has made"),
        ("cat $CGROUP/cgroup.procs", "the PIDs of its members, this shell's among them"),
        (
            "mkdir $CGROUP/child; ls $CGROUP/child; rmdir $CGROUP/child",
            "mkdir() makes a cgroup, and its files",
        ),
    ];
    tries.extend(in_any.map(|(command, expect)| (command.into(), expect.into())));
    tries
}

/// Sees to it that /proc is that of this process's PID namespace: if it is not, mounts one, in a mount namespace that
/// nobody else is in.
fn own_proc() -> ns_core::Result<()> {
    let shown = fs::read_link("/proc/self").unwrap_or_default();
    if shown == Path::new(&getpid().to_string()) {
        return Ok(());
    }
    namespace::unshare(Namespaces::MNT)?;
    mount::make_private()?;
    mount::mount("proc", Path::new("/proc"))
}
