//! Which process reaches which other: by a PID, by procfs, or by an inherited descriptor.

use std::os::fd::{AsFd, AsRawFd};

use anyhow::Result;
use lesson::{Claim, Picture, Row, Step, hand, inside, outside, right, wrong};
use ns_core::Signal::SIGCONT;
use ns_core::{
    Child, Errno, Error, Fact, Kind, Named, Namespaces, NsFile, Outcome, Reporter, Signal, Value, namespace,
    pids, process, signals,
};

use crate::trial::{self, in_a, pid_of, report_pids_and_stay};

const KILL: &str = "kill(its PID outside, 0)";
const NAME: &str = "its name in the old /proc";

const NO_PID: Claim = Claim::holds(
    "no-pid",
    "kill() with the PID of a process outside fails with ESRCH, but the old /proc still shows that process.",
)
.factor("CLONE_NEWPID")
.notes(&[95])
.more(&[27])
.core(&[Row::inside("kill(outside, 0)", KILL)])
.asks(
    "In a new PID namespace, root finds a process outside in the old /proc, and calls kill(PID, 0). What is the result?",
    &[
        right("-1, ESRCH"),
        wrong("-1, EPERM", "the namespace seems to forbid the call, and EPERM means that"),
        wrong("0: success", "PIDs seem to be the same everywhere, and root may signal every process"),
    ],
);
const SEES_NOTHING: Claim = Claim::refuted(
    "sees-nothing",
    "A process in a child PID namespace cannot see processes of its ancestor namespaces.",
    "no-pid",
)
.factor("CLONE_NEWPID")
.notes(&[95])
.core(&[Row::inside("its name, in /proc", NAME)])
.asks(
    "A process is in a new PID namespace, and /proc is still the old one. Which processes outside can it see?",
    &[
        right("those that /proc shows, by name too"),
        wrong("none", "a new procfs shows none, and most containers have one"),
        wrong("only its parent", "a process knows its parent by getppid()"),
    ],
);

pub(crate) const LOOK_OUTSIDE: Step = Step {
    title: "In a new PID namespace, with the old /proc, send signal 0 to a process outside, and read its name.",
    calls: &["kill(pid, 0)", "read(\"/proc/PID/comm\")"],
    by_hand: &[
        hand("sleep 60 & unshare -Urpf bash -c \"kill -0 $!; cat /proc/$!/comm\"").prints("ESRCH\nsleep"),
        hand("unshare -Urpf --mount-proc bash -c \"kill -0 $!; cat /proc/$!/comm\"; kill $!")
            .prints("ESRCH\nENOENT"),
    ],
    claims: &[SEES_NOTHING, NO_PID],
    run: |lab| {
        let seen = lab.arms(Namespaces::NONE, Namespaces::PID, look_outside)?;
        lab.judge(SEES_NOTHING, seen.clone()).shows(inside(NAME).is("absent"))?;
        lab.judge(NO_PID, seen).in_both_arms(inside(NAME).is_not("absent")).shows(inside(KILL).is("ESRCH"))
    },
};

const DOWNWARDS: Claim = Claim::holds(
    "downwards",
    "pidfd_send_signal() succeeds within the own PID namespace and those below; elsewhere it fails with EINVAL.",
)
.factor("CLONE_NEWPID")
.notes(&[94, 95]);

pub(crate) const SIGNAL_EACH_OTHER: Step = Step {
    title: "Create PID namespaces: B and C in A, D in B. From each, send SIGCONT by pidfds to a process in each.",
    calls: &["pidfd_open(pid)", "setns(pid, CLONE_NEWPID)", "pidfd_send_signal(pidfd, SIGCONT)"],
    by_hand: &[],
    claims: &[DOWNWARDS],
    run: |lab| {
        let signals = lab.arms(Namespaces::NONE, Namespaces::PID, Signals::sent)?;
        lab.picture(
            Picture::Heat(1),
            "Results of pidfd_send_signal()",
            &["from a member of", "to A", "to B", "to D", "to C"],
            signals.treatment().rows(),
        )?;
        lab.judge(DOWNWARDS, signals.map(|of| of.unexpected()))
            .shows(inside("unexpected results, of 16").is(0))
    },
};

const PARENT: Claim = Claim::holds(
    "parent",
    "ioctl(NS_GET_PARENT) returns the parent of a nested PID namespace, step by step up to the caller's own.",
)
.factor("CLONE_NEWPID")
.notes(&[92, 93]);

pub(crate) const ASK_FOR_PARENTS: Step = Step {
    title: "Create three nested PID namespaces. From the innermost, call ioctl(NS_GET_PARENT) until the caller's own, and once more.",
    calls: &["open(\"/proc/PID/ns/pid\")", "ioctl(ns, NS_GET_PARENT)"],
    by_hand: &[hand("unshare -Urpf --kill-child unshare -pf sleep 60 & sleep 1; lsns --type pid --tree=parent; kill -KILL $!").prints("…\n└─… pid 1 … unshare -pf sleep 60\n└─… pid 1 … sleep 60"), ],
    claims: &[PARENT],
    run: |lab| {
        lab.compare(PARENT, Namespaces::NONE, Namespaces::PID, ask_for_parents)?
            .shows(outside("steps up to the own").is(3))
    },
};

