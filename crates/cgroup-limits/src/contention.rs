//! Two processes that need the same CPU: what cpu.weight gives to each, and what cpu.pressure counts.
//!
//! Both processes spin until they are killed, pinned to that CPU. Other load on the machine affects both alike.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lesson::{Claim, Kernel, Requirement, Step, hand, inside, outside};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{clock_getcpuclockid, clock_gettime};
use ns_core::cgroup::CgroupRequest::{AnyV2, Controller};
use ns_core::cgroup::{Cgroup, CgroupParent, Version};
use ns_core::probe::Unmet;
use ns_core::{Child, Error, Fact, Named, Namespaces, Pid, Reporter, Value};

use crate::cgroups::create;
use crate::cpu::{TWO_CPUS, allowed};
use crate::requirements::{ANY_V2, CPU, CPUSET};

const WEIGHT: Claim = Claim::holds(
    "cpu-weight",
    "cpu: on a busy CPU, a process at cpu.weight 100 gets less than half the time of one at 1000.",
)
.factor("a cpu.weight of 1000 for the other")
.arms("weights 1:1", "weights 1:10")
.notes(&[40])
.more(&[112])
.requires(&[CPU, Requirement::Alone]);

pub(crate) const SHARE_CPU: Step = Step {
    title: "cpu: let two processes spin on one CPU, in cgroups of the same weight. Then make the second weight 10 times as large.",
    calls: &["write(\"…/cpu.weight\", \"1000\")", "sched_setaffinity()", "clock_getcpuclockid()"],
    by_hand: &[hand("mkdir one ten; echo 1000 > ten/cpu.weight; spin='taskset -cp 0 $$ >/dev/null; while :; do :; done'").as_root().prints("").in_the_same_shell(), hand("sh -c \"echo \\$\\$ > one/cgroup.procs; $spin\" & sh -c \"echo \\$\\$ > ten/cgroup.procs; $spin\" & sleep 3; grep usage_usec one/cpu.stat ten/cpu.stat").as_root().prints("one/cpu.stat:usage_usec …\nten/cpu.stat:usage_usec …"), hand("echo 1 > one/cgroup.kill; echo 1 > ten/cgroup.kill; sleep 1; rmdir one ten").as_root().prints(""), ],
    claims: &[WEIGHT],
    run: |lab| lab.compare(WEIGHT, 1, 10, spin_beside)?.shows(outside(LESS_THAN_HALF).is("yes")),
};

const LESS_THAN_HALF: &str = "first has less than half of the other's time";

const PRESSURE: Claim = Claim::holds(
    "cpu-pressure",
    "Without a controller, cpu.pressure counts the time in which one process waits for a CPU while another runs.",
)
.factor("a second process that needs the CPU")
.arms("one process", "two processes")
.more(&[136])
.requires(&[ANY_V2, Requirement::Probe(pressure), Requirement::Alone]);

pub(crate) const PRESS: Step = Step {
    title: "Let one process spin on a CPU, and then two. Read for how long one waits (some), and for how long all wait (full).",
    calls: &["sched_setaffinity()", "read(\"…/cpu.pressure\")", "clock_getcpuclockid()"],
    by_hand: &[
        hand("mkdir new; for i in 1 2; do sh -c \"echo \\$\\$ > new/cgroup.procs; $spin\" & done")
            .as_root()
            .prints("")
            .in_the_same_shell(),
        hand("grep some new/cpu.pressure; sleep 1; grep some new/cpu.pressure; grep usage_usec new/cpu.stat")
            .as_root()
            .prints("some … total=…\nsome … total=…\nusage_usec …"),
        hand("echo 1 > new/cgroup.kill; sleep 1; rmdir new").as_root().prints(""),
    ],
    claims: &[PRESSURE],
    run: |lab| lab.compare(PRESSURE, false, true, press)?.shows(outside(ONE_WAITED).is("yes")),
};

const ONE_WAITED: &str = "one waits while one runs";

const KEPT: Claim = Claim::holds_since(
    "affinity-kept",
    "A process that sched_setaffinity() pins to one CPU stays pinned when it moves to a cpuset with more CPUs.",
    Kernel(6, 2),
)
.factor("sched_setaffinity() to one CPU before the move")
.arms("not pinned", "pinned")
.notes(&[41])
.requires(&[CPUSET, TWO_CPUS]);

