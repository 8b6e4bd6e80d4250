//! /proc/PID/timens_offsets: what can be written to it, when, and by which process.

use anyhow::Result;
use lesson::{Claim, Effect, Row, Step, first, hand, inside, right, wrong};
use ns_core::clock::{self, Clock};
use ns_core::{Capability, Child, Error, Fact, Kind, Namespaces, NsFile, Outcome, Value, namespace, process};

use crate::entry;
use crate::shift::{self, seconds};

const WELL_FORMED: &[&str] = &[
    "monotonic 86400 0",
    "boottime 86400 999999999",
    "monotonic -1 0",
    "1 86400 0",
    "7 86400 0",
    "monotonic 1 0\nboottime 1 0\n",
];
const FAULTY: &[&str] = &[
    "tomorrow",
    "monotonic",
    "monotonic 86400",
    "monotonic 1.5 0",
    "monotonic 1 -1",
    "monotonic 1 1000000000",
    "realtime 86400 0",
    "0 86400 0",
];
const FAR: &[&str] = &["monotonic -1000000000 0", "monotonic 5000000000 0", "boottime 9223372036854775807 0"];

const MALFORMED: Claim = Claim::holds(
    "malformed",
    "A write to timens_offsets fails with EINVAL unless it gives a clock, seconds, and nanoseconds below 10^9.",
)
.factor("faulty texts")
.more(&[95]);
const RANGE: Claim = Claim::holds(
    "range",
    "An offset that would set a clock below zero or above its maximum fails with ERANGE.",
)
.factor("far offsets")
.more(&[95]);

pub(crate) const WRITE_TEXTS: Step = Step {
    title: "Write valid and invalid texts to the offsets of a namespace that has no member yet. A clock has a name or a \
            number: CLOCK_REALTIME is 0, CLOCK_MONOTONIC 1, CLOCK_BOOTTIME 7.",
    calls: &["unshare(CLONE_NEWTIME)", "write(\"/proc/self/timens_offsets\", …)"],
    by_hand: &[hand("unshare -Ur /usr/bin/python3 -c 'import ctypes,os,sys; c=ctypes.CDLL(None,use_errno=True); c.unshare(128); f=os.open(\"/proc/self/timens_offsets\",1); [print(o, os.strerror(c.write(f,o.encode(),len(o)) < 0 and ctypes.get_errno()), sep=\": \") for o in sys.argv[1:]]' \"7 86400 0\" \"monotonic 1.5 0\" \"realtime 1 0\" \"monotonic 5000000000 0\"").prints("7 86400 0: Success\nmonotonic 1.5 0: EINVAL\nrealtime 1 0: EINVAL\nmonotonic 5000000000 0: ERANGE"), ],
    claims: &[MALFORMED, RANGE],
    run: |lab| {
        let faulty = lab.arms(WELL_FORMED, FAULTY, write_each)?;
        let far = lab.arms(WELL_FORMED, FAR, write_each)?;
        let rows = [faulty.control(), faulty.treatment(), far.treatment()].into_iter().flatten();
        let rows = rows.map(|fact| vec![fact.what.as_str().into(), fact.value.clone()]).collect();
        lab.table("Texts written to timens_offsets", &["written", "result"], rows)?;
        lab.judge(MALFORMED, faulty.map(|answers| count(&answers, "EINVAL"))).shows(all_refused())?;
        lab.judge(RANGE, far.map(|answers| count(&answers, "ERANGE"))).shows(all_refused())
    },
};

const FROZEN: Claim = Claim::holds(
    "frozen",
    "Offsets can be written until the namespace has had a member; then write() fails with EACCES.",
)
.factor("a first member")
.more(&[96])
.arms("no member", "had a member")
.core(&[Row::inside("offset: second write", "second write")])
.asks(
    "The offsets of a new time namespace are set. Its first process starts, and ends. Can the offsets be set again?",
    &[
        right("no: it has had a member"),
        wrong("no: they can be written once", "uid_map can be written once"),
        wrong(
            "yes: no process is in it now",
            "the rule seems to be about present members",
        ),
        wrong("yes, with CAP_SYS_TIME", "that was enough for the first write"),
    ],
);

pub(crate) const WRITE_TWICE: Step = Step {
    title: "Write the offsets of a new time namespace twice. In between, create a member, which ends at once.",
    calls: &[
        "write(\"/proc/self/timens_offsets\", \"monotonic 1 0\")",
        "fork()",
        "write(…, \"monotonic 2 0\")",
    ],
    by_hand: &[hand("unshare -Ur --time --fork --monotonic 1 bash -c 'cat /proc/$PPID/timens_offsets; echo monotonic 2 0 > /proc/$PPID/timens_offsets'").prints("monotonic 1 0\nboottime 0 0\nEACCES"), hand("unshare -Ur /usr/bin/python3 -c 'import ctypes,os; c=ctypes.CDLL(None,use_errno=True); c.unshare(128); write=lambda: print(os.strerror(c.write(os.open(\"/proc/self/timens_offsets\",1), b\"monotonic 1 0\", 13) < 0 and ctypes.get_errno()), flush=True); write(); write(); os.fork() or os._exit(0); os.wait(); write()'").prints("Success\nSuccess\nEACCES"), ],
    claims: &[FROZEN],
    run: |lab| {
        lab.compare(FROZEN, false, true, write_twice)?
            .in_both_arms(inside("first write").from("EACCES").to("OK"))
            .shows(inside("second write").is("EACCES"))
    },
};