const DESCRIPTOR: Claim = Claim::holds(
    "descriptor",
    "For a process of the parent namespace, kill() gives ESRCH, and pidfd_getfd() with an inherited pidfd succeeds.",
)
.factor("pidfd_getfd() instead of kill()")
.notes(&[95]);

pub(crate) const TAKE_A_DESCRIPTOR: Step = Step {
    title: "From B, a PID namespace in A, try to reach a process of A with an open pipe: by its PID, then by an inherited pidfd.",
    calls: &["kill(pid, 0)", "pidfd_getfd(pidfd, fd)", "read(fd)"],
    by_hand: &[],
    claims: &[DESCRIPTOR],
    run: |lab| {
        lab.compare(DESCRIPTOR, false, true, reach_up)?
            .shows(inside(REACH).from("ESRCH").to("OK") & inside("read from its pipe").is(TEXT))
    },
};

const SIGIO: Claim = Claim::holds(
    "sigio",
    "write() to an inherited pipe makes the kernel send `SIGIO` to its reader in the parent namespace.",
)
.factor("write() to an inherited pipe instead of kill()")
.notes(&[95])
.more(&[29]);

pub(crate) const WRITE_TO_A_READER: Step = Step {
    title: "In A, let a process request `SIGIO` for a pipe. From B, a PID namespace in A, send it `SIGIO`: by kill(), then by a write to the pipe.",
    calls: &["fcntl(fd, F_SETOWN, getpid())", "fcntl(fd, F_SETFL, O_ASYNC)", "kill(pid, SIGIO)", "write(fd)"],
    by_hand: &[],
    claims: &[SIGIO],
    run: |lab| {
        lab.compare(SIGIO, false, true, signal_up)?
            .shows(inside(SIGNAL).from("ESRCH").to("OK") & inside(PENDING).is("yes"))
    },
};

const SIGNAL: &str = "kill() or write()";
const PENDING: &str = "signal is pending";

const REACH: &str = "kill(pid, 0) or pidfd_getfd()";
/// The text that the process of A writes to its pipe.
const TEXT: &str = "from A";

fn look_outside(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let target = Child::spawn("target", Namespaces::NONE, Reporter::stay)?;
    let pid = target.pid();
    let mut child = Child::spawn("inside", namespaces, move |me| {
        me.report(KILL, signals::send(pid, None)?)?;
        let name = process::name(Some(pid)).map_or("absent".into(), Value::Text);
        me.report(NAME, name)
    })?;
    Ok(child.facts()?)
}

/// The PID namespaces: A is around all, B and C are in A, and D is in B.
const PLACES: [&str; 4] = ["A", "B, in A", "D, in B", "C, in A"];
/// Which namespaces are in which, including itself.
const WITHIN: [&[usize]; 4] = [&[0, 1, 2, 3], &[1, 2], &[2], &[3]];

/// The results of a member of each namespace.
struct Signals(Vec<Fact>);

impl Signals {
    fn sent(namespaces: Namespaces) -> Result<Signals> {
        let facts = in_a(move |me| {
            let mut in_b = Child::spawn("in B", namespaces, move |me| {
                let mut in_d = Child::spawn("in D", namespaces, report_pids_and_stay)?;
                me.send(in_d.fact()?)?;
                report_pids_and_stay(me)
            })?;
            let mut in_c = Child::spawn("in C", namespaces, report_pids_and_stay)?;
            let mut in_a = Child::spawn("in A", Namespaces::NONE, report_pids_and_stay)?;
            let (of_d, of_b, of_c, of_a) = (in_b.fact()?, in_b.fact()?, in_c.fact()?, in_a.fact()?);
            let mut targets = Vec::new();
            let mut files = Vec::new();
            for pids in [of_a, of_b, of_d, of_c] {
                targets.push(pids::open(pid_of(&pids, 1)?)?);
                files.push(NsFile::of(Some(pid_of(&pids, 0)?), Kind::Pid)?);
            }
            // The senders start last, so that each inherits all descriptors.
            for (file, place) in files.iter().zip(PLACES) {
                let parent = Child::spawn("parent of the sender", Namespaces::NONE, |me| {
                    file.enter(Some(Kind::Pid))?;
                    let sender = Child::spawn(place, Namespaces::NONE, |me| {
                        for (target, name) in targets.iter().zip(PLACES) {
                            me.report(name, pids::signal(target.as_fd(), SIGCONT)?)?;
                        }
                        Ok(())
                    })?;
                    trial::send_all_of(sender, me)
                })?;
                trial::send_all_of(parent, me)?;
            }
            Ok(())
        })?;
        // Any other errno means that this machine refuses the call. It says nothing about the namespaces.
        let other = |fact: &Fact| match fact.value.as_outcome() {
            Some(Outcome::Failed(errno)) if errno != Errno::EINVAL => Some(errno),
            _ => None,
        };
        match facts.iter().find_map(other) {
            Some(errno) => {
                Err(Error::Call { call: "pidfd_send_signal(pidfd, SIGCONT)".into(), errno }.into())
            }
            None => Ok(Signals(facts)),
        }
    }

