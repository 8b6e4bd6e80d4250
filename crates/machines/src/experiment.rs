//! An experiment on a machine: what it said, and what it left.

use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use ns_core::poll_until;
use residue::{Run as Residue, SETTLE, settled};
use rustix::process::{Pid as RawPid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};
use transcript::{ClaimResult, Reader, Run};

use crate::machine::{BECOME, Machine};
use crate::{hidden, left};

/// An experiment that takes longer hangs, on a machine that has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(15);
/// With this status a machine says that it cannot be made here.
pub(crate) const NOT_MADE: u8 = 125;

/// What came of one experiment.
#[derive(Debug, Default)]
pub struct Ran {
    /// How many claims have a verdict as expected.
    pub same: usize,
    /// How many were skipped, with a cause and a remedy.
    pub skipped: usize,
    /// Those, each by its id with what is missing and how to get it.
    pub skips: Vec<Skip>,
    /// The others, a line each.
    pub wrong: Vec<String>,
    /// How it broke off, hung, panicked, or what it left, a line each.
    pub broken: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// A claim that was skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// The claim: its id, and in a [`Row`](crate::Row) the experiment's name before it.
    pub claim: String,
    /// What is missing.
    pub missing: String,
    /// How to get it.
    pub remedy: String,
}

/// Runs `program` on a machine, which `maker`, the test program, makes.
///
/// # Errors
/// Why this machine cannot be made here.
pub fn run(maker: &Path, machine: &Machine, program: &Path) -> Result<Ran, String> {
    let ended = end_of(maker, machine, program, &["--all", "--format", "jsonl"])?;
    let mut ran = Ran { broken: ended.faults.clone(), took: ended.took, ..Ran::default() };
    judge(&mut ran, machine, &ended);
    Ok(ran)
}

/// Runs `inception doctor`, whose program is `driver`, on a machine: it names the cause by which experiments skip their
/// claims there. What is wrong with what it says, a line each.
///
/// # Errors
/// Why this machine cannot be made here.
pub fn diagnose(maker: &Path, machine: &Machine, driver: &Path) -> Result<Vec<String>, String> {
    /// What matters of a check.
    #[derive(Deserialize)]
    struct Check {
        check: String,
        state: String,
        found: String,
        remedy: Option<String>,
    }
    let Ended { mut faults, status, said, complained, .. } =
        end_of(maker, machine, driver, &["doctor", "--format", "jsonl"])?;
    if !status.success() || !complained.is_empty() {
        faults.push(format!("{status}: {}", complained.trim()));
    }
    let mut checks: Vec<Check> = Vec::new();
    for line in said.split_inclusive(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(check) => checks.push(check),
            Err(why) => faults.push(why.to_string()),
        }
    }
    for Check { check, state, found, remedy } in &checks {
        let remedied = remedy.as_ref().is_some_and(|remedy| can_be_followed(machine, remedy));
        if state == "unknown" || (state == "missing" && !remedied) {
            faults.push(format!("{check} is {state}: {found}; {}", remedy.as_deref().unwrap_or("no remedy")));
        }
    }
    let names = |check: &Check, (name, word): (&str, &str)| {
        check.check == name && check.state == "missing" && check.found.contains(word)
    };
    if let Some((name, word)) = &machine.named_by {
        if !checks.iter().any(|check| names(check, (name, word))) {
            faults.push(format!("no check '{name}' names '{word}'"));
        }
    }
    Ok(faults)
}

/// What `program` prints on a machine.
///
/// # Errors
/// Why this machine cannot be made here, or what is wrong with how the program ended.
pub fn output(maker: &Path, machine: &Machine, program: &Path, arguments: &[&str]) -> Result<String, String> {
    let ended = end_of(maker, machine, program, arguments)?;
    if !ended.status.success() || !ended.faults.is_empty() {
        return Err(format!("{}: {} {}", ended.status, ended.complained, ended.faults.join("; ")));
    }
    Ok(String::from_utf8_lossy(&ended.said).into_owned())
}

/// Where no program gives privilege, a remedy may not lean on one that does without a word.
fn can_be_followed(machine: &Machine, remedy: &str) -> bool {
    !remedy.is_empty() && (machine.sudo_works || !remedy.contains("sudo") || remedy.contains("no_new_privs"))
}

/// How a program ended that ran on a machine.
struct Ended {
    status: ExitStatus,
    said: Vec<u8>,
    complained: String,
    took: Duration,
    /// That it hung, panicked, or left something, a line each.
    faults: Vec<String>,
}

