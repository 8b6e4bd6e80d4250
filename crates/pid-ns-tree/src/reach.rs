//! Who reaches whom: by number, by name, by a descriptor that was handed down.

use std::os::fd::AsFd;

use anyhow::Result;
use lesson::{Claim, Lab, Picture, Step};
use ns_core::Signal::SIGCONT;
use ns_core::{
    Child, Fact, Kind, Namespaces, NsFile, Outcome, Value, Witness, namespace, pids, process, signals,
};

use crate::trial::{self, in_a, number, tell_numbers_and_stay};

pub(crate) const NO_NUMBER: Claim = Claim::holds(
    "no-number",
    "A process outside has no number inside: kill() gives ESRCH. But a /proc mounted outside still shows it.",
)
.cause("CLONE_NEWPID")
.notes(&[95]);
pub(crate) const SEES_NOTHING: Claim = Claim::refuted(
    "sees-nothing",
    "A process in a child PID namespace cannot see processes of its ancestor namespaces.",
    "no-number",
)
.cause("CLONE_NEWPID")
.notes(&[95]);
pub(crate) const DOWNWARDS: Claim = Claim::holds(
    "downwards",
    "Signals go to one's own PID namespace and down, never up or aside: not even by a pidfd of the target (EINVAL).",
)
.cause("CLONE_NEWPID")
.notes(&[94, 95]);
pub(crate) const PARENT: Claim = Claim::holds(
    "parent",
    "Every PID namespace below the first has a parent: ioctl(NS_GET_PARENT) leads from it up to one's own.",
)
.cause("CLONE_NEWPID")
.notes(&[92, 93]);

const KILL: &str = "kill(its PID outside, 0)";
const NAME: &str = "its name in the /proc of outside";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "In a new PID namespace, without a new procfs: send signal 0 to a process outside, and read its name in /proc.",
        calls: &["kill(pid, 0)", "read(\"/proc/PID/comm\")"],
        by_hand: &[
            "sleep 9 & unshare -Urpf sh -c \"kill -0 $!; cat /proc/$!/comm\"",
            "sleep 9 & unshare -Urpf --mount-proc sh -c \"kill -0 $!; cat /proc/$!/comm\"",
        ],
    })?;
    let plain = look_outside(Namespaces::NONE)?;
    let inside = look_outside(Namespaces::PID)?;
    lab.claim(NO_NUMBER).without(plain.clone()).with(inside.clone()).shows(|seen| {
        seen.inside(KILL).is_some_and(|it| *it == "ESRCH")
            && seen.inside(NAME).is_some_and(|it| *it != "not there")
    })?;
    lab.claim(SEES_NOTHING)
        .without(plain)
        .with(inside)
        .shows(|seen| seen.inside(NAME).is_some_and(|it| *it == "not there"))?;

    lab.step(Step {
        goal: "Nest PID namespaces: B and C side by side in A, D in B. From each, send SIGCONT to a process in each, by pidfds.",
        calls: &["pidfd_open(pid)", "setns(pid, CLONE_NEWPID)", "pidfd_send_signal(pidfd, SIGCONT)"],
        by_hand: &[],
    })?;
    let plain = Signals::sent(Namespaces::NONE)?;
    let apart = Signals::sent(Namespaces::PID)?;
    lab.picture(
        Picture::Heat(1),
        "What pidfd_send_signal() gives",
        &["from a member of", "to A", "to B", "to D", "to C"],
        apart.rows(),
    )?;
    lab.claim(DOWNWARDS)
        .without(plain.against_the_claim())
        .with(apart.against_the_claim())
        .shows(|seen| *seen == 0)?;

    lab.step(Step {
        goal: "Nest three PID namespaces. Walk up from the innermost, from parent to parent, until the kernel refuses.",
        calls: &["open(\"/proc/PID/ns/pid\")", "ioctl(ns, NS_GET_PARENT)"],
        by_hand: &["lsns --type pid --tree=parent"],
    })?;
    lab.claim(PARENT)
        .without(walk_up(Namespaces::NONE)?)
        .with(walk_up(Namespaces::PID)?)
        .shows(|seen| seen.outside("steps up to our own").is_some_and(|it| *it == 3))?;
    Ok(())
}

