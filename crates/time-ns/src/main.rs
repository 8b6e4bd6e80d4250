//! Can a process be told that the machine booted last week?
//!
//! A time namespace adds an offset to the clocks that count from boot. Watch which clocks follow, who gets into the
//! namespace and when, and how long its offsets can still be set.
//!
//! No clock is ever set. All runs in a user namespace of its own, from which no call can reach the machine's clocks;
//! the offsets are the time namespaces' own, and end with them.

mod entry;
mod offsets;
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
    in_short: "it shifts clocks that count from boot, never the date; offsets are fixed once it has had a member.",
    notes: "Time Namespace",
    man: &["time_namespaces(7)", "clock_getres(2)", "unshare(2)"],
    examples: &[
        ("time-ns", "run the experiment"),
        ("time-ns --sabotage", "without namespace and offsets: no claim holds"),
        ("time-ns --format jsonl | jq .", "the same as data"),
        ("strace -f time-ns", "the system calls, facts on their pipes included"),
    ],
    // From a user namespace other than the first, nobody can set the machine's clocks, not even root.
    sandbox: Namespaces::USER,
    requires: &[Requirement::Probe(time_namespaces)],
    steps: &[
        READ_CLOCKS,
        READ_UPTIMES,
        entry::MAKE_A_CHILD,
        entry::EXECUTE,
        entry::VISIT,
        entry::CREATE_INSIDE,
        entry::START_A_THREAD,
        entry::CONTAIN,
        offsets::WRITE_ALL_SORTS,
        offsets::WRITE_TWICE,
        offsets::NEST,
        offsets::SLEEP_UNTIL_NOW,
        offsets::SET_WITHOUT_PRIVILEGE,
        suspend::COMPARE,
        suspend::SUSPEND,
    ],
    prepare: None,
};

fn main() -> std::process::ExitCode {
    // Some of the children become this program again, to see what execve() does.
    child::after_exec(entry::AFTER_EXECVE, entry::report);
    lesson::main(&TIME_NS)
}

const SHIFTED: Claim = Claim::holds(
    "shifted",
    "The offsets of a time namespace shift CLOCK_MONOTONIC and CLOCK_BOOTTIME, and not CLOCK_REALTIME.",
)
.factor("offsets")
.notes(&[103])
.core(&[
    Row::inside("CLOCK_MONOTONIC", "CLOCK_MONOTONIC, ahead by"),
    Row::inside("CLOCK_REALTIME", "CLOCK_REALTIME, ahead by"),
])
.asks(
    "A time namespace puts its members ahead. Which clocks do they read otherwise than the host does?",
    &[
        right("those that count from boot, and not the time of day"),
        wrong("all, the time of day included", "a time namespace is thought to have a date of its own"),
        wrong("the time of day alone", "`date` is what people mean by the time"),
    ],
);
const ALONG: Claim = Claim::holds(
    "along",
    "CLOCK_MONOTONIC_RAW and _COARSE are shifted along, and the vDSO and the system call agree.",
)
.factor("offsets")
.notes(&[103])
.more(&[97]);

const READ_CLOCKS: Step = Step {
    title: "Enter a new time namespace as it is, and one whose offsets put it ahead: by a day, and by a week since boot. Read the clocks inside and outside, and two of them once more without the vDSO, by a system call.",
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
            "Clocks outside, and inside the one that is ahead",
            &["clock", "outside", "inside", "ahead by"],
            rows(read.treatment()),
        )?;
        let ahead = read.map(|readings| facts(&readings));
        let basic = ["CLOCK_REALTIME, ahead by", "CLOCK_MONOTONIC, ahead by", "CLOCK_BOOTTIME, ahead by"];
        lab.judge(SHIFTED, ahead.only(&basic)).shows(
            inside("CLOCK_REALTIME, ahead by").is("0 s")
                & inside("CLOCK_MONOTONIC, ahead by").is("86400 s")
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
    "/proc/uptime, sysinfo(), and the boot and start times in /proc follow the time namespace of who asks.",
)
.factor("offsets")
.notes(&[103])
.more(&[99])
.core(&[Row::inside("/proc/uptime", "/proc/uptime, ahead by")])
.asks(
    "The boot clock of a process is a week ahead; its /proc was mounted by the host. What does /proc/uptime \
     show it?",
    &[
        right("a week more than it shows the host"),
        wrong(
            "what it shows the host",
            "a PID namespace needs a procfs of its own, and a time namespace might too",
        ),
        wrong("how old its namespace is", "a container's uptime is thought to count from its start"),
    ],
);

const READ_UPTIMES: Step = Step {
    title: "Ask /proc and sysinfo(), inside and outside, for how long the machine has run, and when a child began.",
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

/// Reads the gauges here and in a child in a new time namespace with `offsets`.
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

/// By how much each gauge is ahead inside.
fn facts(readings: &[Reading]) -> Vec<Fact> {
    let fact = |of: &Reading| Fact::inside("inside", format!("{}, ahead by", of.what), seconds(of.ahead));
    readings.iter().map(fact).collect()
}

/// Whether there are time namespaces, and an ordinary user may make one in a user namespace.
fn time_namespaces() -> ns_core::Result<Option<Unmet>> {
    probe::sandbox(Namespaces::USER | Namespaces::TIME)
}
