//! How deep PID namespaces nest, and what ends with the init of one.

use anyhow::Result;
use lesson::{Claim, Step, hand, inside, outside};
use ns_core::Signal::SIGKILL;
use ns_core::{
    Child, Errno, Error, Fact, Kind, Namespaces, Outcome, Pid, Reporter, Spawn, Value, namespace, signals,
};

use crate::trial::{in_a, own_pids, pid_of};

const LEVEL: &str = "level";
const MADE: &str = "levels created";
const NEXT: &str = "the next level";
/// Too many namespaces give ENOSPC as well (max_pid_namespaces in namespaces(7)), so one more is created at the first
/// level.
const BESIDE: &str = "one more at level 1";

const DEEPEST: Claim = Claim::holds(
    "deepest",
    "PID namespaces nest at most 32 levels below the initial one; the next clone3() fails with ENOSPC.",
)
.factor("CLONE_NEWPID")
.notes(&[92])
.more(&[33]);

pub(crate) const NEST_TO_THE_LIMIT: Step = Step {
    title: "Create nested PID namespaces, until clone3() fails or there are 36.",
    calls: &["clone3(CLONE_NEWPID)", "…"],
    by_hand: &[
        hand("export i=0 n='i=$((i+1)); unshare -pf sh -c \"$n\" || { [ $? = 1 ] && echo $i; exit 2; }'")
            .prints(""),
        hand("unshare -Urpf sh -c \"$n\"").prints("ENOSPC\n3…"),
    ],
    claims: &[DEEPEST],
    run: |lab| {
        // From a nested PID namespace, fewer levels are left.
        let first = namespace::of_kind(None, Kind::Pid)?.ino == FIRST;
        let as_many = move |levels: &Value| {
            levels.as_i64().is_some_and(|it| if first { it == MOST } else { (1..MOST).contains(&it) })
        };
        lab.compare(DEEPEST, Namespaces::NONE, Namespaces::PID, |namespaces| nest(namespaces, first))?
            .in_both_arms(outside(BESIDE).is("OK"))
            .shows(inside(MADE).that(as_many) & inside(NEXT).is("ENOSPC"))
    },
};

const ENDS_BELOW: Claim = Claim::holds(
    "ends-below",
    "When an init ends, the kernel kills all processes in the namespaces below, including other inits.",
)
.factor("CLONE_NEWPID")
.more(&[26]);

pub(crate) const KILL_THE_FIRST: Step = Step {
    title: "In A, create a chain of five processes that outlive their parents, each in a PID namespace in the last one. Kill the first.",
    calls: &["clone3(CLONE_NEWPID)", "kill(first, SIGKILL)", "kill(pid, 0)"],
    by_hand: &[
        hand("unshare -Urpf unshare -pf unshare -pf unshare -pf unshare -pf sleep 876 2>/dev/null & sleep 1")
            .prints(""),
        hand("pgrep -fc 'sleep 87[6]'; kill -KILL $(pgrep --parent $!); sleep 1; pgrep -fc 'sleep 87[6]'")
            .prints("6\n0"),
    ],
    claims: &[ENDS_BELOW],
    run: |lab| {
        lab.compare(ENDS_BELOW, Namespaces::NONE, Namespaces::PID, left_of_a_chain)?
            .shows(outside("alive, of the other four").is(0))
    },
};

/// MAX_PID_NS_LEVEL of the kernel. pid_namespaces(7) has the number too.
const MOST: i64 = 32;
const TRIED: usize = 36;
/// PROC_PID_INIT_INO: the initial PID namespace has the same inode number on every machine.
const FIRST: u64 = 0xeffffffc;

/// How many levels could be created. From the initial PID namespace (`first`), the number is the same on every machine.
fn nest(namespaces: Namespaces, first: bool) -> Result<Vec<Fact>> {
    let mut top = Child::spawn("level 1", namespaces, move |me| nest_from(me, 1, namespaces))?;
    let mut made = 0_i64;
    let last = loop {
        let fact = top.fact()?;
        if fact.what == NEXT {
            break fact;
        }
        made += 1;
    };
    // While all levels exist.
    let beside = Outcome::of(Child::spawn("beside", namespaces, |_| Ok(())))?;
    let made = if first { Value::Number(made) } else { Value::Count(made) };
    Ok(vec![Fact::inside("innermost", MADE, made), last, Fact::outside(BESIDE, beside)])
}

fn nest_from(me: &mut Reporter, level: usize, namespaces: Namespaces) -> ns_core::Result<()> {
    // One fact a level, so that no process above waits for all of them at once.
    me.report(LEVEL, level)?;
    if level == TRIED {
        me.report(NEXT, "not tried")?;
        return me.stay();
    }
    match Child::spawn("next", namespaces, move |me| nest_from(me, level + 1, namespaces)) {
        Ok(mut next) => loop {
            let fact = next.fact()?;
            let last = fact.what == NEXT;
            me.send(fact)?;
            if last {
                return me.stay();
            }
        },
        refused => {
            me.report(NEXT, Outcome::of(refused)?)?;
            me.stay()
        }
    }
}

const CHAIN: usize = 5;

fn left_of_a_chain(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let mut first = Spawn::new("first")
            .namespaces(namespaces)
            .outlives_parent()
            .run(move |me| lengthen(me, 1, namespaces))?;
        let mut below = Vec::new();
        for _ in 0..CHAIN {
            below.push(pid_of(&first.fact()?, 1)?);
        }
        first.signal(SIGKILL)?;
        first.wait()?;
        let mut left = 0;
        for pid in below.iter().filter(|pid| **pid != first.pid()) {
            left += usize::from(exists(*pid)?);
        }
        me.send(Fact::outside("alive, of the other four", left))
    })
}

fn exists(process: Pid) -> ns_core::Result<bool> {
    match signals::send(process, None)? {
        Outcome::Failed(Errno::ESRCH) => Ok(false),
        Outcome::Failed(errno) => Err(Error::Call { call: "kill(pid, 0)".into(), errno }),
        _ => Ok(true),
    }
}

fn lengthen(me: &mut Reporter, length: usize, namespaces: Namespaces) -> ns_core::Result<()> {
    signals::block_all()?;
    me.report("PIDs", own_pids()?)?;
    if length < CHAIN {
        let mut next = Spawn::new("next")
            .namespaces(namespaces)
            .outlives_parent()
            .run(move |me| lengthen(me, length + 1, namespaces))?;
        for _ in length..CHAIN {
            me.send(next.fact()?)?;
        }
        next.abandon();
    }
    // A checkpoint would end when the parent ends, so this waits by pause().
    loop {
        nix::unistd::pause();
    }
}
