//! Can a process be told that the machine booted last week?
//!
//! A time namespace adds an offset to the clocks that count from boot. Watch which clocks change, which process enters
//! the namespace and when, and how long its offsets can be set.
//!
//! The experiment runs in a new user namespace, in which no process can set the host's clocks. The offsets belong to
//! the time namespaces, and end with them.

mod entry;
mod offsets;
mod shell;
mod shift;
mod sleep;
mod suspend;

use anyhow::Result;
use lesson::{Claim, Experiment, Picture, Requirement, Row, Step, hand, inside, right, wrong};
use ns_core::probe::{self, Unmet};
use ns_core::{Child, Fact, Namespaces, Value, child};

use shift::{CLOCKS, Gauge, LAST_WEEK, Reading, SINCE_BOOT, seconds};

const TIME_NS: Experiment = Experiment {
    name: "time-ns",
    question: "Can a process be told that the machine booted last week?",
    setup: "By how many seconds is a child's clock ahead of the host's?",
    arms: ["no offset", "offsets set"],
    in_short: "offsets shift the clocks that count from boot, and not the date. The first member fixes them.",
    notes: "Time Namespace",
    man: &["time_namespaces(7)", "clock_getres(2)", "unshare(2)"],
    examples: &[
        ("time-ns", "run the experiment"),
        ("time-ns --sabotage", "the negative control: no claim holds"),
        ("time-ns --format jsonl | jq .", "the same as data"),
        ("strace -f time-ns", "its system calls, with those that report facts"),
    ],
    // Outside of the initial user namespace, even root cannot set the host's clocks.
    sandbox: Namespaces::USER,
    requires: &[Requirement::Probe(time_namespaces)],
    steps: &[
        READ_CLOCKS,
        READ_UPTIMES,
        entry::CREATE_A_CHILD,
        entry::EXECUTE,
        entry::VISIT,
        entry::CREATE_INSIDE,
        entry::START_A_THREAD,
        entry::COMPARE_WITH_DOCKER,
        offsets::WRITE_TEXTS,
        offsets::WRITE_TWICE,
        offsets::NEST,
        offsets::SLEEP_UNTIL_NOW,
        offsets::SET_WITHOUT_PRIVILEGE,
        suspend::COMPARE,
        suspend::SUSPEND,
    ],
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    // Some children execute this program again, which shows the effect of execve().
    child::after_exec(entry::AFTER_EXECVE, entry::report);
    lesson::main(&TIME_NS)
}

const SHIFTED: Claim = Claim::holds(
    "shifted",
    "Offsets of a time namespace shift CLOCK_MONOTONIC and CLOCK_BOOTTIME; CLOCK_REALTIME stays the same.",
)
.factor("offsets")
.notes(&[103])
.core(&[
    Row::inside("CLOCK_MONOTONIC", "CLOCK_MONOTONIC, ahead by"),
    Row::inside("CLOCK_REALTIME", "CLOCK_REALTIME, ahead by"),
])
.asks(
    "A time namespace has offsets. Which clocks show its members another time than they show the host?",
    &[
        right("those that count from boot, and not the time of day"),
        wrong("all, including the time of day", "a time namespace seems to have its own date"),
        wrong("only the time of day", "for most people, the time is what `date` shows"),
    ],
);
const ALONG: Claim = Claim::holds(
    "along",
    "The offsets also shift CLOCK_MONOTONIC_RAW and CLOCK_MONOTONIC_COARSE; the vDSO and the system call agree.",
)
.factor("offsets")
.notes(&[103])
.more(&[97]);