fn look_outside(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let target = Child::spawn("target", Namespaces::NONE, Witness::stay)?;
    let pid = target.pid();
    let mut child = Child::spawn("inside", namespaces, move |me| {
        me.saw(KILL, signals::send(pid, None)?)?;
        let name = process::name(Some(pid)).map_or("not there".into(), Value::Text);
        me.saw(NAME, name)
    })?;
    Ok(child.hear_all()?)
}

/// Who is where: A is around all, B and C are in A, and D is in B.
const PLACES: [&str; 4] = ["A", "B, in A", "D, in B", "C, in A"];
/// Which places lie in which, itself included.
const WITHIN: [&[usize]; 4] = [&[0, 1, 2, 3], &[1, 2], &[2], &[3]];

struct Signals(Vec<Fact>);

impl Signals {
    fn sent(namespaces: Namespaces) -> Result<Signals> {
        let facts = in_a(move |me| {
            let mut first = Child::spawn("in B", namespaces, move |me| {
                let mut inner = Child::spawn("in D", namespaces, tell_numbers_and_stay)?;
                me.tell(inner.hear()?)?;
                tell_numbers_and_stay(me)
            })?;
            let mut beside = Child::spawn("in C", namespaces, tell_numbers_and_stay)?;
            let mut around = Child::spawn("in A", Namespaces::NONE, tell_numbers_and_stay)?;
            let (inner, first, beside, around) =
                (first.hear()?, first.hear()?, beside.hear()?, around.hear()?);
            let mut targets = Vec::new();
            let mut doors = Vec::new();
            for told in [around, first, inner, beside] {
                targets.push(pids::open(number(&told, 1)?)?);
                doors.push(NsFile::of(Some(number(&told, 0)?), Kind::Pid)?);
            }
            // The senders come last, so that all of them have all the descriptors.
            for (door, place) in doors.iter().zip(PLACES) {
                let parent = Child::spawn("at the door", Namespaces::NONE, |me| {
                    door.enter(Some(Kind::Pid))?;
                    let sender = Child::spawn(place, Namespaces::NONE, |me| {
                        for (target, name) in targets.iter().zip(PLACES) {
                            me.saw(name, pids::signal(target.as_fd(), SIGCONT)?)?;
                        }
                        Ok(())
                    })?;
                    trial::tell_all_of(sender, me)
                })?;
                trial::tell_all_of(parent, me)?;
            }
            Ok(())
        })?;
        Ok(Signals(facts))
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

    fn against_the_claim(&self) -> Vec<Fact> {
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
            Fact::inside("grid", "of the 16 answers, against the claim", against),
            Fact::inside("grid", "signals that were sent", format!("{sent} of 16")),
        ]
    }
}

fn walk_up(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("first", namespaces, move |me| {
        let mut child = Child::spawn("second", namespaces, move |me| {
            let mut child = Child::spawn("third", namespaces, tell_numbers_and_stay)?;
            me.tell(child.hear()?)?;
            me.stay()
        })?;
        me.tell(child.hear()?)?;
        me.stay()
    })?;
    let third = number(&child.hear()?, 0)?;
    let ours = namespace::of_kind(None, Kind::Pid)?;
    let mut at = NsFile::of(Some(third), Kind::Pid)?;
    let mut steps = 0;
    while at.id()? != ours {
        at = at.parent()?;
        steps += 1;
    }
    let further = at.parent();
    Ok(vec![
        Fact::outside("steps up to our own", steps),
        Fact::outside("the parent of our own", Outcome::of(further)?),
    ])
}
