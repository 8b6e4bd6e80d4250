//! cpu and cpuset: how much time there is, and on which CPUs. Nobody is refused anything; a process waits.

use std::time::Duration;

use anyhow::{Context, Result};
use lesson::{Claim, Lab, Need, Step};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use ns_core::cgroup::{Cgroup, Knob, Want};
use ns_core::probe::Missing;
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Pid, Value};

use crate::{CPU, Pair, find};

/// A tenth of one CPU, in short periods, so that nobody has to wait long.
const QUOTA: Duration = Duration::from_millis(2);
const PERIOD: Duration = Duration::from_millis(20);
/// CPU time that takes ten such periods. It is the process's own time, of which a busy machine takes nothing.
const WORK: Duration = Duration::from_millis(20);

const TWO_CPUS: Need = Need::Probe(|| {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    Ok((cpus < 2).then(|| Missing::new("a second CPU", "run it where there are two, and without taskset")))
});

pub(crate) const MAX: Claim = Claim::holds(
    "cpu-max",
    "cpu: whoever has used up cpu.max waits for the next period, and cpu.stat counts it in nr_throttled.",
)
.cause("cpu.max")
.notes(&[40])
.more(&[112])
.needs(&[CPU]);
pub(crate) const ABOVE: Claim = Claim::holds(
    "cpu-above",
    "A cpu.max above holds a process too, and is counted there: below, nr_throttled stays 0.",
)
.cause("cpu.max of the cgroup above")
.notes(&[40, 51])
.more(&[112])
.needs(&[CPU]);
pub(crate) const CPUSET: Claim = Claim::holds(
    "cpuset",
    "cpuset: a process may run on the CPUs of the cgroup alone; sched_setaffinity() to another is EINVAL.",
)
.cause("cpuset.cpus")
.notes(&[41])
.needs(&[crate::CPUSET, TWO_CPUS]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "cpu: allow 2 ms in every 20 ms, and let a process use 20 ms of CPU time.",
        calls: &["write(\"…/cpu.max\", \"2000 20000\")", "read(\"…/cpu.stat\")"],
        by_hand: &[
            "v1=$(findmnt -nfo TARGET -t cgroup -O cpu); cd ${v1:-$v2}; mkdir new",
            "test -n \"$v1\" && echo 20000 > new/cpu.cfs_period_us && echo 2000 > new/cpu.cfs_quota_us || echo 2000 20000 > new/cpu.max",
            "sh -c 'echo $$ > new/cgroup.procs; i=0; while [ $i -lt 9999 ]; do i=$((i+1)); done'; cat new/cpu.stat; rmdir new",
        ],
    })?;
    if lab.can_ask(&[MAX, ABOVE])? {
        let place = find(Want::Controller("cpu"))?;
        lab.saw(Fact::outside("cpu: the version of the cgroup", place.version().to_string()))?;
        let burned = |limited: bool| -> Result<Fact> {
            let cgroup = place.create("limited")?;
            if limited {
                cgroup.limit_cpu(QUOTA, PERIOD)?;
            }
            burn_in(&cgroup)?;
            throttled("nr_throttled", &cgroup)
        };
        lab.claim(MAX).without(burned(false)?).with(burned(true)?).shows(|it| *it == "more than 0")?;
        let burned_below = |limited: bool| -> Result<Vec<Fact>> {
            let pair = Pair::new(&place, "cpu")?;
            if limited {
                pair.above.limit_cpu(QUOTA, PERIOD)?;
            }
            burn_in(&pair.below)?;
            Ok(vec![
                throttled("nr_throttled above", &pair.above)?,
                throttled("nr_throttled below", &pair.below)?,
            ])
        };
        lab.claim(ABOVE).without(burned_below(false)?).with(burned_below(true)?).shows(|it| {
            *it == "more than 0" && it.outside("nr_throttled below").is_some_and(|it| *it == 0)
        })?;
    }
    lab.step(Step {
        goal: "cpuset: allow one CPU, and ask for another.",
        calls: &["write(\"…/cpuset.cpus\", \"0\")", "sched_getaffinity()", "sched_setaffinity()"],
        by_hand: &[
            "v1=$(findmnt -nfo TARGET -t cgroup -O cpuset); cd ${v1:-$v2}; test -n \"$v1\" || echo +cpuset > cgroup.subtree_control",
            "mkdir new; echo 0 > new/cpuset.cpus; test -z \"$v1\" || cat cpuset.mems > new/cpuset.mems",
            "sh -c 'echo $$ > new/cgroup.procs; taskset -cp $$; taskset -cp 1 $$'; rmdir new",
        ],
    })?;
    if lab.can_ask(&[CPUSET])? {
        let place = find(Want::Controller("cpuset"))?;
        lab.saw(Fact::outside("cpuset: the version of the cgroup", place.version().to_string()))?;
        let confined = |limited: bool| -> Result<Vec<Fact>> {
            let cgroup = place.create("limited")?;
            let cpus = allowed()?;
            let [first, other] = [cpus[0], cpus[1]];
            if limited {
                cgroup.limit(cgroup.file(Knob::CPUS), first)?;
            }
            let mut child = Child::spawn("runner", Namespaces::NONE, move |me| {
                me.pause()?;
                let cpus = allowed()?.len();
                let count = i64::try_from(cpus).unwrap_or(i64::MAX);
                me.saw(
                    "CPUs that it may use",
                    if cpus == 1 { Value::Number(1) } else { Value::Count(count) },
                )?;
                let mut wanted = CpuSet::new();
                wanted.set(other).named(|| "CPU_SET()".into())?;
                let moved = sched_setaffinity(Pid::from_raw(0), &wanted);
                me.saw(
                    "sched_setaffinity() to another",
                    Outcome::of(moved.named(|| "sched_setaffinity()".into()))?,
                )
            })?;
            cgroup.write("cgroup.procs", &child.pid().to_string())?;
            child.release()?;
            Ok(child.hear_all()?)
        };
        lab.claim(CPUSET).without(confined(false)?).with(confined(true)?).shows(|it| {
            *it == 1 && it.inside("sched_setaffinity() to another").is_some_and(|answer| *answer == "EINVAL")
        })?;
    }
    Ok(())
}

/// Lets a process in `cgroup` use up its [`WORK`].
fn burn_in(cgroup: &Cgroup) -> Result<()> {
    let mut child = Child::spawn("burner", Namespaces::NONE, |me| {
        me.pause()?;
        let used = || clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).named(|| "clock_gettime()".into());
        let until = Duration::from(used()?) + WORK;
        while Duration::from(used()?) < until {}
        me.saw("it is", "done")
    })?;
    cgroup.write("cgroup.procs", &child.pid().to_string())?;
    child.release()?;
    child.hear()?;
    Ok(())
}

/// Whether the cgroup was throttled. How often depends on what else runs here.
fn throttled(what: &str, cgroup: &Cgroup) -> Result<Fact> {
    let count = cgroup.flat_keyed("cpu.stat")?.get("nr_throttled").copied().context("nr_throttled")?;
    Ok(Fact::outside(what, if count == 0 { Value::Number(0) } else { "more than 0".into() }))
}

/// The CPUs that the caller may run on.
pub(crate) fn allowed() -> ns_core::Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0)).named(|| "sched_getaffinity()".into())?;
    Ok((0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect())
}
