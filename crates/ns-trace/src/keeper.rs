//! The process that traces: it stops the traced at the calls that are reported, reports what they ask for and what they get,
//! and lets them go on.
//!
//! It owes them this for as long as they live, since behind the filter a call without a tracer gets ENOSYS (seccomp(2)). So
//! it outlives whoever started it, does no more than to let them go on when nobody listens, and survives its own faults.

use std::io::Write;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use caps::Capability;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::Signal;
use nix::sys::time::TimeSpec;
use nix::unistd::Pid;
use ns_core::process;
use ns_core::signals::Waiting;
use ns_core::tracing::{Post, Resume, Stop, Tracee, next_stop, threads_of};

use crate::model::{Begin, Record, SCHEMA, What};
use crate::watch::Watch;

/// Whom to trace.
#[derive(Debug, Clone)]
pub(crate) enum Whom {
    /// The program that is launched, which is this with its arguments.
    Program(Vec<String>),
    /// Processes that run.
    Processes(Vec<Pid>),
    /// Those whom a keeper left behind that was killed, and when in the story that was, in microseconds.
    Orphans(Vec<Pid>, u64),
}

/// What is done with a thread that stands still.
enum Mood {
    /// What it does is reported.
    Telling,
    /// It goes on, and nothing is reported.
    Silent,
    /// It is let go for good.
    Leaving,
}

struct Keeper {
    post: Post,
    watch: Watch,
    mood: Mood,
    filter: bool,
    /// The program that was launched: whoever listens waits for its end.
    program: Option<i32>,
    /// What is to be reported once nobody waits for us, and since when there is any.
    unsent: Vec<u8>,
    since: Instant,
}

/// Most calls come to their end within this time. To wait for them without sleep spares two wake-ups, which cost more than
/// the calls.
const SHORTLY: Duration = Duration::from_micros(60);

/// As much is kept back at most, and so long. To send wakes the listener, which takes a CPU from those who are traced. But
/// with all of it at the end, the listener would write alone, while the other CPU has nothing to do.
const MUCH: usize = 8192;
const LONG: Duration = Duration::from_millis(20);

/// A call that takes longer waits for something. That is the time for the listener: what is reported at the end alone is
/// waited for.
const QUIET: Duration = Duration::from_micros(300);

/// Traces until all have ended, or until nobody listens and they need no tracer.
pub(crate) fn keep(mut post: Post, whom: &Whom) {
    match begin(&mut post, whom) {
        Ok((begun, filter, watch)) => {
            let program = begun.first().map(|begun| begun.pid);
            let (mood, since) = (Mood::Telling, Instant::now());
            let mut keeper = Keeper { post, watch, mood, filter, program, unsent: Vec::new(), since };
            for begun in begun {
                let gains_nothing = gains_nothing(&begun);
                keeper.report(&Record { t: keeper.watch.now(), what: What::Begin(begun) });
                if let Some(note) = gains_nothing {
                    keeper.report(&Record { t: keeper.watch.now(), what: note });
                }
            }
            keeper.run();
        }
        Err(error) => {
            let (call, errno) = match error {
                ns_core::Error::Call { call, errno } => (call, errno),
                other => (other.to_string(), Errno::UnknownErrno),
            };
            let what = What::Refused { call, errno: format!("{errno:?}") };
            let mut line = serde_json::to_vec(&Record { t: 0, what }).unwrap_or_default();
            line.push(b'\n');
            let _ = post.reports.write_all(&line);
        }
    }
}

/// What a reader should know of set-user-ID programs, where no_new_privs does not tell it. execve(2): their IDs are not
/// given "if [...] the calling process is being ptraced", by one without CAP_SYS_PTRACE.
fn gains_nothing(begun: &Begin) -> Option<What> {
    let is_told = begun.no_new_privs || process::is_capable(Capability::CAP_SYS_PTRACE);
    let text = "is traced without CAP_SYS_PTRACE: set-user-ID programs, such as sudo and newuidmap, gain nothing. Root \
                traces without this.";
    (!is_told).then(|| What::Note { pid: begun.pid, text: text.into() })
}

