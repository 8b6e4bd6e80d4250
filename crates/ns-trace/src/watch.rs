//! What is known of the traced: their threads, their processes, and what each has open that is of interest.
//!
//! A filter sees numbers and no paths. So a process that opens a file of procfs or of a cgroup to write it, or a socket of
//! netlink, stops at every call until that is closed. All others stop only where the filter says so.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::Pid;
use ns_core::tracing::{Call, Ending, Resume, Stop, Tracee, shares_descriptors};

use crate::calls;
use crate::decode::{self, Asked, Caller};
use crate::facts::{self, Opened, Status};
use crate::messages;
use crate::model::{Act, Born, Ended, Made, Record, What};
use crate::netlink;

/// A thread.
#[derive(Debug)]
struct Thread {
    process: i32,
    entry: Option<Entry>,
    /// What it is called, once that was asked: it changes by execve(2) and by PR_SET_NAME.
    name: Option<String>,
}

impl Thread {
    fn of(process: i32) -> Thread {
        Thread { process, entry: None, name: None }
    }
}

/// A process.
#[derive(Debug, Default)]
struct Process {
    open: Table,
}

/// What is open that is of interest. Processes may share it: CLONE_FILES of clone(2).
type Table = Rc<RefCell<BTreeMap<i32, Opened>>>;

/// A thread that stopped before its creator said whose it is. It stands still until then.
#[derive(Debug)]
struct Early {
    stop: Stop,
    status: Status,
    since: Instant,
}

/// A creator may be killed before it says whom it created, or another thread of it calls execve(2) or exit_group(2). Then
/// nobody says it any more. So often is it looked whether one is left who may.
const PAUSE: Duration = Duration::from_millis(1);

/// One who runs all the time may be the creator as long as it does. So long is it waited for.
const GRACE: Duration = Duration::from_secs(1);

/// A call that was begun.
#[derive(Debug)]
struct Entry {
    at: u64,
    call: &'static str,
    pending: Pending,
}

/// What is to be done at the end of a call.
#[derive(Debug)]
enum Pending {
    Tell(Act),
    Open(String),
    Netlink(u64),
    CloseRange(i32, i32),
    Duplicate(i32),
    Receive { protocol: u64, arguments: [u64; 6] },
}

/// All that is known.
#[derive(Debug)]
pub(crate) struct Watch {
    begun: Instant,
    every_call: bool,
    threads: HashMap<Pid, Thread>,
    processes: HashMap<i32, Process>,
    early: HashMap<Pid, Early>,
    /// Those of them that ended before it was said.
    gone: HashSet<Pid>,
    /// When it is to be looked whether their creators live.
    next_look: Option<Instant>,
    resumed: Vec<(Pid, Stop)>,
    to_interrupt: Vec<Pid>,
}

impl Watch {
    /// Nobody is known. With `every_call` there is no filter.
    pub(crate) fn new(every_call: bool) -> Watch {
        Watch {
            begun: Instant::now(),
            every_call,
            threads: HashMap::new(),
            processes: HashMap::new(),
            early: HashMap::new(),
            gone: HashSet::new(),
            next_look: None,
            resumed: Vec::new(),
            to_interrupt: Vec::new(),
        }
    }

    /// The same for a story that began so many microseconds ago.
    pub(crate) fn since(self, microseconds: u64) -> Watch {
        let begun = self.begun.checked_sub(Duration::from_micros(microseconds)).unwrap_or(self.begun);
        Watch { begun, ..self }
    }

    /// Microseconds since the beginning.
    pub(crate) fn now(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }

    /// A thread of a process that nobody traced before.
    pub(crate) fn begin(&mut self, thread: Pid, process: Pid) {
        self.threads.insert(thread, Thread::of(process.as_raw()));
        let open = || Process { open: table(facts::all_opened(thread)) };
        self.processes.entry(process.as_raw()).or_insert_with(open);
    }

    /// Whether a thread is known.
    pub(crate) fn knows(&self, thread: Pid) -> bool {
        self.threads.contains_key(&thread)
    }

    /// All threads that are known.
    pub(crate) fn threads(&self) -> Vec<Pid> {
        self.threads.keys().copied().collect()
    }

    /// Those that stand still and are to go on after the last look, each with its stop.
    pub(crate) fn resumed(&self) -> Vec<(Pid, Stop)> {
        self.resumed.clone()
    }