pub(crate) const MOVE_WHO_IS_PINNED: Step = Step {
    title: "cpuset: pin a process to one CPU, and move it to a cpuset with all CPUs. Call sched_getaffinity().",
    calls: &["sched_setaffinity()", "write(\"…/new/cgroup.procs\", \"PID\")", "sched_getaffinity()"],
    by_hand: &[hand("mkdir new; cat cpuset.cpus.effective > new/cpuset.cpus; taskset -c 0 sh -c 'echo $$ > new/cgroup.procs; taskset -cp $$'; rmdir new").as_root().prints("pid …'s current affinity list: 0…").in_the_same_shell(), ],
    claims: &[KEPT],
    run: |lab| lab.compare(KEPT, false, true, move_pinned)?.shows(inside(MAY_USE).is(1)),
};

const MAY_USE: &str = "CPUs allowed after the move";

/// The two are compared each time when they have used this CPU time together.
const PART: Duration = Duration::from_millis(40);
/// How many comparisons in a row must agree, and how many there are at most.
const AGREED: u32 = 3;
const LOOKS: u32 = 25;
/// The CPU time for which pressure is measured, and the interval at which its end is checked.
const ENOUGH: Duration = Duration::from_millis(50);
const MOMENT: Duration = Duration::from_millis(10);

/// Two processes spin on the same CPU. The weight of the second cgroup is `times` that of the first.
fn spin_beside(times: u64) -> Result<Vec<Fact>> {
    let [first, second] = [create(Controller("cpu"), "first")?, create(Controller("cpu"), "second")?];
    // The default of a new cgroup.
    let (file, weight) = match second.version() {
        Version::V1 => ("cpu.shares", 1024),
        Version::V2 => ("cpu.weight", 100),
    };
    second.limit(file, weight * times)?;
    let cpu = a_cpu()?;
    let one = spin_in(&first, "first", cpu, spin)?;
    let beside = one.pid();
    let mut other = spin_in(&second, "second", cpu, move |me| {
        let before = [used(beside)?, used(CALLER)?];
        let (mut both, mut less, mut agreed) = (Duration::ZERO, false, 0);
        for look in 1..=LOOKS {
            let until = both + PART;
            let [others, own] = loop {
                let spent = [used(beside)? - before[0], used(CALLER)? - before[1]];
                if spent[0] + spent[1] >= until {
                    break spent;
                }
            };
            both = others + own;
            agreed = if (2 * others < own) == less { agreed + 1 } else { 1 };
            less = 2 * others < own;
            // Time that an emulated CPU loses is charged to the process that runs. The scheduler compensates later, so one
            // comparison is not enough.
            if agreed == AGREED || look == LOOKS {
                me.report("CPU time of the first", nanoseconds(others))?;
                me.report("CPU time of the second", nanoseconds(own))?;
                return me.report(LESS_THAN_HALF, less);
            }
            me.report("CPU time of both", nanoseconds(both))?;
        }
        Ok(())
    })?;
    let mut facts = other.facts()?;
    let last = facts.split_off(facts.len().saturating_sub(3));
    Ok(last.into_iter().map(|fact| Fact::outside(fact.what, fact.value)).collect())
}

/// What cpu.pressure of a cgroup counts while one or two members spin on a CPU.
///
/// `some` is the time in which a member waits for a CPU. `full` is the part of it in which no member runs, because a
/// process outside has the CPU. So the difference is the time in which one member waits while another runs. Other load
/// on the machine does not add to it.
fn press(two: bool) -> Result<Vec<Fact>> {
    let cgroup = create(AnyV2, "pressed")?;
    let cpu = a_cpu()?;
    let second = two.then(|| spin_in(&cgroup, "second", cpu, spin)).transpose()?;
    let mut first = spin_in(&cgroup, "first", cpu, |me| {
        // It reports at intervals, so that the parent does not have to sleep. It never waits itself.
        let mut said = Instant::now();
        while used(CALLER)? < LONG {
            if said.elapsed() >= MOMENT {
                said = Instant::now();
                me.report("it", "spins")?;
            }
        }
        Ok(())
    })?;
    let members: Vec<Pid> = second.iter().chain([&first]).map(Child::pid).collect();
    let cpu_time = || members.iter().try_fold(Duration::ZERO, |sum, pid| Ok::<_, Error>(sum + used(*pid)?));
    // Pressure is read before and after the CPU time, so that a delay here cannot make it smaller.
    let (before, began) = (Pressure::of(&cgroup)?, cpu_time()?);
    let ran = loop {
        first.fact()?;
        let ran = cpu_time()?.saturating_sub(began);
        if ran >= ENOUGH {
            break ran;
        }
    };
    let after = Pressure::of(&cgroup)?;
    let [some, full] = [after.some.saturating_sub(before.some), after.full.saturating_sub(before.full)];
    Ok(vec![
        Fact::outside("CPU time", nanoseconds(ran)),
        Fact::outside("some", nanoseconds(some)),
        Fact::outside("full", nanoseconds(full)),
        Fact::outside(ONE_WAITED, 2 * some.saturating_sub(full) >= ran),
    ])
}