/// Traces those with whom it begins. Gives how that is reported, and whether they are behind a filter.
fn begin(post: &mut Post, whom: &Whom) -> ns_core::Result<(Vec<Begin>, bool, Watch)> {
    let begun = |command: &[String], pid: Pid, filter, no_new_privs| Begin {
        schema: SCHEMA,
        command: command.to_vec(),
        pid: pid.as_raw(),
        filter,
        no_new_privs,
    };
    match whom {
        Whom::Program(command) => {
            let (tracee, announced) = post.await_program()?;
            let filter = announced.filtered.is_ok();
            let mut watch = Watch::new(!filter);
            if !filter {
                // So that it stops at its next call, which is its execve(2).
                let _ = tracee.interrupt();
            }
            // As soon as it can go: it is looked at while it comes to that call. And nobody may be kept from it by a reader
            // that has gone.
            let _ = post.let_go();
            watch.begin(tracee.0, tracee.0);
            Ok((vec![begun(command, announced.pid, filter, announced.no_new_privs)], filter, watch))
        }
        Whom::Processes(pids) => {
            let mut watch = Watch::new(true);
            pids.iter().try_for_each(|pid| seize_all(*pid, &mut watch))?;
            Ok((pids.iter().map(|pid| begun(&[], *pid, false, false)).collect(), false, watch))
        }
        Whom::Orphans(processes, at) => {
            let mut watch = Watch::new(false).since(*at);
            let mut seized = processes.iter().map(|process| seize_all(*process, &mut watch));
            // One that has ended meanwhile is none of them.
            let first = seized.next();
            let others = seized.filter(ns_core::Result::is_ok).count();
            match first {
                Some(Err(error)) if others == 0 => Err(error),
                _ => Ok((Vec::new(), true, watch)),
            }
        }
    }
}

/// Traces all threads of a process. Those that it creates meanwhile are found at the next look.
fn seize_all(process: Pid, watch: &mut Watch) -> ns_core::Result<()> {
    let mut seized = Vec::new();
    loop {
        let new: Vec<Pid> =
            threads_of(process)?.into_iter().filter(|thread| !seized.contains(thread)).collect();
        if new.is_empty() {
            return Ok(());
        }
        for thread in new {
            seized.push(thread);
            match Tracee::seize(thread) {
                // One of its threads that a traced one created is traced already.
                Err(error) if thread == process && !watch.knows(thread) => return Err(error),
                Err(_) => {}
                Ok(tracee) => {
                    watch.begin(thread, process);
                    // So that it stops at its next call.
                    let _ = tracee.interrupt();
                }
            }
        }
    }
}

impl Keeper {
    fn run(&mut self) {
        let Ok(children) = Waiting::among(&[Signal::SIGCHLD]) else { return self.run_silent() };
        loop {
            if self.watch.patience() == Some(Duration::ZERO) {
                let records = self.watch.release();
                self.resume_and_report(&records);
            }
            match soon() {
                Ok(Some((thread, stop))) => self.survive(thread, stop),
                Ok(None) if matches!(self.mood, Mood::Silent) => return self.run_silent(),
                Ok(None) => self.wait(&children),
                // ECHILD: all have ended.
                Err(_) => return self.send(),
            }
        }
    }

    /// Waits for the next stop, or for the creator's end. What is kept back is sent if neither comes soon.
    fn wait(&mut self, children: &Waiting) {
        let both = [children.as_fd(), self.post.creator.as_fd()];
        let mut fds = both.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        // After the creator's end there is nothing more to wait for but stops.
        let count = if matches!(self.mood, Mood::Telling) { 2 } else { 1 };
        let quiet = (!self.unsent.is_empty()).then_some(QUIET);
        let limit = quiet.into_iter().chain(self.watch.patience()).min().map(TimeSpec::from_duration);
        let is_quiet = ppoll(&mut fds[..count], limit, None) == Ok(0);
        let hung_up = count == 2 && fds[1].revents().is_some_and(|events| !events.is_empty());
        // However many stopped, one signal waits.
        let _ = children.take();
        if is_quiet {
            self.send();
        }
        if hung_up {
            self.stop_telling();
        }
    }