    /// In how long [`Watch::release`] is to be called; none where nobody waits for its creator.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.next_look.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Those whose creator cannot speak any more go on, as if it had.
    pub(crate) fn release(&mut self) -> Vec<Record> {
        self.begin_look();
        let is_awaited = self.threads.keys().any(|thread| facts::is_active(*thread));
        let waits_for_nobody = |early: &Early| !is_awaited || early.since.elapsed() >= GRACE;
        let released = self.early.iter().filter(|(_, early)| waits_for_nobody(early));
        let released: Vec<Pid> = released.map(|(thread, _)| *thread).collect();
        let told: Vec<_> = released.into_iter().filter_map(|thread| self.adopt_early(thread, 0)).collect();
        self.next_look = (!self.early.is_empty()).then(|| Instant::now() + PAUSE);
        told.into_iter().map(|(t, what)| Record { t, what }).collect()
    }

    /// Gives all that stand still until their creator speaks, each with its stop, and knows them no more.
    pub(crate) fn give_up_early(&mut self) -> Vec<(Pid, Stop)> {
        self.early.drain().map(|(thread, early)| (thread, early.stop)).collect()
    }

    fn begin_look(&mut self) {
        self.resumed.clear();
        self.to_interrupt.clear();
    }

    /// Those that have to stop at their next call although they run.
    pub(crate) fn to_interrupt(&self) -> Vec<Pid> {
        self.to_interrupt.clone()
    }

    /// How a thread goes on.
    pub(crate) fn manner(&self, thread: Pid) -> Resume {
        let Some(known) = self.threads.get(&thread) else { return Resume::On };
        let watches =
            self.processes.get(&known.process).is_some_and(|process| !process.open.borrow().is_empty());
        if self.every_call || known.entry.is_some() || watches { Resume::ToCall } else { Resume::On }
    }

    /// Looks at a thread that stands still. Gives what there is to tell.
    pub(crate) fn look(&mut self, thread: Pid, stop: Stop) -> Vec<Record> {
        self.begin_look();
        if !self.knows(thread) && !matches!(stop, Stop::Ended(_)) {
            self.gone.remove(&thread);
            let status = status_of(thread);
            if !self.processes.contains_key(&status.process) {
                let now = Instant::now();
                self.early.insert(thread, Early { stop, status, since: now });
                self.next_look.get_or_insert(now + PAUSE);
                return Vec::new();
            }
            // Of a thread of a known process there is nothing to say.
            self.adopt(thread, status, 0);
        }
        let told = match stop {
            Stop::Ended(how) => self.ended(thread, how),
            Stop::Created { child } => self.created(thread, child),
            Stop::Executed { former } => self.executed(thread, former),
            Stop::Call | Stop::Filter => self.called(thread),
            Stop::Signal(_) | Stop::Group | Stop::Begun | Stop::Other => Vec::new(),
        };
        if !matches!(stop, Stop::Ended(_)) {
            self.resumed.push((thread, stop));
        }
        told.into_iter().map(|(t, what)| Record { t, what }).collect()
    }

    fn ended(&mut self, thread: Pid, how: Ending) -> Vec<(u64, What)> {
        let pid = thread.as_raw();
        let mut told = Vec::new();
        // One that was killed while it waited for its creator, who may still speak.
        if let Some(creator) = self.early.get(&thread).map(|early| early.status.parent) {
            told.extend(self.adopt_early(thread, creator));
            self.gone.insert(thread);
        }
        // A creator that was killed does not say any more whom it created.
        let children = self.early.iter().filter(|(_, early)| early.status.parent == pid);
        let children: Vec<Pid> = children.map(|(child, _)| *child).collect();
        told.extend(children.into_iter().filter_map(|child| self.adopt_early(child, pid)));
        self.threads.remove(&thread);
        if self.processes.remove(&pid).is_some() {
            let (status, signal) = match how {
                Ending::Exited(status) => (Some(status), None),
                Ending::Killed(signal) => (None, Some(signal)),
            };
            told.push((self.now(), What::End(Ended { pid, status, signal })));
        }
        told
    }

    fn created(&mut self, thread: Pid, child: Pid) -> Vec<(u64, What)> {
        let creator = self.threads.get(&thread).map_or(0, |it| it.process);
        // 0: it was killed meanwhile, and cannot be asked any more.
        let told = if child.as_raw() == 0 || self.gone.remove(&child) || self.knows(child) {
            None
        } else if self.early.contains_key(&child) {
            self.adopt_early(child, creator)
        } else {
            self.adopt(child, status_of(child), creator)
        };
        told.into_iter().collect()
    }

    /// One that waits for its creator goes on.
    fn adopt_early(&mut self, thread: Pid, creator: i32) -> Option<(u64, What)> {
        let Early { stop, status, .. } = self.early.remove(&thread)?;
        self.resumed.push((thread, stop));
        self.adopt(thread, status, creator)
    }