const NESTED: Claim = Claim::holds(
    "nested",
    "Offsets of a nested time namespace count from the initial one, and not from its parent.",
)
.factor("a parent with 1000 s")
.more(&[101]);

pub(crate) const NEST: Step = Step {
    title: "Create a time namespace with an offset of 500 s: in a parent without an offset, then in one with 1000 s.",
    calls: &[
        "write(…, \"monotonic 1000 0\")",
        "setns(…)",
        "unshare(CLONE_NEWTIME)",
        "write(…, \"monotonic 500 0\")",
    ],
    by_hand: &[hand("unshare -Ur --time --fork --boottime 86400 unshare --time --fork --boottime 604800 cat /proc/self/timens_offsets").prints("monotonic 0 0\nboottime 604800 0"), hand("unshare -Ur --time --fork --boottime 5184000 unshare --time --fork --boottime 604800 uptime --pretty").prints("up 1 week…"), ],
    claims: &[NESTED],
    run: |lab| {
        lab.compare(NESTED, "monotonic 0 0", "monotonic 1000 0", nest)?
            .in_both_arms(inside("ahead of the initial namespace by").is("500 s"))
            .shows(inside("ahead of its parent by").is("-500 s"))
    },
};

const DEADLINE: Claim = Claim::holds(
    "deadline",
    "clock_nanosleep() reads an absolute deadline by the clock of the caller's time namespace.",
)
.factor("an offset of -0.05 s")
.more(&[98]);

pub(crate) const SLEEP_UNTIL_NOW: Step = Step {
    title: "Read the time, enter a namespace whose clock is 0.05 s behind, and sleep until the time that was read.",
    calls: &[
        "clock_gettime(CLOCK_MONOTONIC)",
        "setns(…)",
        "clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, …)",
    ],
    by_hand: &[hand("time unshare -Ur --time --fork --monotonic -2 /usr/bin/python3 -c 'import ctypes,sys; t=int(sys.argv[1]); ctypes.CDLL(None).clock_nanosleep(1, 1, (ctypes.c_long*2)(t//10**9, t%10**9), None)' $(/usr/bin/python3 -c 'import time; print(time.monotonic_ns())')").prints("…\nreal 0m…s\n…"), ],
    claims: &[DEADLINE],
    run: |lab| {
        lab.compare(DEADLINE, "monotonic 0 0", "monotonic -1 950000000", sleep_until_now)?
            .shows(inside("slept 0.05 s or more").is(true))
    },
};

const PRIVILEGE: Claim = Claim::holds(
    "privilege",
    "CAP_SYS_TIME in a nested user namespace allows setting offsets; clock_settime(CLOCK_REALTIME) fails with EPERM.",
)
.factor("CAP_SYS_TIME")
.more(&[102])
.arms("no SYS_TIME", "CAP_SYS_TIME")
.core(&[
    Row::inside("set an offset", "write(timens_offsets)"),
    Row::inside("set the time of day", "clock_settime(CLOCK_REALTIME)"),
])
.asks(
    "Root in a user namespace has CAP_SYS_TIME there. What can it set?",
    &[
        right("the offsets of its time namespace, and not the time of day"),
        wrong("both", "CAP_SYS_TIME is the capability to set the clock"),
        wrong("neither", "the machine has one set of clocks, which seems to be for root of the host"),
        wrong("the time of day, for its namespace", "a time namespace seems to have its own date"),
    ],
);

pub(crate) const SET_WITHOUT_PRIVILEGE: Step = Step {
    title: "As root of a user namespace, set an offset, and set CLOCK_REALTIME to its present value: without CAP_SYS_TIME, then with it.",
    calls: &[
        "capset()",
        "write(\"/proc/self/timens_offsets\", \"monotonic 1 0\")",
        "clock_settime(CLOCK_REALTIME)",
    ],
    by_hand: &[
        hand("unshare -Ur date --set \"$(date)\"").prints("EPERM\n…"),
        hand("unshare -Ur --time --fork --monotonic 1 true && echo OK").prints("OK"),
    ],
    claims: &[PRIVILEGE],
    run: |lab| {
        lab.compare(PRIVILEGE, false, true, set_clocks)?
            .in_both_arms(inside("clock_settime(CLOCK_REALTIME)").is("EPERM"))
            .shows(inside("write(timens_offsets)").from("EPERM").to("OK"))
    },
};

