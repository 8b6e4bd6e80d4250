//! How deep the tree may grow, and what falls with a branch.

use anyhow::Result;
use lesson::{Claim, Lab, Step};
use ns_core::Signal::SIGKILL;
use ns_core::{Child, Fact, Kind, Namespaces, Outcome, Spawn, Value, Witness, namespace, signals};

use crate::trial::{in_a, number, own_numbers};

pub(crate) const DEEPEST: Claim = Claim::holds(
    "deepest",
    "PID namespaces nest 32 deep below the machine's first one: one more gives ENOSPC.",
)
.cause("CLONE_NEWPID")
.notes(&[92])
.more(&[33]);
pub(crate) const ENDS_BELOW: Claim = Claim::holds(
    "ends-below",
    "When an init dies, so does everyone in the namespaces below its own, other inits included.",
)
.cause("CLONE_NEWPID")
.more(&[26]);

/// MAX_PID_NS_LEVEL in the kernel; pid_namespaces(7) gives the number too.
const MOST: i64 = 32;
const TRIED: usize = 36;
/// PROC_PID_INIT_INO: the first PID namespace has the same inode number on every machine.
const FIRST: u64 = 0xeffffffc;

const LEVEL: &str = "level";
const MADE: &str = "levels made";
const NEXT: &str = "one level more";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Nest a PID namespace in a PID namespace and so on, until the kernel refuses (or 36 are made).",
        calls: &["clone3(CLONE_NEWPID)", "…"],
        by_hand: &[
            "export i=0 n='i=$((i+1)); unshare -pf sh -c \"$n\" || { [ $? = 1 ] && echo $i; exit 2; }'",
            "unshare -Urpf sh -c \"$n\"",
        ],
    })?;
    let first = namespace::of_kind(None, Kind::Pid)?.ino == FIRST;
    let count = move |levels: usize| {
        let levels = i64::try_from(levels).unwrap_or(i64::MAX);
        // Whoever is in a namespace already has fewer left.
        if first { Value::Number(levels) } else { Value::Count(levels) }
    };
    let dig = |namespaces| -> Result<Vec<Fact>> {
        let mut top = Child::spawn("level 1", namespaces, move |me| dig_down(me, 1, namespaces))?;
        let (levels, last): (Vec<_>, Vec<_>) =
            top.hear_all()?.into_iter().partition(|fact| fact.what == LEVEL);
        let mut told = vec![Fact::inside("innermost", MADE, count(levels.len()))];
        told.extend(last);
        Ok(told)
    };
    lab.claim(DEEPEST).without(dig(Namespaces::NONE)?).with(dig(Namespaces::PID)?).shows(|seen| {
        let levels = seen.inside(MADE).and_then(Value::as_i64).unwrap_or(0);
        let as_many = if first { levels == MOST } else { (1..MOST).contains(&levels) };
        as_many && seen.inside(NEXT).is_some_and(|it| *it == "ENOSPC")
    })?;

    lab.step(Step {
        goal: "In A, make a chain of five processes that outlive their parents, each in a PID namespace below the last. Kill the first.",
        calls: &["clone3(CLONE_NEWPID)", "kill(first, SIGKILL)", "kill(pid, 0)"],
        by_hand: &[
            "unshare -Urpf unshare -pf unshare -pf unshare -pf unshare -pf sleep 987 & sleep 1",
            "kill -KILL $(pgrep --parent $!); sleep 1; pgrep -af 'sleep 98[7]'",
        ],
    })?;
    lab.claim(ENDS_BELOW)
        .without(left_of_a_chain(Namespaces::NONE)?)
        .with(left_of_a_chain(Namespaces::PID)?)
        .shows(|left| *left == 0)?;
    Ok(())
}

fn dig_down(me: &mut Witness, level: usize, namespaces: Namespaces) -> ns_core::Result<()> {
    // A word a level, so that nobody above waits for all of them at once.
    me.saw(LEVEL, level)?;
    if level == TRIED {
        return me.saw(NEXT, "not tried");
    }
    match Child::spawn("next", namespaces, move |me| dig_down(me, level + 1, namespaces)) {
        Ok(mut next) => loop {
            let fact = next.hear()?;
            let last = fact.what == NEXT;
            me.tell(fact)?;
            if last {
                return Ok(());
            }
        },
        refused => me.saw(NEXT, Outcome::of(refused)?),
    }
}

const CHAIN: usize = 5;

fn left_of_a_chain(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let mut first = Spawn::new("first")
            .namespaces(namespaces)
            .outlives_parent()
            .run(move |me| go_on_below(me, 1, namespaces))?;
        let mut below = Vec::new();
        for _ in 0..CHAIN {
            below.push(number(&first.hear()?, 1)?);
        }
        first.signal(SIGKILL)?;
        first.wait()?;
        let mut left = 0;
        for pid in below.iter().filter(|pid| **pid != first.pid()) {
            left += usize::from(signals::send(*pid, None)? == Outcome::Done);
        }
        me.tell(Fact::outside("of the other four, alive", left))
    })
}

fn go_on_below(me: &mut Witness, length: usize, namespaces: Namespaces) -> ns_core::Result<()> {
    signals::block_all()?;
    me.saw("PIDs", own_numbers()?)?;
    if length < CHAIN {
        let mut next = Spawn::new("next")
            .namespaces(namespaces)
            .outlives_parent()
            .run(move |me| go_on_below(me, length + 1, namespaces))?;
        for _ in length..CHAIN {
            me.tell(next.hear()?)?;
        }
        next.abandon();
    }
    // Not at the gate, which opens when the parent dies.
    loop {
        nix::unistd::pause();
    }
}
