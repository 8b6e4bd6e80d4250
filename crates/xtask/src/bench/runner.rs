//! Runs the rows of a table by turns: one run of each, and again. What slows the machine for a while slows all of them.

use std::ffi::OsString;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::resource::UsageWho;
use observation::printable;

use super::data::{Became, Figures, Timed};
use super::machine::used_by;
use super::peers::{self, CgroupRoot, Places};
use super::rows::{Row, Times};
use crate::figures::{least, mean, median, most};

/// How long a table may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// As many rounds at least.
    pub(super) fewest: usize,
    /// As many rounds at most.
    pub(super) runs: usize,
    /// After that time no round begins, if there were enough.
    pub(super) time: Duration,
    /// Before each run.
    pub(super) pause: Duration,
}

/// A row that runs here.
struct Runs<'a> {
    row: &'a Row,
    command: peers::Command,
    /// Milliseconds of each run.
    times: Vec<f64>,
    cpu: Vec<f64>,
    failed: usize,
}

/// One run.
struct Run {
    status: ExitStatus,
    times: Vec<f64>,
    cpu: f64,
    complaint: String,
}

/// Measures the rows.
///
/// # Errors
/// When a process cannot be waited for, or the mount namespace be left.
pub(super) fn by_turns(
    rows: &[Row],
    places: &Places,
    cgroups: Option<&CgroupRoot>,
    limits: Limits,
) -> Result<Vec<Timed>> {
    let mut runs = Vec::new();
    let mut became = Vec::new();
    // The first run reads from disk, tells whether the row runs here at all, and does not count.
    for row in rows {
        match begun(row, places, cgroups)? {
            Ok(begun) => {
                became.push(None);
                runs.push(begun);
            }
            Err(cause) => became.push(Some(cause)),
        }
    }
    let began = Instant::now();
    for round in 0..limits.runs {
        if round >= limits.fewest && began.elapsed() >= limits.time {
            break;
        }
        for row in &mut runs {
            // A pause is what is measured here: what the kernel has to do since the run before is done then.
            if !limits.pause.is_zero() {
                sleep(limits.pause);
            }
            row.again(cgroups)?;
        }
    }
    let mut runs = runs.into_iter();
    let figures = |cause: Option<String>| {
        cause.map_or_else(
            || runs.next().map(|it| Became::Ran(it.figures())),
            |cause| Some(Became::Skipped(cause)),
        )
    };
    let became: Vec<_> = became.into_iter().filter_map(figures).collect();
    let named = rows.iter().zip(became).map(|(row, became)| Timed { name: row.name.clone(), became });
    Ok(named.collect())
}

/// The row with its command, after a run of it that succeeded; or why there is none.
fn begun<'a>(
    row: &'a Row,
    places: &Places,
    cgroups: Option<&CgroupRoot>,
) -> Result<Result<Runs<'a>, String>> {
    let command = match places.command(row) {
        Ok(command) => command,
        Err(cause) => return Ok(Err(cause)),
    };
    let runs = Runs { row, command, times: Vec::new(), cpu: Vec::new(), failed: 0 };
    let run = match runs.run(cgroups) {
        Ok(run) => run,
        Err(error) => return Ok(Err(format!("does not run here: {error:#}"))),
    };
    if !runs.is_well(&run) {
        let said = run.complaint.lines().next().map_or_else(|| run.status.to_string(), printable);
        return Ok(Err(format!("does not run here: {said}")));
    }
    Ok(Ok(runs))
}

impl Runs<'_> {
    fn again(&mut self, cgroups: Option<&CgroupRoot>) -> Result<()> {
        let run = self.run(cgroups)?;
        if self.is_well(&run) {
            self.times.extend(&run.times);
            self.cpu.push(run.cpu);
        } else {
            self.failed += 1;
        }
        Ok(())
    }

    fn run(&self, cgroups: Option<&CgroupRoot>) -> Result<Run> {
        let start = || one(&self.command.words, self.row.times);
        match cgroups {
            Some(cgroups) if self.command.in_cgroup_root => cgroups.inside(start),
            _ => start(),
        }
    }

    fn is_well(&self, run: &Run) -> bool {
        let broken = |code: i32| code == 2 || code >= 125;
        let is_status = match run.status.code() {
            Some(code) if self.row.any_status => !broken(code),
            code => code == Some(0),
        };
        is_status && !run.times.is_empty()
    }

    fn figures(self) -> Figures {
        Figures {
            runs: self.times.len(),
            median: median(&self.times),
            least: least(&self.times),
            most: most(&self.times),
            cpu: (self.row.times == Times::Whole).then(|| mean(&self.cpu)),
            failed: self.failed,
        }
    }
}

