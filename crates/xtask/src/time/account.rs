//! From looks at all threads to a table: each stretch of time belongs to those that did not wait for others.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kind::{self, Kind, On};
use super::look::Task;

/// What the processes did at a moment, and how long it was until the next look.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) tasks: Vec<Task>,
    pub(super) lasts: Duration,
}

/// A part of the wall time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    /// Milliseconds of one run.
    pub(crate) ms: f64,
    /// How often in a run it began, as far as looks can tell.
    pub(crate) times: f64,
}

/// How long the threads that were seen to run have run, and waited for a processor: nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Processor {
    pub(super) ran: u64,
    pub(super) queued: u64,
}

/// What [`kind::RUNS`] is divided into.
const ON_A_PROCESSOR: &str = "runs on a processor";
const QUEUED: &str = "waits for a processor that others use";

/// What all do while each waits for another, or is gone.
const NOBODY: &str = "all wait for each other";

/// The parts of the wall time, the longest first; of the mean of `runs`.
///
/// A moment belongs to the threads that depend on themselves, in equal shares. Without such it belongs to those that wait
/// for the kernel; without those, nobody works.
pub(super) fn rows(moments: &[Moment], processor: Processor, runs: usize) -> Vec<Row> {
    let mut parts: BTreeMap<String, (f64, usize)> = BTreeMap::new();
    let mut before: Vec<(i32, String)> = Vec::new();
    for moment in moments {
        let now = blamed(&moment.tasks);
        for (tid, words) in &now {
            let part = parts.entry(words.clone()).or_default();
            part.0 += moment.lasts.as_secs_f64() * 1000.0 / now.len() as f64;
            if !before.contains(&(*tid, words.clone())) {
                part.1 += 1;
            }
        }
        before = now;
    }
    let runs = runs.max(1) as f64;
    let mut rows: Vec<Row> = parts
        .into_iter()
        .map(|(what, (ms, times))| Row { what, ms: ms / runs, times: times as f64 / runs })
        .collect();
    divide(&mut rows, processor);
    rows.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    rows
}

/// State R is both that a thread runs and that it waits for a processor. The scheduler's counts tell in which proportion.
fn divide(rows: &mut Vec<Row>, Processor { ran, queued }: Processor) {
    let Some(at) = rows.iter().position(|row| row.what == kind::RUNS) else { return };
    if ran + queued == 0 {
        return;
    }
    let both = rows.swap_remove(at);
    let share = queued as f64 / (ran + queued) as f64;
    for (what, share) in [(ON_A_PROCESSOR, 1.0 - share), (QUEUED, share)] {
        rows.push(Row { what: what.into(), ms: both.ms * share, times: both.times });
    }
}

/// Those on whom all depends at a moment, and what they do.
fn blamed(tasks: &[Task]) -> Vec<(i32, String)> {
    let kinds: Vec<(i32, Kind)> = tasks.iter().map(|task| (task.tid, kind::of(task))).collect();
    for on in [On::Itself, On::Kernel] {
        let those: Vec<_> = kinds.iter().filter(|(_, kind)| kind.on == on).collect();
        if !those.is_empty() {
            return those.into_iter().map(|(tid, kind)| (*tid, kind.words.clone())).collect();
        }
    }
    vec![(0, NOBODY.to_string())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(tid: i32, state: char, call: i64, waits_in: &str) -> Task {
        Task { tid, state, call: Some(call), waits_in: waits_in.into(), ..Task::default() }
    }

    fn moment(tasks: Vec<Task>) -> Moment {
        Moment { tasks, lasts: Duration::from_millis(2) }
    }

    #[test]
    fn a_moment_belongs_to_who_does_not_wait_for_others() {
        let parent = || task(1, 'S', libc::SYS_wait4, "do_wait");
        let child = || task(2, 'D', libc::SYS_unshare, "synchronize_rcu");
        let runs = || Task { tid: 3, state: 'R', ..Task::default() };
        let moments = [
            moment(vec![parent(), child()]),
            moment(vec![parent(), child()]),
            moment(vec![parent(), child(), runs()]),
            moment(vec![parent()]),
            moment(vec![parent(), child()]),
        ];
        let row = |what: &str, ms, times| Row { what: what.into(), ms, times };
        assert_eq!(
            rows(&moments, Processor::default(), 1),
            [
                row("waits for RCU: unshare()", 7.0, 2.0),
                row(NOBODY, 2.0, 1.0),
                row("runs, or waits for a processor", 1.0, 1.0)
            ]
        );
        assert_eq!(rows(&moments, Processor::default(), 2)[0], row("waits for RCU: unshare()", 3.5, 1.0));
    }

    #[test]
    fn the_scheduler_tells_who_ran_and_who_waited_for_a_processor() {
        let moments = [moment(vec![Task { tid: 3, state: 'R', ..Task::default() }])];
        let rows = rows(&moments, Processor { ran: 1_000, queued: 3_000 }, 1);
        let row = |what: &str, ms| Row { what: what.into(), ms, times: 1.0 };
        assert_eq!(rows, [row(QUEUED, 1.5), row(ON_A_PROCESSOR, 0.5)]);
    }

    #[test]
    fn an_event_of_the_kernel_counts_where_nobody_works() {
        let sleeps = || task(1, 'S', libc::SYS_nanosleep, "hrtimer_nanosleep");
        let waits = || task(2, 'S', libc::SYS_wait4, "do_wait");
        assert_eq!(
            rows(&[moment(vec![waits(), sleeps()])], Processor::default(), 1)[0].what,
            "waits for a time to pass: nanosleep()"
        );
    }
}