const READ_CLOCKS: Step = Step {
    title: "Enter a new time namespace without offsets, then one with offsets: a day for the monotonic clocks, a week for the boot-time clock. Read the clocks inside and outside. Read two of them again by the system call, without the vDSO.",
    calls: &[
        "unshare(CLONE_NEWTIME)",
        "write(\"/proc/self/timens_offsets\", \"monotonic 86400 0\\nboottime 604800 0\\n\")",
        "setns(\"/proc/self/ns/time_for_children\", CLONE_NEWTIME)",
        "clock_gettime(…)",
    ],
    by_hand: &[hand(
        "unshare -Ur --time --fork --monotonic 86400 --boottime 604800 cat /proc/uptime; cat /proc/uptime",
    )
    .prints("<seconds A> …\n<seconds B> …")],
    claims: &[SHIFTED, ALONG],
    run: |lab| {
        let read = lab.arms(None, Some(LAST_WEEK), |offsets| read(&CLOCKS, offsets))?;
        lab.picture(
            Picture::Clocks,
            "Clocks outside, and inside the namespace with offsets",
            &["clock", "outside", "inside", "ahead by"],
            rows(read.treatment()),
        )?;
        let ahead = read.map(|readings| facts(&readings));
        let basic = ["CLOCK_REALTIME, ahead by", "CLOCK_MONOTONIC, ahead by", "CLOCK_BOOTTIME, ahead by"];
        lab.judge(SHIFTED, ahead.only(&basic))
            .in_both_arms(inside("CLOCK_REALTIME, ahead by").is("0 s"))
            .shows(
                inside("CLOCK_MONOTONIC, ahead by").is("86400 s")
                    & inside("CLOCK_BOOTTIME, ahead by").is("604800 s"),
            )?;
        let others = ahead.map(|mut facts| {
            facts.retain(|fact| !basic.contains(&fact.what.as_str()));
            facts
        });
        lab.judge(ALONG, others).shows(
            inside("CLOCK_MONOTONIC_RAW, ahead by").is("86400 s")
                & inside("CLOCK_MONOTONIC_COARSE, ahead by").is("86400 s")
                & inside("CLOCK_MONOTONIC, syscall, ahead by").is("86400 s")
                & inside("CLOCK_BOOTTIME, syscall, ahead by").is("604800 s"),
        )
    },
};

const BOOTED: Claim = Claim::holds(
    "booted",
    "/proc/uptime, sysinfo(), and the boot and start times in /proc follow the reader's time namespace.",
)
.factor("offsets")
.notes(&[103])
.more(&[99])
.core(&[Row::inside("/proc/uptime", "/proc/uptime, ahead by")])
.asks(
    "CLOCK_BOOTTIME of a process is a week ahead. Its /proc is the one of the host. What does it read in /proc/uptime?",
    &[
        right("a week more than the host reads"),
        wrong("the same as the host", "a PID namespace needs a new procfs, and a time namespace might too"),
        wrong("the age of its namespace", "a container's uptime seems to count from its start"),
    ],
);

const READ_UPTIMES: Step = Step {
    title: "Read the uptime of the machine and the start time of a child, from /proc and sysinfo(), inside and outside.",
    calls: &["read(\"/proc/uptime\")", "sysinfo()", "read(\"/proc/stat\")", "read(\"/proc/PID/stat\")"],
    by_hand: &[hand("unshare -Ur --time --fork --boottime 604800 uptime --pretty; uptime --pretty")
        .prints("up … week…\nup …")],
    claims: &[BOOTED],
    run: |lab| {
        lab.compare(BOOTED, None, Some(LAST_WEEK), |offsets| Ok(facts(&read(&SINCE_BOOT, offsets)?)))?.shows(
            inside("/proc/uptime, ahead by").is("604800 s")
                & inside("sysinfo(), ahead by").is("604800 s")
                & inside("btime of /proc/stat, ahead by").is("-604800 s")
                & inside("start time of the child, ahead by").is("604800 s"),
        )
    },
};

/// Reads the gauges in this process, and in a child in a new time namespace with `offsets`.
fn read(gauges: &[Gauge], offsets: Option<&str>) -> Result<Vec<Reading>> {
    let mut child = Child::spawn("inside", Namespaces::NONE, |me| {
        entry::enter_new(offsets)?;
        shift::report(me, gauges)
    })?;
    Ok(shift::read(gauges, &mut child)?)
}

fn rows(readings: &[Reading]) -> Vec<Vec<Value>> {
    let time = Value::Nanoseconds;
    readings
        .iter()
        .map(|of| vec![of.what.into(), time(of.outside), time(of.inside), seconds(of.ahead)])
        .collect()
}

/// How far each gauge is ahead inside.
fn facts(readings: &[Reading]) -> Vec<Fact> {
    let fact = |of: &Reading| Fact::inside("inside", format!("{}, ahead by", of.what), seconds(of.ahead));
    readings.iter().map(fact).collect()
}

/// Whether the kernel has time namespaces, and an ordinary user can create one in a user namespace.
fn time_namespaces() -> ns_core::Result<Option<Unmet>> {
    probe::sandbox(Namespaces::USER | Namespaces::TIME)
}