    /// A thread that was created by a process that is traced, or by 0, of which nothing is known.
    fn adopt(&mut self, thread: Pid, status: Status, creator: i32) -> Option<(u64, What)> {
        let Status { process, inside, name, .. } = status;
        self.threads.insert(thread, Thread { name: Some(name.clone()), ..Thread::of(process) });
        if self.processes.contains_key(&process) {
            return None;
        }
        let inherited = self.processes.get(&creator).map(|it| {
            let is_shared = shares_descriptors(Pid::from_raw(process), Pid::from_raw(creator));
            if is_shared { Rc::clone(&it.open) } else { table(it.open.borrow().clone()) }
        });
        let pid = if inherited.is_some() { creator } else { 0 };
        self.processes.insert(process, Process { open: inherited.unwrap_or_default() });
        Some((self.now(), What::Process(Born { pid, child: process, inside, name })))
    }

    /// execve(2) ends all other threads, and gives the one that made it the ID of the first.
    fn executed(&mut self, thread: Pid, former: Pid) -> Vec<(u64, What)> {
        let Some(process) = self.threads.get(&thread).map(|it| it.process) else { return Vec::new() };
        if former != thread {
            let entry = self.threads.remove(&former).and_then(|it| it.entry);
            self.threads.insert(thread, Thread { entry, ..Thread::of(process) });
        }
        self.threads.retain(|id, it| it.process != process || *id == thread);
        self.forget_name(thread);
        if let Some(process) = self.processes.get_mut(&process) {
            // It has a table of its own from here on.
            let mut open = process.open.borrow().clone();
            open.retain(|fd, _| facts::is_open(thread, *fd));
            process.open = table(open);
        }
        Vec::new()
    }

    fn called(&mut self, thread: Pid) -> Vec<(u64, What)> {
        match Tracee(thread).call() {
            Ok(Call::Begins { architecture, number, arguments }) => {
                let at = self.now();
                let is_begun = self.threads.get(&thread).is_some_and(|it| it.entry.is_some());
                if !is_begun && is_native(architecture) {
                    let entry = self.entry(thread, at, number, arguments);
                    if let Some(known) = self.threads.get_mut(&thread) {
                        known.entry = entry;
                    }
                }
                Vec::new()
            }
            Ok(Call::Returns { architecture, result }) => {
                let entry = self.threads.get_mut(&thread).and_then(|it| it.entry.take());
                let told = entry.and_then(|entry| self.finish(thread, entry, result));
                let foreign =
                    told.as_ref().filter(|_| !is_native(architecture)).and_then(|told| self.foreign(told));
                told.into_iter().chain(foreign).collect()
            }
            Ok(Call::Restarts) => {
                self.threads.get_mut(&thread).and_then(|it| it.entry.take());
                Vec::new()
            }
            Ok(Call::None) | Err(_) => Vec::new(),
        }
    }

    /// What is to be done at the end of a call that begins; none where it is of no interest.
    fn entry(&mut self, thread: Pid, at: u64, number: u64, arguments: [u64; 6]) -> Option<Entry> {
        let call = calls::name(number)?;
        let pending = match decode::asked(call, Caller { thread, arguments }) {
            Some(Asked::Act(act)) => Pending::Tell(act),
            Some(Asked::Open { path }) => Pending::Open(path),
            Some(Asked::Netlink { protocol }) => Pending::Netlink(protocol),
            Some(Asked::Name) => {
                // It is asked for when it is needed.
                self.forget_name(thread);
                return None;
            }
            None => self.by_descriptor(thread, call, arguments)?,
        };
        Some(Entry { at, call, pending })
    }

    /// A call on a descriptor that is of interest.
    fn by_descriptor(&mut self, thread: Pid, call: &str, arguments: [u64; 6]) -> Option<Pending> {
        let process = self.processes.get(&self.threads.get(&thread)?.process)?;
        let fd = arguments[0] as i32;
        if call == "close_range" {
            // These are closed by execve(2).
            if arguments[2] as u32 & libc::CLOSE_RANGE_CLOEXEC != 0 {
                return None;
            }
            return Some(Pending::CloseRange(fd, (arguments[1] as u32).min(i32::MAX as u32) as i32));
        }
        // dup2(2) closes its target.
        let opened = process.open.borrow().get(&fd).cloned();
        match (call, opened) {
            // Whatever it gives, the descriptor is gone (close(2)). So its end need not be waited for.
            ("close", Some(_)) => {
                process.open.borrow_mut().remove(&fd);
                None
            }
            ("dup" | "dup2" | "dup3", _) => Some(Pending::Duplicate(fd)),
            ("fcntl", Some(_)) => {
                let copies = [libc::F_DUPFD, libc::F_DUPFD_CLOEXEC].contains(&(arguments[1] as i32));
                copies.then_some(Pending::Duplicate(fd))
            }
            ("recvmsg" | "recvfrom", Some(Opened::Netlink(protocol))) => {
                Some(Pending::Receive { protocol, arguments })
            }
            ("write" | "pwrite64" | "writev" | "sendto" | "sendmsg", Some(opened)) => {
                let bytes = messages::sent(call, Tracee(thread).memory(), arguments);
                written(&opened, &bytes).map(Pending::Tell)
            }
            _ => None,
        }
    }

