//! The runs of a program from which its profile is made.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::account::{self, Processor};
use super::plain::Spent;
use super::report::Profile;
use super::{counted, plain, sampler};
use crate::figures::{least, mean, median, most};
use crate::project;

/// At least so many runs without looks, and with them.
const FEWEST: usize = 2;
/// More than so many tell nothing new.
const ENOUGH: usize = 100;

/// Runs a program, by turns without looks and with them, until `budget` is used; then once under strace.
///
/// `command` is what is typed, and `start` is a start of the same program that does nothing.
///
/// # Errors
/// When a run fails.
pub(crate) fn profile(
    command: String,
    words: &[OsString],
    start: Option<&[OsString]>,
    budget: Duration,
) -> Result<Profile> {
    // The first reads the program from disk.
    plain::run(words)?;
    let began = Instant::now();
    let mut processor = Processor::default();
    let (mut spent, mut starts, mut moments, mut watched) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    while spent.len() < FEWEST || (spent.len() < ENOUGH && began.elapsed() < budget) {
        spent.push(plain::run(words)?);
        if let Some(start) = start {
            starts.push(plain::run(start)?.wall);
        }
        let run = sampler::watch(words)?;
        moments.extend(run.moments);
        processor.ran += run.processor.ran;
        processor.queued += run.processor.queued;
        watched.push(run.wall);
    }
    let counted = if project::has("strace") { Some(counted::count(words)?) } else { None };
    let of = |field: fn(&Spent) -> f64| spent.iter().map(field).collect::<Vec<_>>();
    let walls = of(|it| it.wall);
    Ok(Profile {
        command,
        spent: Spent {
            wall: median(&walls),
            user: mean(&of(|it| it.user)),
            system: mean(&of(|it| it.system)),
            minor: mean(&of(|it| it.minor)),
            major: mean(&of(|it| it.major)),
        },
        runs: spent.len(),
        least: least(&walls),
        most: most(&walls),
        start: start.map(|_| median(&starts)),
        counted,
        parts: account::rows(&moments, processor, watched.len()),
        looks: moments.len() as f64 / watched.len() as f64,
        watched: median(&watched),
    })
}
