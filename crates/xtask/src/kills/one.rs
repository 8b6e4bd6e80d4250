//! One kill, and what is left after it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::lanes::{Lanes, Started};
use super::mode::Mode;
use super::random::Random;
use super::subject::{PATIENCE, Subject};
use residue::{Named, SETTLE, Token, pids_of_run, settled, started_now};

/// What is killed after more than its usual time would have ended by itself.
const PAST_THE_END: f64 = 1.1;
/// What the killed leave is given this long before the program is started again to remove it.
const SOON: Duration = Duration::from_millis(300);

/// What one kill showed.
#[derive(Debug)]
pub(super) struct Kill {
    /// At what moment, and whom.
    pub(super) how: String,
    /// What was left, a line each.
    pub(super) left: Vec<String>,
    /// How long it took until nothing was.
    pub(super) took: Duration,
}

/// A run that is to be killed.
struct Victim<'a> {
    subject: &'a Subject,
    mode: Mode,
    signal: Signal,
    lanes: &'a Lanes,
    token: Token,
    temporary: tempfile::TempDir,
}

/// Runs `subject`, kills as `mode` has it, and looks.
///
/// # Errors
/// When it cannot be started.
pub(super) fn kill_once(
    subject: &Subject,
    mode: Mode,
    signal: Signal,
    lanes: &Lanes,
    random: &mut Random,
) -> Result<Kill> {
    let victim = Victim { subject, mode, signal, lanes, token: Token::new()?, temporary: temporary()? };
    let Victim { token, temporary, .. } = &victim;
    let since = started_now().context("/proc/uptime cannot be read")?;
    let (started, how) =
        if mode.is_a_call() { victim.kill_at_a_call(random)? } else { victim.kill_at_a_moment(random)? };
    // It comes to an end by itself, though a child of its was killed.
    let hung = !started.ends_within(PATIENCE)?;
    let pid = Pid::from_raw(started.pid());
    if hung {
        let _ = killpg(pid, Signal::SIGKILL);
        let _ = kill(pid, Signal::SIGKILL);
        started.ends_within(PATIENCE)?;
    }
    started.status()?;
    let look = || left(lanes, token, temporary.path(), since);
    let (mut left, mut took) = settled(if mode.spares_the_worker() { SETTLE } else { SOON }, look);
    if !left.is_empty() && !mode.spares_the_worker() {
        let again = victim.start(&[])?;
        again.ends_within(PATIENCE)?;
        again.status()?;
        (left, took) = settled(SETTLE, look);
    }
    clear_away(token, since);
    if hung {
        left.push(format!("it had not ended after {PATIENCE:?}"));
    }
    Ok(Kill { how, left, took })
}

/// A temporary directory for one run alone.
///
/// # Errors
/// When it cannot be made.
pub(super) fn temporary() -> Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("kills-").tempdir().context("a temporary directory")
}

impl<'a> Victim<'a> {
    /// Starts it, by way of `before` (strace and its options).
    fn start(&self, before: &[&str]) -> Result<Started<'a>> {
        let mut command = self.subject.command(before, &self.token, self.temporary.path());
        self.lanes.start(&mut command, None)
    }

    fn kill_at_a_moment(&self, random: &mut Random) -> Result<(Started<'a>, String)> {
        let Victim { subject, signal, .. } = *self;
        let usual = subject.duration(self.lanes, self.temporary.path())?;
        let moment = usual.mul_f64(PAST_THE_END * random.part());
        let started = self.start(&[])?;
        started.ends_within(moment)?;
        let parent = Pid::from_raw(started.pid());
        // Not waited for yet, so the number is its own still.
        let others = || pids_of_run(&self.token).into_iter().filter(|it| it.pid != parent.as_raw());
        let whom = match self.mode {
            Mode::Child => {
                let others: Vec<_> = others().collect();
                let victim = random.one(&others);
                if let Some(victim) = victim {
                    let _ = kill(Pid::from_raw(victim.pid), signal);
                }
                victim.map_or_else(|| "nobody: it has no child".into(), |it| it.name.clone())
            }
            Mode::ParentAndWorker => {
                let workers: Vec<_> = others().filter(|it| it.name == "cleanup").collect();
                for worker in &workers {
                    let _ = kill(Pid::from_raw(worker.pid), signal);
                }
                let _ = kill(parent, signal);
                format!("the parent and {} workers", workers.len())
            }
            Mode::Group => {
                let _ = killpg(parent, signal);
                "the group".into()
            }
            Mode::Parent | Mode::OwnCall | Mode::AnyCall => {
                let _ = kill(parent, signal);
                "the parent".into()
            }
        };
        Ok((started, format!("{signal} after {:.6} s: {whom}", moment.as_secs_f64())))
    }

    fn kill_at_a_call(&self, random: &mut Random) -> Result<(Started<'a>, String)> {
        let Victim { subject, mode, signal, .. } = *self;
        let (own, any) = subject.calls(self.lanes, self.temporary.path())?;
        let call = random.one(if mode == Mode::OwnCall { own } else { any });
        let (name, nth) = call.with_context(|| format!("strace has seen no call of {}", subject.name))?;
        let name_of_signal = signal.as_str().trim_start_matches("SIG");
        let (trace, inject) =
            (format!("trace={name}"), format!("inject={name}:signal={name_of_signal}:when={nth}"));
        let mut strace = vec!["strace", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        if mode == Mode::AnyCall {
            strace.push("-f");
        }
        let started = self.start(&strace)?;
        Ok((started, format!("{signal} at call {nth} of {name}")))
    }
}

/// What is left of the run with `token`, a line each.
pub(super) fn left(lanes: &Lanes, token: &Token, temporary: &Path, since: u64) -> Vec<String> {
    let processes = lanes.left_of(token).into_iter().map(|it| format!("process {}: {}", it.pid, it.name));
    let files = fs::read_dir(temporary).into_iter().flatten().flatten();
    let files = files.map(|entry| format!("temporary file {}", entry.file_name().to_string_lossy()));
    let named =
        Named::abandoned(&[], since).into_iter().map(|it| format!("abandoned: {}", it.path.display()));
    processes.chain(files).chain(named).collect()
}

/// So that one fault is not counted twice.
pub(super) fn clear_away(token: &Token, since: u64) {
    for process in pids_of_run(token) {
        let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
    Named::abandoned(&[], since).iter().for_each(Named::remove);
}
