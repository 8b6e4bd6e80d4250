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
mod suspend;

use anyhow::Result;
use lesson::{Claim, Experiment, Lab, Need, Picture, Step};
use ns_core::probe::{self, Missing};
use ns_core::{Child, Fact, Namespaces, Value, child};
use shift::{CLOCKS, Gauge, Reading, SINCE_BOOT};

/// A day more on the monotonic clocks, a week more since boot.
const LAST_WEEK: &str = "monotonic 86400 0\nboottime 604800 0\n";

const SHIFTED: Claim = Claim::holds(
    "shifted",
    "The offsets of a time namespace shift CLOCK_MONOTONIC and CLOCK_BOOTTIME, and not CLOCK_REALTIME.",
)
.cause("offsets")
.notes(&[103]);
const ALONG: Claim = Claim::holds(
    "along",
    "CLOCK_MONOTONIC_RAW and _COARSE are shifted along, and the vDSO and the system call agree.",
)
.cause("offsets")
.notes(&[103])
.more(&[97]);
const BOOTED: Claim = Claim::holds(
    "booted",
    "/proc/uptime, sysinfo(), and the boot and start times in /proc follow the time namespace of who asks.",
)
.cause("offsets")
.notes(&[103])
.more(&[99]);

const TIME_NS: Experiment = Experiment {
    name: "time-ns",
    question: "Can a process be told that the machine booted last week?",
    notes: "Time Namespace",
    man: &["time_namespaces(7)", "clock_getres(2)", "unshare(2)"],
    examples: &[
        ("time-ns", "run the experiment"),
        ("time-ns --sabotage", "without namespace and offsets: no claim holds"),
        ("time-ns --format jsonl | jq .", "the same as data"),
        ("strace -f time-ns", "the system calls, facts on their pipes included"),
    ],
    // From a user namespace other than the first, nobody can set the machine's clocks, not even root.
    stage: Namespaces::USER,
    needs: &[Need::Probe(time_namespaces)],
    claims: &[
        SHIFTED,
        ALONG,
        BOOTED,
        entry::CHILDREN,
        entry::EXECVE,
        entry::TOO_LATE,
        entry::SETNS,
        entry::CLONE3,
        entry::THREADS,
        entry::DOCKER,
        offsets::MALFORMED,
        offsets::RANGE,
        offsets::FROZEN,
        offsets::NESTED,
        offsets::DEADLINE,
        offsets::PRIVILEGE,
        suspend::STOPS,
        suspend::GOES_ON,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    // Some of the children become this program again, to see what execve() does.
    child::after_exec(entry::AFTER_EXECVE, entry::report);
    lesson::main(&TIME_NS)
}

fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Enter a new time namespace as it is, and one whose offsets put it ahead: by a day, and by a week since boot. Read the clocks inside and outside, and two of them once more without the vDSO, by a system call.",
        calls: &[
            "unshare(CLONE_NEWTIME)",
            "write(\"/proc/self/timens_offsets\", \"monotonic 86400 0\\nboottime 604800 0\\n\")",
            "setns(\"/proc/self/ns/time_for_children\", CLONE_NEWTIME)",
            "clock_gettime(…)",
        ],
        by_hand: &["unshare -Ur --time --fork --monotonic 86400 --boottime 604800 cat /proc/uptime; cat /proc/uptime"],
    })?;
    let (plain, shifted) = (read(&CLOCKS, None)?, read(&CLOCKS, Some(LAST_WEEK))?);
    lab.picture(
        Picture::Clocks,
        "Clocks outside, and inside the one that is ahead",
        &["clock", "outside", "inside", "ahead by"],
        rows(&shifted),
    )?;
    let basic = ["CLOCK_REALTIME", "CLOCK_MONOTONIC", "CLOCK_BOOTTIME"];
    lab.claim(SHIFTED).without(facts(&plain, &basic)).with(facts(&shifted, &basic)).shows(|ahead| {
        ahead.inside("CLOCK_REALTIME, ahead by").is_some_and(|it| *it == "0 s")
            && ahead.inside("CLOCK_MONOTONIC, ahead by").is_some_and(|it| *it == "86400 s")
            && ahead.inside("CLOCK_BOOTTIME, ahead by").is_some_and(|it| *it == "604800 s")
    })?;
    let more =
        CLOCKS.map(|clock| clock.what).into_iter().filter(|what| !basic.contains(what)).collect::<Vec<_>>();
    lab.claim(ALONG).without(facts(&plain, &more)).with(facts(&shifted, &more)).shows(|ahead| {
        ahead.inside("CLOCK_MONOTONIC_RAW, ahead by").is_some_and(|it| *it == "86400 s")
            && ahead.inside("CLOCK_MONOTONIC_COARSE, ahead by").is_some_and(|it| *it == "86400 s")
            && ahead.inside("CLOCK_MONOTONIC, syscall, ahead by").is_some_and(|it| *it == "86400 s")
            && ahead.inside("CLOCK_BOOTTIME, syscall, ahead by").is_some_and(|it| *it == "604800 s")
    })?;

    lab.step(Step {
        goal: "Ask /proc and sysinfo(), inside and outside, for how long the machine has run, and when a child began.",
        calls: &["read(\"/proc/uptime\")", "sysinfo()", "read(\"/proc/stat\")", "read(\"/proc/PID/stat\")"],
        by_hand: &["unshare -Ur --time --fork --boottime 604800 uptime --pretty; uptime --pretty"],
    })?;
    let (plain, shifted) = (read(&SINCE_BOOT, None)?, read(&SINCE_BOOT, Some(LAST_WEEK))?);
    let all = SINCE_BOOT.map(|gauge| gauge.what);
    lab.claim(BOOTED).without(facts(&plain, &all)).with(facts(&shifted, &all)).shows(|ahead| {
        ahead.inside("/proc/uptime, ahead by").is_some_and(|it| *it == "604800 s")
            && ahead.inside("sysinfo(), ahead by").is_some_and(|it| *it == "604800 s")
            && ahead.inside("btime of /proc/stat, ahead by").is_some_and(|it| *it == "-604800 s")
            && ahead.inside("start time of the child, ahead by").is_some_and(|it| *it == "604800 s")
    })?;

    entry::run(lab)?;
    offsets::run(lab)?;
    suspend::run(lab)
}

/// Reads the gauges here and in a child in a new time namespace with `offsets`.
fn read(gauges: &[Gauge], offsets: Option<&str>) -> Result<Vec<Reading>> {
    let mut child = Child::spawn("inside", Namespaces::NONE, |me| {
        entry::enter_new(offsets)?;
        shift::tell(me, gauges)
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

/// The differences of those that are called `what`.
fn facts(readings: &[Reading], what: &[&str]) -> Vec<Fact> {
    let wanted = readings.iter().filter(|reading| what.contains(&reading.what));
    wanted.map(|of| Fact::inside("inside", format!("{}, ahead by", of.what), seconds(of.ahead))).collect()
}

fn seconds(count: i64) -> Value {
    format!("{count} s").into()
}

/// Whether there are time namespaces, and an ordinary user may make one in a user namespace.
fn time_namespaces() -> ns_core::Result<Option<Missing>> {
    probe::stage(Namespaces::USER | Namespaces::TIME)
}
