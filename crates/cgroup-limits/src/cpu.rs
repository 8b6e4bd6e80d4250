//! cpu and cpuset: how much CPU time a process gets, and on which CPUs. Past cpu.max no call fails: the process waits.

use std::time::Duration;

use anyhow::{Context, Result};
use lesson::{Claim, Requirement, Row, Step, first, hand, inside, outside, right, wrong};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use ns_core::cgroup::CgroupRequest::Controller;
use ns_core::cgroup::{Cgroup, InterfaceFile};
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Pid, Value};

use crate::cgroups::{Pair, create, show_version};
use crate::requirements::{self, CPU};

const MAX: Claim = Claim::holds(
    "cpu-max",
    "cpu: a process that needs more CPU time than cpu.max allows is throttled, and nr_throttled in cpu.stat increases.",
)
.factor("cpu.max")
.notes(&[40])
.more(&[112])
.requires(&[CPU, Requirement::Alone])
.core(&[Row::first("nr_throttled")])
.asks(
    "cpu.max is 2 ms in every 20 ms. A process needs 20 ms of CPU time. What happens?",
    &[
        right("it is throttled, and cpu.stat counts that"),
        wrong("it runs at full speed while no other process needs the CPU", "cpu.weight works like that"),
        wrong("SIGXCPU ends it", "past a limit by ulimit -t, SIGXCPU ends a process"),
    ],
);
const ABOVE: Claim = Claim::holds(
    "cpu-above",
    "When an ancestor's cpu.max throttles a process, nr_throttled increases in the ancestor, and not in the process's cgroup.",
)
.factor("cpu.max of the parent")
.notes(&[40, 51])
.more(&[112])
.requires(&[CPU, Requirement::Alone]);

pub(crate) const LIMIT_CPU: Step = Step {
    title: "cpu: allow 2 ms of CPU time in every 20 ms, and let a process use 20 ms.",
    calls: &["write(\"…/cpu.max\", \"2000 20000\")", "read(\"…/cpu.stat\")"],
    by_hand: &[hand("mkdir new; echo 2000 20000 > new/cpu.max").as_root().prints("").in_the_same_shell(), hand("sh -c 'echo $$ > new/cgroup.procs; i=0; while [ $i -lt 9999 ]; do i=$((i+1)); done'; grep nr_throttled new/cpu.stat; rmdir new").as_root().prints("nr_throttled …"), ],
    claims: &[MAX, ABOVE],
    run: |lab| {
        show_version(lab, "cpu")?;
        lab.leave_a_member(Controller("cpu"), "limited", |it| it.limit_cpu(QUOTA, PERIOD))?;
        // A limited process waits most of the time, so all of them run at the same time.
        let within = lab.begin(MAX, false, true, burn_within);
        let below = lab.begin(ABOVE, false, true, burn_below);
        lab.end(within, |(mut burner, cgroup)| {
            burner.fact()?;
            throttled("nr_throttled", &cgroup)
        })?
        .shows(first().is("more than 0"))?;
        lab.end(below, |(mut burner, pair)| {
            burner.fact()?;
            Ok([throttled("nr_throttled above", &pair.above)?, throttled("nr_throttled below", &pair.below)?])
        })?
        .in_both_arms(outside("nr_throttled below").is(0))
        .shows(outside("nr_throttled above").is("more than 0"))
    },
};

pub(crate) const TWO_CPUS: Requirement = Requirement::Probe(|| {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    Ok((cpus < 2).then(|| Unmet::new("a second CPU", "run it on a machine with two CPUs, without taskset")))
});

const CPUSET: Claim = Claim::holds(
    "cpuset",
    "cpuset: a process runs only on the CPUs of its cgroup; sched_setaffinity() to another fails with EINVAL.",
)
.factor("cpuset.cpus")
.notes(&[41])
.requires(&[requirements::CPUSET, TWO_CPUS]);

