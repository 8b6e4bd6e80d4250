//! /proc/PID/timens_offsets: what may be written to it, when, and by whom.

use anyhow::Result;
use lesson::{Claim, Lab, Observation, Step, cause};
use ns_core::clock::{self, Clock};
use ns_core::{Capability, Child, Error, Fact, Kind, Namespaces, NsFile, Outcome, Value, namespace, process};

use crate::{entry, seconds, shift};

pub(crate) const MALFORMED: Claim = Claim::holds(
    "malformed",
    "An offset is a clock by name or number, seconds, and 0 to 999999999 nanoseconds; the rest is EINVAL.",
)
.cause("faults")
.more(&[95]);
pub(crate) const RANGE: Claim =
    Claim::holds("range", "An offset that would carry the clock below zero or past its end gives ERANGE.")
        .cause("far offsets")
        .more(&[95]);
pub(crate) const FROZEN: Claim =
    Claim::holds("frozen", "Offsets can be written again until the namespace has had a member; then EACCES.")
        .cause("a first member")
        .more(&[96]);
pub(crate) const NESTED: Claim = Claim::holds(
    "nested",
    "Offsets in a nested namespace count from the initial one: 500 under 1000 is 500 s behind its parent.",
)
.cause("a parent at 1000")
.more(&[101]);
pub(crate) const DEADLINE: Claim = Claim::holds(
    "deadline",
    "An absolute deadline of clock_nanosleep() is in the time of the namespace: outside's now is still to come.",
)
.cause("an offset of -0.05 s")
.more(&[98]);
pub(crate) const PRIVILEGE: Claim = Claim::holds(
    "privilege",
    "CAP_SYS_TIME in one's own user namespace is enough to set offsets, and not to set CLOCK_REALTIME.",
)
.cause("CAP_SYS_TIME")
.more(&[102]);