    fn finish(&mut self, thread: Pid, entry: Entry, result: Result<i64, Errno>) -> Option<(u64, What)> {
        let Entry { at, call, pending } = entry;
        let process = self.threads.get(&thread)?.process;
        let (act, result) = match (pending, result) {
            (Pending::Tell(Act::Execute { path, arguments, .. }), Ok(result)) => {
                let Status { name, ambient, .. } = facts::status(thread).unwrap_or_default();
                self.threads.get_mut(&thread)?.name = Some(name);
                (Act::Execute { path, arguments, ambient }, Ok(result))
            }
            (Pending::Tell(act), result) => (act, result),
            (Pending::Open(path), Err(errno)) => (refused_file(&path)?, Err(errno)),
            (Pending::Open(_), Ok(fd)) => {
                self.notice(thread, process, fd as i32, facts::opened(thread, fd as i32)?);
                return None;
            }
            (Pending::Netlink(protocol), Ok(fd)) => {
                self.notice(thread, process, fd as i32, Opened::Netlink(protocol));
                return None;
            }
            (Pending::Receive { protocol, arguments }, Ok(length)) => {
                let bytes = messages::received(call, Tracee(thread).memory(), arguments, length as usize);
                (
                    Act::NetlinkRefused { family: netlink::family(protocol) },
                    Err(netlink::refusal(protocol, &bytes)?),
                )
            }
            (pending, Ok(new)) => {
                self.processes.get_mut(&process)?.forget_or_copy(&pending, new as i32);
                return None;
            }
            (_, Err(_)) => return None,
        };
        let made = Made {
            pid: process,
            tid: Some(thread.as_raw()).filter(|tid| *tid != process),
            name: self.name(thread),
            call: call.into(),
            result: result.ok(),
            errno: result.err().map(|errno| format!("{errno:?}")),
            took: self.now() - at,
            act,
        };
        Some((at, What::Call(made)))
    }

    /// What there is to tell after a program began whose calls have other numbers.
    fn foreign(&self, (_, told): &(u64, What)) -> Option<(u64, What)> {
        let What::Call(Made { pid, result: Some(_), act: Act::Execute { .. }, .. }) = told else {
            return None;
        };
        let text = "runs a program of 32 bits, whose system calls are not told".into();
        Some((self.now(), What::Note { pid: *pid, text }))
    }

    fn name(&mut self, thread: Pid) -> String {
        let Some(known) = self.threads.get_mut(&thread) else { return String::new() };
        known.name.get_or_insert_with(|| facts::name(thread)).clone()
    }

    fn forget_name(&mut self, thread: Pid) {
        if let Some(known) = self.threads.get_mut(&thread) {
            known.name = None;
        }
    }

    /// From here on a process stops at every call, in all its threads; and so does each that shares what it has open.
    fn notice(&mut self, thread: Pid, process: i32, fd: i32, opened: Opened) {
        let Some(table) = self.processes.get(&process).map(|known| &known.open) else { return };
        let is_first = table.borrow().is_empty();
        table.borrow_mut().insert(fd, opened);
        if is_first && !self.every_call {
            let has_it = |process| self.processes.get(process).is_some_and(|it| Rc::ptr_eq(&it.open, table));
            let others = self.threads.iter().filter(|(id, it)| **id != thread && has_it(&it.process));
            self.to_interrupt = others.map(|(id, _)| *id).collect();
        }
    }
}

impl Process {
    fn forget_or_copy(&mut self, pending: &Pending, new: i32) {
        let mut open = self.open.borrow_mut();
        match pending {
            Pending::CloseRange(first, last) => open.retain(|fd, _| !(*first..=*last).contains(fd)),
            Pending::Duplicate(fd) => match open.get(fd).cloned() {
                Some(opened) => {
                    open.insert(new, opened);
                }
                // It takes the place of what was open there.
                None => {
                    open.remove(&new);
                }
            },
            _ => {}
        }
    }
}