pub(crate) const LIMIT_CPUSET: Step = Step {
    title: "cpuset: allow one CPU, and call sched_setaffinity() with another.",
    calls: &["write(\"…/cpuset.cpus\", \"0\")", "sched_getaffinity()", "sched_setaffinity()"],
    by_hand: &[hand("mkdir new; echo 0 > new/cpuset.cpus; sh -c 'echo $$ > new/cgroup.procs; taskset -cp $$; taskset -cp 1 $$'; rmdir new").as_root().prints("pid …'s current affinity list: 0\n…\ntaskset: …: EINVAL\n…").in_the_same_shell(), ],
    claims: &[CPUSET],
    run: |lab| {
        show_version(lab, "cpuset")?;
        lab.compare(CPUSET, false, true, run_elsewhere)?
            .shows(inside("CPUs allowed").is(1) & inside("sched_setaffinity() to another CPU").is("EINVAL"))
    },
};

/// A tenth of one CPU. The periods are short, so that the run is short too.
const QUOTA: Duration = Duration::from_millis(2);
const PERIOD: Duration = Duration::from_millis(20);
/// CPU time that takes ten such periods. It counts only while the process runs, so other load does not matter.
const WORK: Duration = Duration::from_millis(20);

/// A process that uses CPU time in a cgroup, and reports when it has used [`WORK`].
fn burn_within(limited: bool) -> Result<(Child, Cgroup)> {
    let cgroup = create(Controller("cpu"), "limited")?;
    if limited {
        cgroup.limit_cpu(QUOTA, PERIOD)?;
    }
    Ok((burn_in(&cgroup)?, cgroup))
}

/// As [`burn_within`], in a child cgroup whose parent has the limit.
fn burn_below(limited: bool) -> Result<(Child, Pair)> {
    let pair = Pair::with("cpu")?;
    if limited {
        pair.above.limit_cpu(QUOTA, PERIOD)?;
    }
    Ok((burn_in(&pair.below)?, pair))
}

/// Has a process in `cgroup` use CPU time: [`WORK`].
fn burn_in(cgroup: &Cgroup) -> Result<Child> {
    let child = Child::spawn("burner", Namespaces::NONE, |me| {
        me.checkpoint()?;
        let used = || clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).named(|| "clock_gettime()".into());
        let until = Duration::from(used()?) + WORK;
        while Duration::from(used()?) < until {}
        me.report("it is", "done")
    })?;
    cgroup.join(child.pid())?;
    child.wake()?;
    Ok(child)
}

/// Whether the cgroup was throttled. How often depends on the other load of the machine.
fn throttled(what: &str, cgroup: &Cgroup) -> Result<Fact> {
    let count = cgroup.flat_keyed("cpu.stat")?.get("nr_throttled").copied().context("nr_throttled")?;
    Ok(Fact::outside(what, if count == 0 { Value::Number(0) } else { "more than 0".into() }))
}

/// On how many CPUs a process may run, and whether it may run on the second. If `limited`, its cgroup has the first CPU
/// alone.
fn run_elsewhere(limited: bool) -> Result<Vec<Fact>> {
    let cgroup = create(Controller("cpuset"), "limited")?;
    let cpus = allowed()?;
    let [first, other] = [cpus[0], cpus[1]];
    if limited {
        cgroup.limit(cgroup.file(InterfaceFile::CPUS), first)?;
    }
    let mut child = Child::spawn("runner", Namespaces::NONE, move |me| {
        me.checkpoint()?;
        let cpus = allowed()?.len();
        // Without a limit the number depends on the machine.
        let count = i64::try_from(cpus).unwrap_or(i64::MAX);
        let count = if count == 1 { Value::Number(1) } else { Value::Count(count) };
        me.report("CPUs allowed", count)?;
        let mut wanted = CpuSet::new();
        wanted.set(other).named(|| "CPU_SET()".into())?;
        let moved = sched_setaffinity(Pid::from_raw(0), &wanted).named(|| "sched_setaffinity()".into());
        me.report("sched_setaffinity() to another CPU", Outcome::of(moved)?)
    })?;
    cgroup.join(child.pid())?;
    child.wake()?;
    Ok(child.facts()?)
}

/// The CPUs that the caller may run on.
pub(crate) fn allowed() -> ns_core::Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0)).named(|| "sched_getaffinity()".into())?;
    Ok((0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect())
}
