//! The process that a user starts: it launches, tells what the keeper reports, passes signals on, and ends as the program
//! did.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, kill};
use nix::unistd::Pid;
use ns_core::signals::{self, Waiting};
use ns_core::tracing::{Ending, Launch, Listening, fork_guardian, reap};
use ns_core::{Signal, in_words};

use crate::keeper::{Whom, keep};
use crate::model::{Record, What};
use crate::sink::Sink;
use crate::{calls, facts, program, tracer};

/// Signals that are not ours to die of: a terminal sends them to the program too, and others send them to be passed on.
const PASSED_ON: [Signal; 6] =
    [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2];

/// Exit statuses of env(1) and its like.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// How a program is launched.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    /// The program and its arguments.
    pub(crate) command: &'a [OsString],
    /// The signals that were blocked when we were started.
    pub(crate) mask: SigSet,
    /// No filter is to be set.
    pub(crate) every_call: bool,
    /// The story goes on until all have ended, and not the program alone.
    pub(crate) wait: bool,
}

/// Launches a program and tells what it does. Gives its exit status as a shell has it, or 126 or 127 where it cannot be
/// executed.
///
/// # Errors
/// Where it cannot be traced.
pub(crate) fn run(start: Start<'_>, sink: &mut dyn Sink) -> Result<u8> {
    let name = &start.command[0];
    let cannot = |errno: Errno| {
        lesson::complain(
            "ns-trace",
            &anyhow!("cannot execute {}: {}", name.to_string_lossy(), in_words(errno)),
        );
        if errno == Errno::ENOENT { NOT_FOUND } else { NOT_EXECUTABLE }
    };
    let path = match program::find(name) {
        Ok(path) => path,
        Err(errno) => return Ok(cannot(errno)),
    };
    let words = start.command.iter().map(|it| it.to_string_lossy().into_owned()).collect();
    let whom = Whom::Program(words);
    // Before anybody can know of us who would send one: the program may run before our next step.
    block_signals()?;
    let guardian = fork_guardian(|post| keep(post, &whom))?;
    let launch = Launch {
        path: program::c_strings([path.into_os_string()]).pop().context("a path with a NUL")?,
        arguments: program::c_strings(start.command.iter().cloned()),
        environment: program::environment(),
        mask: start.mask,
        filter: if start.every_call { None } else { calls::filter().ok() },
    };
    let launched = launch.start(&guardian)?;
    let listening = guardian.listen();
    if let Some(errno) = launched.failure {
        return Ok(cannot(errno));
    }
    let mut teller = Teller::new(listening, sink, Some(launched.pid))?;
    teller.wait_for_all = start.wait;
    let ended = teller.listen()?;
    Ok(match ended {
        Some(Ending::Exited(status)) => status as u8,
        Some(Ending::Killed(signal)) => (128 + signal) as u8,
        None => lesson::status::BROKEN,
    })
}

/// Tells what processes do that run already, until they end or a signal asks us to leave. They go on.
///
/// # Errors
/// Where one of them cannot be traced.
pub(crate) fn attach(processes: &[Pid], sink: &mut dyn Sink) -> Result<u8> {
    processes.iter().try_for_each(|process| tracer::require(*process))?;
    let whom = Whom::Processes(processes.to_vec());
    block_signals()?;
    let guardian = fork_guardian(|post| keep(post, &whom))?;
    Teller::new(guardian.listen(), sink, None)?.listen()?;
    Ok(lesson::status::AS_EXPECTED)
}

fn block_signals() -> Result<()> {
    signals::block(&PASSED_ON)?;
    Ok(signals::block(&[Signal::SIGCHLD])?)
}

struct Teller<'a> {
    keeper: Pid,
    reports: Option<File>,
    /// While it is open, the keeper reports.
    stay: Option<OwnedFd>,
    signals: Waiting,
    sink: &'a mut dyn Sink,
    /// Why the story cannot be written any more.
    unwritten: Option<io::Error>,
    received: Vec<u8>,
    /// What was launched.
    child: Option<Pid>,
    wait_for_all: bool,
    /// How the child ended, and whether the keeper has said so.
    ended: Option<Ending>,
    told_end: bool,
    alive: BTreeSet<i32>,
    last: u64,
}

