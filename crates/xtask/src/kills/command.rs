//! The command: so many kills, two at a time, and a table of what was left.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, scope};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use lesson::Help;
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use observation::printable;

use super::copies::at_once;
use super::lanes::Lanes;
use super::mode::Mode;
use super::one::{kill_once, temporary};
use super::random::Random;
use super::rootfs;
use super::subject::Subject;
use super::tally::Tally;
use crate::console::Console;
use crate::own_box;
use crate::project::Project;
use residue::{Machine, SETTLE, Token, settled, started_now};

pub(crate) const HELP: Help = Help {
    name: "scripts/sweep",
    about: "kill programs at many moments, and look for what stayed behind",
    examples: &[
        ("scripts/sweep", "300 kills, spread over all programs and modes"),
        ("scripts/sweep --kills 2000", "more of them"),
        ("scripts/sweep --kills 40 pid-ns-init", "one program"),
        ("scripts/sweep --signal TERM veth-pair", "another signal"),
        ("scripts/sweep -- unshare -Urpf sleep 5", "any program: this one leaves its sleep behind"),
    ],
    after: "Killed is the program alone, one of its children, the program and its cleanup\n\
worker at once, or its process group. The moment of its life is drawn. Killed is\n\
the program, too, or any of its processes, at a system call that is drawn (by\n\
strace; without it these are skipped). Then so many copies of some programs run at once.\n\
\n\
Left behind is what is there three seconds later: a process with the run's token\n\
in its environment, an orphan that became ours, a file in the run's TMPDIR. So is\n\
a cgroup of ours whose owner is gone. At the end the machine is compared with what it was.\n\
\n\
KILLS_JSON=FILE has a JSON object a program and mode written.\n\
\n\
Exit status: 0 nothing stayed, 1 something did, 2 misused.",
};

/// From so many kills on, every program runs in many copies.
const LONG: usize = 1000;
/// How many programs do in a short run.
const FEW: usize = 3;

#[derive(Debug, clap::Args)]
pub(crate) struct Kills {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 300)]
    kills: usize,

    /// What the moments, calls and victims are drawn from [default: another each time]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// By which signal
    #[arg(long, value_name = "NAME", default_value = "KILL", value_parser = signal)]
    signal: Signal,

    /// How many at a time
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,

    /// How many copies run at once, afterwards
    #[arg(long, value_name = "N", default_value_t = 30)]
    copies: usize,

    /// Run them in the namespaces that we are in, and not in a box of their own
    #[arg(long)]
    host: bool,

    #[arg(long, hide = true)]
    inside: bool,

    /// Which experiments [default: all, the driver and a container]
    #[arg(value_name = "PROGRAM")]
    programs: Vec<String>,

    /// Any program, with its arguments
    #[arg(value_name = "COMMAND", last = true, conflicts_with = "programs")]
    command: Vec<OsString>,
}

fn signal(name: &str) -> Result<Signal, String> {
    let name = name.trim_start_matches("SIG");
    Signal::from_str(&format!("SIG{name}")).map_err(|_| "it takes the name of a signal, such as TERM".into())
}

/// Those whose shell wants an argument: it enters what is there.
const NO_PLAIN_SHELL: [&str; 3] = ["docker-view", "mini-container", "ns-enter"];
/// What is opened there: it leaves a job, and an orphan in a session of its own.
const LEAVES_JOBS: &str = "sleep 1000 & (setsid sleep 1000 &); sleep 0.05";