fn write_each(texts: &[&str]) -> Result<Vec<Fact>> {
    let mut writer = Child::spawn("writer", Namespaces::NONE, |me| {
        namespace::unshare(Namespaces::TIME)?;
        texts.iter().try_for_each(|text| me.report(*text, Outcome::of(clock::write_offsets(text))?))
    })?;
    Ok(writer.facts()?)
}

/// How many of the answers are `errno`: `none of 6`, `3 of 6`, or `all of 6`. If one is neither `errno` nor OK, this is
/// the result.
fn count(answers: &[Fact], errno: &str) -> Fact {
    let what = format!("refused with {errno}");
    if let Some(other) = answers.iter().find(|answer| answer.value != "OK" && answer.value != errno) {
        return Fact { what, ..other.clone() };
    }
    let refused = answers.iter().filter(|answer| answer.value == errno).count();
    let refused = match refused {
        0 => "none".into(),
        all if all == answers.len() => "all".into(),
        some => some.to_string(),
    };
    Fact::inside("writer", what, format!("{refused} of {}", answers.len()))
}

fn all_refused() -> Effect {
    first().that(|count| count.as_str().is_some_and(|count| count.starts_with("all")))
}

fn write_twice(has_a_member: bool) -> Result<Vec<Fact>> {
    let mut writer = Child::spawn("writer", Namespaces::NONE, |me| {
        namespace::unshare(Namespaces::TIME)?;
        me.report("first write", Outcome::of(clock::write_offsets("monotonic 1 0"))?)?;
        if has_a_member {
            Child::spawn("member", Namespaces::NONE, |_| Ok(()))?.wait()?;
        }
        me.report("second write", Outcome::of(clock::write_offsets("monotonic 2 0"))?)
    })?;
    Ok(writer.facts()?)
}

/// A process enters a namespace with the offset `parent`, and from there one with 500 s.
fn nest(parent: &str) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", Namespaces::NONE, |me| {
        let outer = create_and_enter(parent)?;
        let inner = create_and_enter("monotonic 500 0")?;
        outer.enter(Some(Kind::Time))?;
        me.report("ahead of its parent by", seconds(shift::between(&outer, &inner)?))?;
        inner.enter(Some(Kind::Time))?;
        shift::report(me, &shift::MONOTONIC)
    })?;
    let of_parent = child.fact()?;
    let of_initial = shift::read(&shift::MONOTONIC, &mut child)?[0].ahead;
    Ok(vec![of_parent, Fact::inside("child", "ahead of the initial namespace by", seconds(of_initial))])
}

fn create_and_enter(offsets: &str) -> ns_core::Result<NsFile> {
    entry::enter_new(Some(offsets))?;
    NsFile::of(None, Kind::Time)
}

fn sleep_until_now(offsets: &str) -> Result<Vec<Fact>> {
    const BEHIND: i64 = 50_000_000;
    let mut sleeper = Child::spawn("sleeper", Namespaces::NONE, |me| {
        let home = create_and_enter("monotonic 0 0")?;
        let away = create_and_enter(offsets)?;
        // The shortest of three: the kernel never wakes a process too early, but may wake it late on a busy machine.
        let mut shortest = i64::MAX;
        for _ in 0..3 {
            home.enter(Some(Kind::Time))?;
            let now = Clock::Monotonic.now()?;
            away.enter(Some(Kind::Time))?;
            Clock::Monotonic.sleep_until(now)?;
            home.enter(Some(Kind::Time))?;
            shortest = shortest.min(Clock::Monotonic.now()? - now);
        }
        me.report("slept, by the first clock", Value::Nanoseconds(shortest))?;
        me.report("slept 0.05 s or more", shortest >= BEHIND)
    })?;
    Ok(sleeper.facts()?)
}

fn set_clocks(capable: bool) -> Result<Vec<Fact>> {
    let mut setter = Child::spawn("setter", Namespaces::NONE, |me| {
        namespace::unshare(Namespaces::TIME)?;
        if !capable {
            process::drop_capability(Capability::CAP_SYS_TIME)?;
        }
        me.report("write(timens_offsets)", Outcome::of(clock::write_offsets("monotonic 1 0"))?)?;
        me.report("clock_settime(CLOCK_REALTIME)", try_to_set_the_time()?)
    })?;
    Ok(setter.facts()?)
}

/// Sets CLOCK_REALTIME to its present value, where that cannot change the host, and returns the result.
fn try_to_set_the_time() -> ns_core::Result<Value> {
    match Clock::Realtime.set_to_itself() {
        Err(Error::WouldChangeHost { .. }) => Ok("not tried: it could succeed".into()),
        answer => Ok(Outcome::of(answer)?.into()),
    }
}