/// The totals of a cgroup's cpu.pressure.
struct Pressure {
    some: Duration,
    full: Duration,
}

impl Pressure {
    fn of(cgroup: &Cgroup) -> ns_core::Result<Pressure> {
        let text = cgroup.read(PRESSURE_FILE)?;
        let total = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let total =
                line.and_then(|it| it.split_once("total=")).and_then(|(_, it)| it.trim().parse().ok());
            let message = || format!("no total of {name} in {text:?}");
            total
                .map(Duration::from_micros)
                .ok_or_else(|| Error::Unreadable { what: PRESSURE_FILE.into(), message: message() })
        };
        Ok(Pressure { some: total("some ")?, full: total("full ")? })
    }
}

/// How many CPUs a process may use after a move to a cpuset of all CPUs. If `pinned`, it is pinned to one before.
fn move_pinned(pinned: bool) -> Result<Vec<Fact>> {
    let cgroup = create(Controller("cpuset"), "all")?;
    let cpu = a_cpu()?;
    let mut child = Child::spawn("mover", Namespaces::NONE, move |me| {
        if pinned {
            stay_on(cpu)?;
        }
        me.report("CPUs allowed before", number_of_cpus()?)?;
        me.checkpoint()?;
        me.report(MAY_USE, number_of_cpus()?)
    })?;
    let before = child.fact()?;
    cgroup.join(child.pid())?;
    child.wake()?;
    Ok(vec![before, child.fact()?])
}

/// Without a limit the number depends on the machine.
fn number_of_cpus() -> ns_core::Result<Value> {
    let cpus = i64::try_from(allowed()?.len()).unwrap_or(i64::MAX);
    Ok(if cpus == 1 { Value::Number(1) } else { Value::Count(cpus) })
}

/// A member of `cgroup` that runs `body` on one CPU. Dropping the [`Child`] kills it.
fn spin_in(
    cgroup: &Cgroup,
    label: &str,
    cpu: usize,
    body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>,
) -> Result<Child> {
    let mut child = Child::spawn(label, Namespaces::NONE, move |me| {
        me.checkpoint()?;
        // After the move: before Linux 6.2 a move to another cpuset resets the affinity.
        stay_on(cpu)?;
        me.report("it", "spins")?;
        body(me)
    })?;
    cgroup.join(child.pid())?;
    child.wake()?;
    child.fact()?;
    Ok(child)
}

/// More CPU time than any step lets a process use.
const LONG: Duration = Duration::from_secs(30);

fn spin(_: &mut Reporter) -> ns_core::Result<()> {
    while used(CALLER)? < LONG {}
    Ok(())
}

fn a_cpu() -> Result<usize> {
    Ok(*allowed()?.first().context("a CPU")?)
}

fn stay_on(cpu: usize) -> ns_core::Result<()> {
    let mut wanted = CpuSet::new();
    wanted.set(cpu).named(|| "CPU_SET()".into())?;
    sched_setaffinity(CALLER, &wanted).named(|| "sched_setaffinity()".into())
}

const CALLER: Pid = Pid::from_raw(0);

/// The CPU time that a process has used.
fn used(of: Pid) -> ns_core::Result<Duration> {
    let clock = clock_getcpuclockid(of).named(|| format!("clock_getcpuclockid({of})"))?;
    clock_gettime(clock).named(|| "clock_gettime()".into()).map(Duration::from)
}

fn nanoseconds(time: Duration) -> Value {
    Value::Nanoseconds(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
}

/// Lines `some` and `full`, each with `total=`, in µs (Documentation/accounting/psi.rst).
const PRESSURE_FILE: &str = "cpu.pressure";

/// Some kernels have it built in and switched off. Before Linux 5.13 they count no `full` for the CPU.
fn pressure() -> ns_core::Result<Option<Unmet>> {
    let Ok(parent) = CgroupParent::find(AnyV2)? else { return Ok(None) };
    let text = fs::read_to_string(parent.directory().join(PRESSURE_FILE)).unwrap_or_default();
    let what = "pressure stall information: cgroups have no cpu.pressure with some and full here";
    Ok((!text.contains("full ")).then(|| Unmet::new(what, "boot a kernel that has CONFIG_PSI with psi=1")))
}