    fn answer(&self, from: &str, to: &str) -> Option<&Value> {
        self.0.iter().find(|fact| fact.who == from && fact.what == to).map(|fact| &fact.value)
    }

    fn rows(&self) -> Vec<Vec<Value>> {
        let row = |from: &&str| {
            let cells = PLACES.iter().map(|to| self.answer(from, to).cloned().unwrap_or("none".into()));
            std::iter::once(Value::from(*from)).chain(cells).collect()
        };
        PLACES.iter().map(row).collect()
    }

    fn unexpected(&self) -> Vec<Fact> {
        let (mut against, mut sent) = (0_usize, 0_usize);
        for (from, within) in PLACES.iter().zip(WITHIN) {
            for (at, to) in PLACES.iter().enumerate() {
                let said = if within.contains(&at) { "OK" } else { "EINVAL" };
                let answer = self.answer(from, to);
                against += usize::from(answer.is_none_or(|it| *it != said));
                sent += usize::from(answer.is_some_and(|it| *it == "OK"));
            }
        }
        vec![
            Fact::inside("grid", "unexpected results, of 16", against),
            Fact::inside("grid", "signals sent", format!("{sent} of 16")),
        ]
    }
}

/// A member of B reaches a process of A: by its PID, or by a pidfd, from which it gets the read end of a pipe.
fn reach_up(by_pidfd: bool) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let mut above = Child::spawn("process of A", Namespaces::NONE, |me| {
            let (read, write) = nix::unistd::pipe().named(|| "pipe()".into())?;
            nix::unistd::write(&write, TEXT.as_bytes()).named(|| "write(pipe)".into())?;
            me.report("its pipe", read.as_raw_fd())?;
            me.stay()
        })?;
        let descriptor = above.fact()?.value.as_i64().and_then(|it| i32::try_from(it).ok()).unwrap_or(-1);
        let pidfd = pids::open(above.pid())?;
        let member = Child::spawn("member of B", Namespaces::PID, |me| {
            if !by_pidfd {
                me.report(REACH, signals::send(above.pid(), None)?)?;
                return me.report("read from its pipe", "nothing");
            }
            let flags = rustix::process::PidfdGetfdFlags::empty();
            let taken = rustix::process::pidfd_getfd(&pidfd, descriptor, flags);
            let taken = taken.named(|| format!("pidfd_getfd(pidfd, {descriptor})"));
            let mut text = [0; TEXT.len()];
            if let Ok(fd) = &taken {
                nix::unistd::read(fd, &mut text).named(|| "read(fd)".into())?;
            }
            me.report(REACH, Outcome::of(taken)?)?;
            me.report("read from its pipe", String::from_utf8_lossy(&text).into_owned())
        })?;
        trial::send_all_of(member, me)
    })
}

/// A member of B signals a process of A: by its PID, or by a byte in a pipe of that process.
fn signal_up(by_write: bool) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let (read, write) = nix::unistd::pipe().named(|| "pipe()".into())?;
        let mut above = Child::spawn("process of A", Namespaces::NONE, |me| {
            // A blocked signal stays pending until it is checked.
            signals::block(&[Signal::SIGIO])?;
            signals::ask_for_sigio(read.as_fd())?;
            me.report("ready", "yes")?;
            me.checkpoint()?;
            me.report(PENDING, signals::is_pending(Signal::SIGIO)?)
        })?;
        above.fact()?;
        let member = Child::spawn("member of B", Namespaces::PID, |me| {
            let answer = if by_write {
                Outcome::of(nix::unistd::write(&write, b"!").named(|| "write(pipe)".into()))?
            } else {
                signals::send(above.pid(), Some(Signal::SIGIO))?
            };
            me.report(SIGNAL, answer)
        })?;
        trial::send_all_of(member, me)?;
        above.wake()?;
        trial::send_all_of(above, me)
    })
}

fn ask_for_parents(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("first", namespaces, move |me| {
        let mut child = Child::spawn("second", namespaces, move |me| {
            let mut child = Child::spawn("third", namespaces, report_pids_and_stay)?;
            me.send(child.fact()?)?;
            me.stay()
        })?;
        me.send(child.fact()?)?;
        me.stay()
    })?;
    let third = pid_of(&child.fact()?, 0)?;
    let own = namespace::of_kind(None, Kind::Pid)?;
    let mut at = NsFile::of(Some(third), Kind::Pid)?;
    let mut steps = 0;
    while at.id()? != own {
        at = at.parent()?;
        steps += 1;
    }
    let further = at.parent();
    Ok(vec![
        Fact::outside("steps up to the own", steps),
        Fact::outside("parent of the own", Outcome::of(further)?),
    ])
}