const WELL_FORMED: [&str; 6] = [
    "monotonic 86400 0",
    "boottime 86400 999999999",
    "monotonic -1 0",
    "1 86400 0",
    "7 86400 0",
    "monotonic 1 0\nboottime 1 0\n",
];
const FAULTY: [&str; 8] = [
    "tomorrow",
    "monotonic",
    "monotonic 86400",
    "monotonic 1.5 0",
    "monotonic 1 -1",
    "monotonic 1 1000000000",
    "realtime 86400 0",
    "0 86400 0",
];
const FAR: [&str; 3] =
    ["monotonic -1000000000 0", "monotonic 5000000000 0", "boottime 9223372036854775807 0"];

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Write all sorts of things to the offsets of a namespace that has no member yet. A clock may be given by its \
               number: CLOCK_REALTIME is 0, CLOCK_MONOTONIC 1, CLOCK_BOOTTIME 7.",
        calls: &["unshare(CLONE_NEWTIME)", "write(\"/proc/self/timens_offsets\", …)"],
        by_hand: &[
            "unshare -Ur /usr/bin/python3 -c 'import ctypes,os,sys; c=ctypes.CDLL(None,use_errno=True); c.unshare(128); f=os.open(\"/proc/self/timens_offsets\",1); [print(o, os.strerror(c.write(f,o.encode(),len(o)) < 0 and ctypes.get_errno()), sep=\": \") for o in sys.argv[1:]]' \"monotonic 86400 0\" \"7 86400 0\" \"monotonic 1.5 0\" \"monotonic 1 1000000000\" \"realtime 1 0\" \"monotonic 5000000000 0\"",
        ],
    })?;
    let well_formed = write_each(&WELL_FORMED)?;
    let faulty = write_each(cause(&FAULTY, &WELL_FORMED))?;
    let far = write_each(cause(&FAR, &WELL_FORMED))?;
    let rows = [&well_formed, &faulty, &far].into_iter().flatten();
    let rows = rows.map(|fact| vec![fact.what.as_str().into(), fact.value.clone()]).collect();
    lab.table("What may be written to timens_offsets", &["written", "answer"], rows)?;
    lab.claim(MALFORMED)
        .without(count(&well_formed, "EINVAL"))
        .with(count(&faulty, "EINVAL"))
        .shows(are_all)?;
    lab.claim(RANGE).without(count(&well_formed, "ERANGE")).with(count(&far, "ERANGE")).shows(are_all)?;

    lab.step(Step {
        goal: "Write the offsets of a new time namespace twice. In between, let it have a member, which ends at once.",
        calls: &[
            "write(\"/proc/self/timens_offsets\", \"monotonic 1 0\")",
            "fork()",
            "write(…, \"monotonic 2 0\")",
        ],
        by_hand: &[
            "unshare -Ur --time --fork --monotonic 1 bash -c 'cat /proc/$PPID/timens_offsets; echo monotonic 2 0 > /proc/$PPID/timens_offsets'",
            "unshare -Ur /usr/bin/python3 -c 'import ctypes,os; c=ctypes.CDLL(None,use_errno=True); c.unshare(128); write=lambda: print(os.strerror(c.write(os.open(\"/proc/self/timens_offsets\",1), b\"monotonic 1 0\", 13) < 0 and ctypes.get_errno()), flush=True); write(); write(); os.fork() or os._exit(0); os.wait(); write()'",
        ],
    })?;
    lab.claim(FROZEN).without(write_twice(false)?).with(write_twice(cause(true, false))?).shows(|of| {
        of.inside("first write").is_some_and(|it| *it == "OK")
            && of.inside("second write").is_some_and(|it| *it == "EACCES")
    })?;

    lab.step(Step {
        goal: "Make a time namespace with an offset of 500 s: in a parent without an offset, and in one with 1000 s.",
        calls: &["write(…, \"monotonic 1000 0\")", "setns(…)", "unshare(CLONE_NEWTIME)", "write(…, \"monotonic 500 0\")"],
        by_hand: &[
            "unshare -Ur --time --fork --boottime 1000 unshare --time --fork --boottime 500 cat /proc/uptime; cat /proc/uptime",
        ],
    })?;
    lab.claim(NESTED)
        .without(nest("monotonic 0 0")?)
        .with(nest(cause("monotonic 1000 0", "monotonic 0 0"))?)
        .shows(|ahead| {
            ahead.inside("ahead of the initial namespace by").is_some_and(|it| *it == "500 s")
                && ahead.inside("ahead of its parent by").is_some_and(|it| *it == "-500 s")
        })?;

    lab.step(Step {
        goal: "Note the time, enter a namespace whose clock is 0.05 s behind, and sleep until the time that was noted.",
        calls: &["clock_gettime(CLOCK_MONOTONIC)", "setns(…)", "clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, …)"],
        by_hand: &[
            "time unshare -Ur --time --fork --monotonic -2 /usr/bin/python3 -c 'import ctypes,sys; t=int(sys.argv[1]); ctypes.CDLL(None).clock_nanosleep(1, 1, (ctypes.c_long*2)(t//10**9, t%10**9), None)' $(/usr/bin/python3 -c 'import time; print(time.monotonic_ns())')",
        ],
    })?;
    lab.claim(DEADLINE)
        .without(sleep_until_now("monotonic 0 0")?)
        .with(sleep_until_now(cause("monotonic -1 950000000", "monotonic 0 0"))?)
        .shows(|slept| slept.inside("that is 0.05 s or more").is_some_and(|it| *it == "yes"))?;

    lab.step(Step {
        goal: "As root of a user namespace, set offsets, and CLOCK_REALTIME to what it is already: without CAP_SYS_TIME, and with it.",
        calls: &[
            "capset()",
            "write(\"/proc/self/timens_offsets\", \"monotonic 1 0\")",
            "clock_settime(CLOCK_REALTIME)",
        ],
        by_hand: &[
            "unshare -Ur date --set \"$(date)\"",
            "unshare -Ur --time --fork --monotonic 1 true && echo OK",
        ],
    })?;
    lab.claim(PRIVILEGE).without(set_clocks(false)?).with(set_clocks(cause(true, false))?).shows(|set| {
        set.inside("write(timens_offsets)").is_some_and(|it| *it == "OK")
            && set.inside("clock_settime(CLOCK_REALTIME)").is_some_and(|it| *it == "EPERM")
    })?;
    Ok(())
}

fn write_each(texts: &[&str]) -> Result<Vec<Fact>> {
    let mut writer = Child::spawn("writer", Namespaces::NONE, |me| {
        namespace::unshare(Namespaces::TIME)?;
        texts.iter().try_for_each(|text| me.saw(*text, Outcome::of(clock::write_offsets(text))?))
    })?;
    Ok(writer.hear_all()?)
}