/// Runs a command once.
fn one(words: &[OsString], times: Times) -> Result<Run> {
    let (program, arguments) = words.split_first().context("no command is given")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped()).env("PATH", path());
    if let Times::Printed(rounds) = times {
        command.arg(rounds.to_string()).stdout(Stdio::piped());
    } else {
        command.stdout(Stdio::null());
    }
    let before = processor()?;
    let began = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot start {}", program.to_string_lossy()))?;
    // Its output ends no later than the program, or than what it has left behind.
    let output = child.wait_with_output().context("waitid()")?;
    let whole = began.elapsed().as_secs_f64() * 1000.0;
    Ok(Run {
        status: output.status,
        times: if times == Times::Whole {
            vec![whole]
        } else {
            printed(&String::from_utf8_lossy(&output.stdout))
        },
        cpu: processor()? - before,
        complaint: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The milliseconds that a program prints of its rounds: the first word of a line is nanoseconds.
fn printed(output: &str) -> Vec<f64> {
    let first = |line: &str| line.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
    output.lines().filter_map(first).map(|ns| ns / 1e6).collect()
}

/// Milliseconds that all children so far have used of the CPUs.
fn processor() -> Result<f64> {
    Ok(used_by(UsageWho::RUSAGE_CHILDREN)?.as_micros() as f64 / 1000.0)
}

/// PATH, with the directories that an ordinary user's lacks.
fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::rows::Need;
    use crate::project::Project;

    fn row(name: &str, words: &str, times: Times) -> Row {
        Row { name: name.into(), words: words.into(), needs: Vec::new(), times, any_status: false }
    }

    #[test]
    fn rows_run_by_turns_and_what_does_not_run_is_skipped() {
        let scratch = tempfile::tempdir().unwrap();
        let project = Project { root: scratch.path().into(), target: scratch.path().into() };
        let places = Places::new(&project, scratch.path());
        let log = scratch.path().join("log");
        let say = scratch.path().join("bench/say");
        std::fs::create_dir(scratch.path().join("bench")).unwrap();
        std::fs::write(&say, format!("printf %s $1 >>'{}'\n", log.display())).unwrap();
        std::fs::write(scratch.path().join("bench/times"), "printf '1000000 0\\n3000000 0\\n'\n").unwrap();
        let rows = [
            row("a", "sh {peers}/say a", Times::Whole),
            row("b", "sh {peers}/say b", Times::Whole),
            row("times", "sh {peers}/times", Times::Printed(2)),
            row("fails", "ls /no/such/file", Times::Whole),
            Row { needs: vec![Need::Tool("no-such-tool", "x")], ..row("tool", "no-such-tool", Times::Whole) },
        ];
        let limits = Limits { fewest: 3, runs: 4, time: Duration::ZERO, pause: Duration::ZERO };
        let timed = by_turns(&rows, &places, None, limits).unwrap();
        // Once to begin with, and three times although there is no time.
        assert_eq!(std::fs::read_to_string(log).unwrap(), "abababab");
        let became = |name: &str| &timed.iter().find(|row| row.name == name).unwrap().became;
        assert!(matches!(became("a"), Became::Ran(Figures { runs: 3, failed: 0, cpu: Some(_), .. })));
        let Became::Ran(times) = became("times") else { panic!("{:?}", became("times")) };
        assert_eq!((times.runs, times.median, times.cpu), (6, 2.0, None));
        let Became::Skipped(cause) = became("fails") else { panic!("it ran") };
        assert!(cause.starts_with("does not run here: ls: "), "{cause}");
        assert_eq!(*became("tool"), Became::Skipped("no-such-tool is not installed; apt install x".into()));
    }
}