fn table(opened: impl IntoIterator<Item = (i32, Opened)>) -> Table {
    Rc::new(RefCell::new(opened.into_iter().collect()))
}

/// What /proc says of a thread. One that is gone is taken for a process.
fn status_of(thread: Pid) -> Status {
    facts::status(thread).unwrap_or(Status { process: thread.as_raw(), ..Status::default() })
}

/// What a write to something open does.
fn written(opened: &Opened, bytes: &[u8]) -> Option<Act> {
    const TEXT: usize = 1024;
    let text = || String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT)]).trim_end_matches('\n').to_string();
    match opened {
        Opened::Proc(path) => Some(of_proc(path, text())),
        Opened::Cgroup(path) => Some(of_cgroup(path, text())),
        Opened::Netlink(protocol) => {
            let messages = netlink::messages(*protocol, bytes);
            let family = netlink::family(*protocol);
            (!messages.is_empty()).then_some(Act::Netlink { family, messages })
        }
    }
}

fn of_proc(path: &str, text: String) -> Act {
    let (directory, file) = path.rsplit_once('/').unwrap_or_default();
    if ["uid_map", "gid_map", "setgroups", "projid_map"].contains(&file) {
        let of = directory.split('/').find(|part| !part.is_empty() && *part != "proc").unwrap_or_default();
        return Act::IdMap { file: file.into(), of: of.into(), text };
    }
    Act::Proc { path: path.into(), text }
}

fn of_cgroup(path: &str, text: String) -> Act {
    let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
    Act::Cgroup { file: file.into(), path: directory.into(), text }
}

/// A file that may not be opened to be written, if its name says what it is.
fn refused_file(path: &str) -> Option<Act> {
    let file = path.rsplit('/').next().unwrap_or_default();
    let text = String::new();
    match file {
        "uid_map" | "gid_map" | "setgroups" if path.starts_with("/proc/") => Some(of_proc(path, text)),
        "cgroup.procs" | "cgroup.threads" | "cgroup.subtree_control" => Some(of_cgroup(path, text)),
        _ => None,
    }
}

/// Whether calls of this architecture have the numbers that we know.
fn is_native(architecture: u32) -> bool {
    // AUDIT_ARCH_… of linux/audit.h.
    match std::env::consts::ARCH {
        "x86_64" => architecture == 0xc000_003e,
        "aarch64" => architecture == 0xc000_00b7,
        "riscv64" => architecture == 0xc000_00f3,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_path_says() {
        let map = Opened::Proc("/proc/42/uid_map".into());
        let expected = Act::IdMap { file: "uid_map".into(), of: "42".into(), text: "0 1000 1".into() };
        assert_eq!(written(&map, b"0 1000 1\n"), Some(expected));
        let procs = Opened::Cgroup("/sys/fs/cgroup/a/cgroup.procs".into());
        let expected =
            Act::Cgroup { file: "cgroup.procs".into(), path: "/sys/fs/cgroup/a".into(), text: "7".into() };
        assert_eq!(written(&procs, b"7"), Some(expected));
        assert_eq!(written(&Opened::Netlink(0), b"nothing"), None);
    }

    #[test]
    fn a_copy_of_a_descriptor_is_known_and_a_closed_one_forgotten() {
        let map = Opened::Proc("/proc/42/uid_map".into());
        let mut process = Process { open: table([(3, map)]) };
        process.forget_or_copy(&Pending::Duplicate(3), 1);
        process.forget_or_copy(&Pending::CloseRange(2, 9), 0);
        assert_eq!(process.open.borrow().keys().collect::<Vec<_>>(), [&1]);
        process.forget_or_copy(&Pending::Duplicate(10), 1);
        assert!(process.open.borrow().is_empty(), "dup2() took its place");
    }

    #[test]
    fn what_execve_is_to_close_is_still_open() {
        let us = nix::unistd::getpid();
        let mut watch = Watch::new(false);
        watch.threads.insert(us, Thread::of(us.as_raw()));
        let map = Opened::Proc("/proc/42/uid_map".into());
        watch.processes.insert(us.as_raw(), Process { open: table([(3, map)]) });
        let mut asked =
            |flags| watch.by_descriptor(us, "close_range", [3, u64::from(u32::MAX), flags, 0, 0, 0]);
        assert!(asked(u64::from(libc::CLOSE_RANGE_CLOEXEC)).is_none());
        assert!(matches!(asked(0), Some(Pending::CloseRange(3, i32::MAX))));
    }
}