/// How many of the answers are `errno`: `none of 6`, `3 of 6`, or `all of 6`.
fn count(answers: &[Fact], errno: &str) -> Fact {
    let refused = answers.iter().filter(|answer| answer.value == *errno).count();
    let refused = match refused {
        0 => "none".into(),
        all if all == answers.len() => "all".into(),
        some => some.to_string(),
    };
    Fact::inside("writer", format!("refused with {errno}"), format!("{refused} of {}", answers.len()))
}

fn are_all(refused: &Observation) -> bool {
    refused.value().as_str().is_some_and(|count| count.starts_with("all"))
}

fn write_twice(has_a_member: bool) -> Result<Vec<Fact>> {
    let mut writer = Child::spawn("writer", Namespaces::NONE, |me| {
        namespace::unshare(Namespaces::TIME)?;
        me.saw("first write", Outcome::of(clock::write_offsets("monotonic 1 0"))?)?;
        if has_a_member {
            Child::spawn("member", Namespaces::NONE, |_| Ok(()))?.wait()?;
        }
        me.saw("second write", Outcome::of(clock::write_offsets("monotonic 2 0"))?)
    })?;
    Ok(writer.hear_all()?)
}

/// A process enters a namespace at `parent`, and from there one at 500 s.
fn nest(parent: &str) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", Namespaces::NONE, |me| {
        let outer = make_and_enter(parent)?;
        let inner = make_and_enter("monotonic 500 0")?;
        outer.enter(Some(Kind::Time))?;
        me.saw("ahead of its parent by", seconds(shift::between(&outer, &inner)?))?;
        inner.enter(Some(Kind::Time))?;
        shift::tell(me, &shift::MONOTONIC)
    })?;
    let of_parent = child.hear()?;
    let of_initial = shift::read(&shift::MONOTONIC, &mut child)?[0].ahead;
    Ok(vec![of_parent, Fact::inside("child", "ahead of the initial namespace by", seconds(of_initial))])
}

fn make_and_enter(offsets: &str) -> ns_core::Result<NsFile> {
    entry::enter_new(Some(offsets))?;
    NsFile::of(None, Kind::Time)
}

fn sleep_until_now(offsets: &str) -> Result<Vec<Fact>> {
    const BEHIND: i64 = 50_000_000;
    let mut sleeper = Child::spawn("sleeper", Namespaces::NONE, |me| {
        let home = make_and_enter("monotonic 0 0")?;
        let away = make_and_enter(offsets)?;
        // The shortest of three: the kernel never wakes too early, but a busy machine may wake late.
        let mut shortest = i64::MAX;
        for _ in 0..3 {
            home.enter(Some(Kind::Time))?;
            let now = Clock::Monotonic.now()?;
            away.enter(Some(Kind::Time))?;
            Clock::Monotonic.sleep_until(now)?;
            home.enter(Some(Kind::Time))?;
            shortest = shortest.min(Clock::Monotonic.now()? - now);
        }
        me.saw("slept, by outside's clock", Value::Nanoseconds(shortest))?;
        me.saw("that is 0.05 s or more", shortest >= BEHIND)
    })?;
    Ok(sleeper.hear_all()?)
}

fn set_clocks(capable: bool) -> Result<Vec<Fact>> {
    let mut setter = Child::spawn("setter", Namespaces::NONE, |me| {
        namespace::unshare(Namespaces::TIME)?;
        if !capable {
            process::drop_capability(Capability::CAP_SYS_TIME)?;
        }
        me.saw("write(timens_offsets)", Outcome::of(clock::write_offsets("monotonic 1 0"))?)?;
        me.saw("clock_settime(CLOCK_REALTIME)", try_to_set_the_time()?)
    })?;
    Ok(setter.hear_all()?)
}

/// Sets CLOCK_REALTIME to what it is: the kernel's answer, if it may be asked for one.
fn try_to_set_the_time() -> ns_core::Result<Value> {
    match Clock::Realtime.set_to_itself() {
        Err(Error::WouldChangeHost { .. }) => Ok("not tried: it might succeed".into()),
        answer => Ok(Outcome::of(answer)?.into()),
    }
}