impl<'a> Teller<'a> {
    fn new(listening: Listening, sink: &'a mut dyn Sink, child: Option<Pid>) -> Result<Teller<'a>> {
        let all: Vec<Signal> = PASSED_ON.into_iter().chain([Signal::SIGCHLD]).collect();
        Ok(Teller {
            keeper: listening.pid,
            reports: Some(listening.reports),
            stay: Some(listening.stay),
            signals: Waiting::among(&all)?,
            sink,
            unwritten: None,
            received: Vec::new(),
            child,
            wait_for_all: false,
            ended: None,
            told_end: false,
            alive: BTreeSet::new(),
            last: 0,
        })
    }

    /// Tells until there is no more to tell. Gives how the child ended.
    fn listen(&mut self) -> Result<Option<Ending>> {
        while !self.is_over() {
            self.wait()?;
            self.take_signals()?;
            self.take_reports()?;
        }
        self.finish();
        Ok(self.ended)
    }

    fn is_over(&self) -> bool {
        let is_silent = self.reports.is_none();
        match self.child {
            None => is_silent,
            Some(_) if self.ended.is_none() => false,
            Some(_) => is_silent || self.told_end && !self.wait_for_all,
        }
    }

    fn wait(&self) -> Result<()> {
        let signals = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let reports = self.reports.iter().map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN));
        let mut fds: Vec<PollFd<'_>> = signals.into_iter().chain(reports).collect();
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno).context("poll()"),
        }
    }

    fn take_signals(&mut self) -> Result<()> {
        while let Some((signal, by_kernel)) = self.signals.take_with_origin()? {
            match self.child {
                _ if signal == Signal::SIGCHLD => self.reap()?,
                // The keeper lets all go, and ends. Whoever asks twice does not wait for it.
                None if self.stay.take().is_none() => self.reports = None,
                None => {}
                // What was left behind is of no interest any more.
                Some(_) if self.ended.is_some() => self.reports = None,
                // A key of the terminal reached the program too.
                Some(_) if by_kernel => {}
                Some(child) => {
                    let _ = kill(child, signal);
                }
            }
        }
        Ok(())
    }

    fn reap(&mut self) -> Result<()> {
        if let Some(child) = self.child.filter(|_| self.ended.is_none()) {
            self.ended = reap(child).with_context(|| format!("waitpid({child})"))?;
        }
        Ok(())
    }

    fn take_reports(&mut self) -> Result<()> {
        const MUCH: usize = 16_384;
        let Some(file) = &mut self.reports else { return Ok(()) };
        let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
        if !matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1..)) {
            return Ok(());
        }
        let begun = self.received.len();
        self.received.resize(begun + MUCH, 0);
        let length = file.read(&mut self.received[begun..]).context("read(pipe)")?;
        self.received.truncate(begun + length);
        if length == 0 {
            self.reports = None;
            return self.replace_keeper();
        }
        let received = std::mem::take(&mut self.received);
        let mut rest = received.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            match serde_json::from_slice(&rest[..end]) {
                Ok(record) => self.take(&record)?,
                Err(error) => self.unwritten = Some(error.into()),
            }
            rest = &rest[end + 1..];
        }
        self.received = rest.to_vec();
        Ok(())
    }

    /// A keeper that ends before the child was killed. Those behind the filter need another at once.
    fn replace_keeper(&mut self) -> Result<()> {
        if self.child.is_none() || self.told_end || self.ended.is_some() {
            return Ok(());
        }
        let said = "the process that traces was killed; another takes its place, and what is called meanwhile fails with \
                    ENOSYS";
        lesson::complain("ns-trace", &anyhow!(said));
        // A line that it did not finish.
        self.received.clear();
        // Its descriptors are closed before those whom it traced are free.
        let _ = nix::sys::wait::waitpid(self.keeper, None);
        // Whom it had not reported yet is found below the program.
        self.alive.extend(self.child.into_iter().flat_map(|child| facts::family(child.as_raw())));
        let orphans = self.alive.iter().map(|pid| Pid::from_raw(*pid)).collect();
        let whom = Whom::Orphans(orphans, self.last);
        let listening = fork_guardian(|post| keep(post, &whom))?.listen();
        self.keeper = listening.pid;
        (self.reports, self.stay) = (Some(listening.reports), Some(listening.stay));
        Ok(())
    }

    fn take(&mut self, record: &Record) -> Result<()> {
        self.last = record.t;
        match &record.what {
            What::Refused { call, errno } => return Err(tracer::refused(call, errno)),
            What::Begin(begun) => {
                self.alive.insert(begun.pid);
            }
            What::Process(born) => {
                self.alive.insert(born.child);
            }
            What::End(ended) => {
                self.alive.remove(&ended.pid);
                self.told_end |= Some(Pid::from_raw(ended.pid)) == self.child;
            }
            _ => {}
        }
        self.write(record);
        Ok(())
    }

    /// What cannot be written is no reason to leave the program alone.
    fn write(&mut self, record: &Record) {
        if self.unwritten.is_none() {
            self.unwritten = self.sink.take(record).err();
        }
    }

    fn finish(&mut self) {
        let what = What::Left { processes: self.alive.len() };
        self.write(&Record { t: self.last, what });
        if self.unwritten.is_none() {
            self.unwritten = self.sink.finish().err();
        }
        if let Some(error) = self.unwritten.take().filter(|error| error.kind() != io::ErrorKind::BrokenPipe) {
            lesson::complain("ns-trace", &anyhow!("cannot write the story: {error}"));
        }
    }
}