impl Kills {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        if self.inside {
            own_box::furnish()?;
        } else if geteuid().is_root() && !self.host {
            return own_box::enter();
        }
        residue::adopt()?;
        ensure!((1..=64).contains(&self.jobs), "--jobs takes 1 to 64");
        let root = temporary()?;
        let subjects = self.subjects(project, root.path())?;
        let seed = match self.seed {
            Some(seed) => seed,
            None => u64::from_str_radix(&Token::new()?.0, 16)? >> 32,
        };
        let modes = self.modes(console)?;
        console.say(format_args!("{} kills by {}, seed {seed}", self.kills, self.signal))?;
        let since = started_now().context("/proc/uptime cannot be read")?;
        let before = Machine::look(Path::new("/"));
        let began = Instant::now();
        let mut faults = self.kill_all(&subjects, &modes, seed, console)?;
        let took = began.elapsed();
        faults.extend(self.copy_all(&subjects, seed, console)?);
        let token = Token::new()?;
        let changed = || Machine::look(Path::new("/")).changed_since(&before, since, &token, false);
        let (changed, _) = settled(SETTLE, changed);
        faults.extend(changed.into_iter().map(|line| format!("the machine: {line}")));
        for fault in &faults {
            console.say(printable(fault))?;
        }
        console.say(format_args!("{} kills in {:.1} s", self.kills, took.as_secs_f64()))?;
        if faults.is_empty() {
            return Ok(0);
        }
        console.complain(format_args!("left something behind: {} times, seed {seed}", faults.len()));
        Ok(1)
    }

    fn subjects(&self, project: &Project, root: &Path) -> Result<Vec<Subject>> {
        if !self.command.is_empty() {
            return Ok(vec![Subject::new(self.command[0].to_string_lossy(), self.command.clone())]);
        }
        let built = |name: &str| -> Result<OsString> {
            let path = project.program(name);
            ensure!(path.is_file(), "{} is missing: cargo build", path.display());
            Ok(path.into())
        };
        let all = project.experiments()?;
        let unknown = self.programs.iter().find(|name| !all.contains(*name));
        if let Some(unknown) = unknown {
            return Err(anyhow!("there is no experiment '{}'", printable(unknown)));
        }
        let chosen: BTreeSet<&String> =
            if self.programs.is_empty() { all.iter().collect() } else { self.programs.iter().collect() };
        let mut subjects = Vec::new();
        for name in chosen {
            subjects.push(Subject::new(name, vec![built(name)?, "--all".into()]));
        }
        if self.programs.is_empty() {
            let words = |program: &str, more: &[&str]| -> Result<Vec<OsString>> {
                Ok([&[built(program)?], more.iter().map(OsString::from).collect::<Vec<_>>().as_slice()]
                    .concat())
            };
            let sabotaged = words("cgroup-mk", &["--all", "--sabotage"])?;
            subjects.push(Subject::new("cgroup-mk --sabotage", sabotaged));
            let report = words("inception", &["report", "ipc-ns", "uts-demo", "-o", "/dev/null"])?;
            subjects.push(Subject::new("inception report", report));
            let run = words("inception", &["run", "cgroup-mk", "pid-ns-init", "--all", "--format", "tap"])?;
            subjects.push(Subject::new("inception run", run));
            subjects.push(Subject::new("inception doctor", words("inception", &["doctor"])?));
            rootfs::make(root)?;
            let rootfs = root.to_string_lossy();
            let container =
                words("mini-container", &["run", &rootfs, "sh", "-c", "sleep 0.1; exec sleep 0.1"])?;
            subjects.push(Subject::new("mini-container run", container));
            for name in all.iter().filter(|name| !NO_PLAIN_SHELL.contains(&name.as_str())) {
                let shell = words(name, &["shell", "--", "sh", "-c", LEAVES_JOBS])?;
                subjects.push(Subject::shell(name, shell));
            }
        }
        Ok(subjects)
    }

    /// All modes; those that need strace where it is.
    fn modes(&self, console: &mut Console<'_>) -> Result<Vec<Mode>> {
        let strace = std::process::Command::new("strace").arg("-V").output();
        if strace.is_ok() {
            return Ok(Mode::ALL.to_vec());
        }
        console.say("skip: at system calls: strace is missing; apt install strace")?;
        Ok(Mode::ALL.into_iter().filter(|mode| !mode.is_a_call()).collect())
    }

    /// All kills, some at a time: each program in turn, and of each, each mode in turn. What is wrong, a line each.
    fn kill_all(
        &self,
        subjects: &[Subject],
        modes: &[Mode],
        seed: u64,
        console: &mut Console<'_>,
    ) -> Result<Vec<String>> {
        let (lanes, next) = (Lanes::default(), AtomicUsize::new(0));
        let shown = Mutex::new((Tally::default(), Vec::new()));
        let work = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.kills {
                    return Ok(());
                }
                let subject = &subjects[number % subjects.len()];
                let mode = modes[(number / subjects.len() + number % subjects.len()) % modes.len()];
                let mode = subject.mode(mode);
                let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
                let kill = kill_once(subject, mode, self.signal, &lanes, &mut random)?;
                let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                shown.0.add(&subject.name, mode, &kill);
                if !kill.left.is_empty() {
                    let left = kill.left.join("; ");
                    shown.1.push(format!(
                        "kill {number}, {}, {}: {}: {left}",
                        subject.name,
                        mode.word(),
                        kill.how
                    ));
                }
            }
        };
        scope(|scope| -> Result<()> {
            let mut threads = Vec::new();
            for _ in 0..self.jobs {
                threads.push(Builder::new().spawn_scoped(scope, work).context("pthread_create()")?);
            }
            for thread in threads {
                thread.join().map_err(|_| anyhow!("a thread panicked"))??;
            }
            Ok(())
        })?;
        let (tally, faults) = shown.into_inner().unwrap_or_else(PoisonError::into_inner);
        for line in tally.table() {
            console.say(line)?;
        }
        console.say(format_args!("left something behind: {} of {}", tally.left(), self.kills))?;
        if let Some(file) = std::env::var_os("KILLS_JSON") {
            fs::write(&file, tally.jsonl()?)
                .with_context(|| format!("cannot write {}", file.to_string_lossy()))?;
        }
        Ok(faults)
    }

    /// Many copies at once: of some programs in a short run, of all in a long one.
    fn copy_all(&self, subjects: &[Subject], seed: u64, console: &mut Console<'_>) -> Result<Vec<String>> {
        let lanes = Lanes::default();
        let mut random = Random::new(seed);
        let some: Vec<&Subject> = if self.kills >= LONG || subjects.len() <= FEW {
            subjects.iter().collect()
        } else {
            (0..FEW).filter_map(|_| random.one(subjects)).collect()
        };
        let mut faults = Vec::new();
        for subject in if self.copies > 0 { some } else { Vec::new() } {
            let wrong = at_once(subject, self.copies, &lanes)?;
            console.say(format_args!(
                "{} copies of {} at once: {} wrong",
                self.copies,
                subject.name,
                wrong.len()
            ))?;
            faults.extend(
                wrong.into_iter().map(|it| format!("{} copies of {}: {it}", self.copies, subject.name)),
            );
        }
        Ok(faults)
    }
}