fn end_of(maker: &Path, machine: &Machine, program: &Path, arguments: &[&str]) -> Result<Ended, String> {
    let residue = Residue::new().map_err(|error| format!("{error:#}"))?;
    let began = Instant::now();
    let (ours, theirs) = match machine.hides.map(|_| UnixStream::pair()) {
        Some(link) => link.map(|(ours, theirs)| (Some(ours), Some(theirs))),
        None => Ok((None, None)),
    }
    .map_err(|error| format!("socketpair(): {error}"))?;
    let mut command = Command::new(maker);
    command.args([BECOME, &machine.name]).arg(program).args(arguments);
    let mut child = residue
        .mark(&mut command)
        .env_remove("LAB_MUST_RUN")
        .env_remove("RUST_BACKTRACE")
        .current_dir("/")
        .stdin(theirs.map_or_else(Stdio::null, |end| Stdio::from(OwnedFd::from(end))))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    if let (Some(kind), Some(ours)) = (machine.hides, ours) {
        let process = child.id();
        // Without a thread nobody answers, and the machine says so.
        let _ = std::thread::Builder::new().spawn(move || hidden::answer_for(kind, process, &ours));
    }
    let (stdout, stderr) = (read_on(child.stdout.take()), read_on(child.stderr.take()));
    let mut faults = Vec::new();
    let pidfd = pidfd_open(RawPid::from_child(&child), PidfdFlags::empty())
        .map_err(|error| format!("pidfd_open(): {error}"))?;
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    let patience = patience();
    if !poll_until(&mut fds, Some(began + patience)).unwrap_or(false) {
        faults.push(format!("it hangs: it had not ended after {patience:?}"));
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("wait(): {error}"))?;
    let took = began.elapsed();
    let (left, _) = settled(SETTLE, || residue.left(child.id()));
    faults.extend(left.into_iter().map(|line| format!("left: {line}")));
    residue.end();
    left::remove_limit_of(child.id());
    let (said, complained) = (received(&stdout), received(&stderr));
    let complained = String::from_utf8_lossy(&complained).into_owned();
    if status.code() == Some(i32::from(NOT_MADE)) {
        return Err(complained.trim().into());
    }
    if let Some(panic) = complained.lines().find(|line| line.contains("panicked")) {
        faults.push(panic.into());
    }
    Ok(Ended { status, said, complained, took, faults })
}

/// [`PATIENCE`], as much longer as others want of each processor at this moment.
fn patience() -> Duration {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let waiting: f64 = load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0);
    let processors = std::thread::available_parallelism().map_or(1.0, |many| many.get() as f64);
    PATIENCE.mul_f64((waiting / processors).max(1.0))
}

/// Counts the verdicts in what it said, and looks for what no machine may make it say.
fn judge(ran: &mut Ran, machine: &Machine, Ended { status, said, complained, .. }: &Ended) {
    let mut reader = Reader::default();
    for line in said.split_inclusive(|byte| *byte == b'\n') {
        if let Err(why) = reader.take(line) {
            ran.broken.push(format!("{why:#}"));
            break;
        }
    }
    let run = reader.into_run();
    let end = run.as_ref().and_then(|run| run.end.as_ref());
    match (end.and_then(|end| end.broken.as_ref()), end, status.signal()) {
        (Some(why), ..) => ran.broken.push(format!("status 2: {why}")),
        (None, _, Some(signal)) => ran.broken.push(format!("killed by signal {signal}")),
        (None, None, _) => ran.broken.push(format!("{status}, without an end: {}", complained.trim())),
        (None, Some(end), None) if status.code() != Some(i32::from(end.status)) => {
            ran.broken.push(format!("{status}, and says {}: {}", end.status, complained.trim()));
        }
        (None, Some(_), None) => {}
    }
    run.iter().flat_map(|run: &Run| &run.claims).for_each(|claim| match &claim.result {
        Some(ClaimResult::Judged { expected: true, .. }) => ran.same += 1,
        Some(ClaimResult::Judged { verdict, .. }) => {
            ran.wrong.push(format!("{}: {}", claim.head.id, verdict.word()));
        }
        Some(ClaimResult::Skipped { missing, remedy })
            if missing.is_empty() || !can_be_followed(machine, remedy) =>
        {
            ran.wrong.push(format!("{}: skipped for '{missing}', to get it: '{remedy}'", claim.head.id));
        }
        Some(ClaimResult::Skipped { missing, remedy }) => {
            ran.skipped += 1;
            let (missing, remedy) = (missing.clone(), remedy.clone());
            ran.skips.push(Skip { claim: claim.head.id.clone(), missing, remedy });
        }
        // It broke off before, which is reported.
        None => {}
    });
}

/// Reads a pipe to its end, beside us.
fn read_on(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    let read = move || {
        let mut text = Vec::new();
        // What was read before an error is what it said.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut text));
        let _ = send.send(text);
    };
    // Without a thread nothing is received, which is reported as an experiment that said nothing.
    let _ = std::thread::Builder::new().spawn(read);
    receive
}

/// What was read. A process that was left may hold the pipe open, and is ended by now.
fn received(pipe: &Receiver<Vec<u8>>) -> Vec<u8> {
    pipe.recv_timeout(SETTLE).unwrap_or_default()
}