    /// Nobody listens any more. Those behind the filter need their tracer to the end; the others are let go.
    fn stop_telling(&mut self) {
        let (mood, how) =
            if self.filter { (Mood::Silent, Resume::On) } else { (Mood::Leaving, Resume::Detached) };
        self.mood = mood;
        // What their creators have to say is of no interest any more.
        for (thread, stop) in self.watch.give_up_early() {
            go_on(thread, stop, how);
        }
        if !self.filter {
            for thread in self.watch.threads() {
                let _ = Tracee(thread).interrupt();
            }
        }
    }

    fn run_silent(&mut self) {
        self.mood = Mood::Silent;
        while let Ok(stopped) = next_stop(true) {
            if let Some((thread, stop)) = stopped {
                go_on(thread, stop, Resume::On);
            }
        }
    }

    /// A fault of ours is no reason to leave those alone who need us.
    fn survive(&mut self, thread: Pid, stop: Stop) {
        let reacted = catch_unwind(AssertUnwindSafe(|| self.react(thread, stop)));
        if reacted.is_err() {
            self.stop_telling();
            for (thread, stop) in self.watch.resumed().into_iter().chain([(thread, stop)]) {
                go_on(thread, stop, Resume::On);
            }
        }
    }

    fn react(&mut self, thread: Pid, stop: Stop) {
        match self.mood {
            Mood::Silent => go_on(thread, stop, Resume::On),
            Mood::Leaving => go_on(thread, stop, Resume::Detached),
            Mood::Telling => {
                let records = self.watch.look(thread, stop);
                self.resume_and_report(&records);
            }
        }
    }

    /// After a look, of which these are the records.
    fn resume_and_report(&mut self, records: &[Record]) {
        for (thread, stop) in self.watch.resumed() {
            go_on(thread, stop, self.watch.manner(thread));
        }
        for other in self.watch.to_interrupt() {
            let _ = Tracee(other).interrupt();
        }
        // All that is in them was read before.
        records.iter().for_each(|record| self.report(record));
    }

    fn report(&mut self, record: &Record) {
        if self.unsent.is_empty() {
            self.since = Instant::now();
        }
        if serde_json::to_writer(&mut self.unsent, record).is_ok() {
            self.unsent.push(b'\n');
        }
        let is_awaited = matches!(&record.what, What::End(ended) if Some(ended.pid) == self.program);
        if is_awaited || self.unsent.len() > MUCH || self.since.elapsed() > LONG {
            self.send();
        }
    }

    /// Sends what is kept back. Where nobody reads any more, nobody listens.
    fn send(&mut self) {
        let unsent = std::mem::take(&mut self.unsent);
        if matches!(self.mood, Mood::Telling) && self.post.reports.write_all(&unsent).is_err() {
            self.stop_telling();
        }
    }
}

/// The next stop, if it comes shortly.
fn soon() -> Result<Option<(Pid, Stop)>, Errno> {
    let begun = Instant::now();
    loop {
        let stopped = next_stop(false)?;
        if stopped.is_some() || begun.elapsed() > SHORTLY {
            return Ok(stopped);
        }
        // On one CPU it is the traced thread's turn.
        rustix::thread::sched_yield();
    }
}

/// Lets a thread go on as its stop wants it: with its signal, or stopped with its process.
fn go_on(thread: Pid, stop: Stop, how: Resume) {
    let how = if stop == Stop::Group && how != Resume::Detached { Resume::Listen } else { how };
    let signal = if let Stop::Signal(signal) = stop { signal } else { 0 };
    // ESRCH: it was killed meanwhile.
    let _ = match stop {
        Stop::Ended(_) => Ok(()),
        _ => Tracee(thread).resume(how, signal),
    };
}
