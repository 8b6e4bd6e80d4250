//! One look after the other, whenever something may have changed.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use ns_core::{Pid, process};
use wake::{Subject, Wake, Woken};

use crate::model::Map;
use crate::survey::Survey;

/// A change that has no event is found after this time, and what a look takes.
const TICK: Duration = Duration::from_millis(50);
/// So many processes are followed.
const FOLLOWED: usize = 64;
/// Without an event, as many times what a look takes pass before the next: on a large machine looks take a sixth of a CPU.
const REST: u32 = 5;

/// Looks at a machine, again and again.
#[derive(Debug)]
pub struct Looks {
    survey: Survey,
    wake: Wake,
    /// When the last look ended.
    looked: Instant,
    /// How long it took.
    took: Duration,
}

impl Looks {
    /// Begins to listen for changes: before the first look, so that none comes between.
    pub fn begin(survey: Survey) -> Looks {
        let wake = Wake::every(TICK);
        Looks { survey, wake, looked: Instant::now(), took: Duration::ZERO }
    }

    /// What is looked at. What is changed counts from the next look on.
    pub fn survey(&mut self) -> &mut Survey {
        &mut self.survey
    }

    /// Whether the kernel reports what processes do: to root of the machine. Else a tick finds it.
    pub fn hears_of_processes(&self) -> bool {
        self.wake.listens_to().contains(&"what processes do")
    }

    /// A change without an event is found after this time at the latest, as long as looks take what the last one took.
    pub fn pace(&self) -> Duration {
        2 * self.took + (REST * self.took).max(TICK)
    }

    /// Takes a look.
    ///
    /// # Errors
    /// Those of a survey.
    pub fn look(&mut self) -> Result<Map> {
        let map = self.look_while(&mut || true)?;
        Ok(map.expect("nothing gives it up"))
    }

    /// Takes a look, and asks all the while whether to `go_on`, as [`Survey::take_while`] does. None if it is given up.
    ///
    /// # Errors
    /// Those of a survey.
    pub fn look_while(&mut self, go_on: &mut dyn FnMut() -> bool) -> Result<Option<Map>> {
        let began = Instant::now();
        let Some(map) = self.survey.take_while(go_on)? else { return Ok(None) };
        self.looked = Instant::now();
        self.took = self.looked - began;
        self.wake.follow(&subjects(&map));
        Ok(Some(map))
    }

    /// Waits until something may have changed since the last look: `None`. Or until one of `also` is ready: its place.
    ///
    /// # Errors
    /// Those of poll(2).
    pub fn wait(&mut self, also: &[BorrowedFd<'_>]) -> Result<Option<usize>> {
        let rested = self.looked + REST * self.took;
        let latest = rested.max(self.looked + TICK);
        loop {
            match self.wake.wait(also, Some(latest))? {
                Woken::Ready(at) => return Ok(Some(at)),
                Woken::Tick if Instant::now() < rested => {}
                Woken::Tick | Woken::Change | Woken::End => return Ok(None),
            }
        }
    }
}

/// The first processes of namespaces that the first process of all is not in: their ends and their mounts are reported.
fn subjects(map: &Map) -> Vec<Subject> {
    let first = map.first_of_all();
    let mut pids: Vec<i32> = map.namespaces.values().filter_map(|namespace| namespace.lowest).collect();
    pids.retain(|pid| Some(*pid) != first);
    pids.sort_unstable();
    pids.dedup();
    let subject = |pid: i32| {
        let pid = Pid::from_raw(pid);
        process::start_time(Some(pid)).ok().map(|started| Subject { pid, started })
    };
    // The newest are those that are likely to end.
    pids.into_iter().rev().take(FOLLOWED).filter_map(subject).collect()
}
