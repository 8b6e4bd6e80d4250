//! The launcher: the work outside the container, and the forwarding of signals, terminal and pipes.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::poll::{PollFd, PollFlags};
use ns_core::cgroup::{self, Cgroup};
use ns_core::child::{NetworkAside, NetworkCreator};
use ns_core::net::set_up_loopback;
use ns_core::{
    Child, Deadline, Errno, ExitStatus, Kind, Message, Named, NsFile, Reporter, Signal, Spawn, host,
    poll_until, signals,
};

use super::asked::Asked;
use super::console::Console;
use super::inside::{DEVICES, FORBIDDEN, MADE, UNKNOWN, UNMAPPED, UNRESOLVED, build_and_run};
use super::kinds::{CREATED_IN, NEEDED};
use super::network::{self, Connection};
use super::order::Order;
use super::refusal::{explain, explain_all};
use super::root::Rootfs;
use super::streams::{Passed, Streams};
use super::{identity, limits};

/// The signals that are forwarded to the command.
const FORWARDED: [Signal; 8] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCONT,
    Signal::SIGWINCH,
];

/// The signals that end the launcher while there is no command yet. Unpacking an archive can take long.
const ENDING: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// Runs the container, and returns the exit status of its command.
pub(super) fn run(order: &Order) -> Result<u8> {
    if let Rootfs::Given(path) = &order.rootfs {
        must_exist(path)?;
    }
    let asked = &order.asked;
    if asked.reach().is_some() {
        // To connect the container, the launcher enters its network namespace, and comes back.
        host::remember()?;
    }
    // Created before the container, and removed after it, with all processes that are still inside.
    let (cgroups, layout) = limits::make(&asked.limits)?;
    // Memory for unpacking an archive must not count toward the command's limit: then init is moved there afterwards.
    let (at_once, later) = cgroups.split_at(if order.rootfs.is_packed() { 0 } else { cgroups.len() });
    // Blocked before init exists, so that no signal is lost, and none ends the launcher and leaves the container.
    signals::block(&FORWARDED)?;
    // Then a write over the limit on the size of files fails with EFBIG, which can be reported.
    signals::block(&[Signal::SIGXFSZ])?;
    let forwarded = signals::Waiting::among(&FORWARDED)?;

    let streams = Streams::prepare()?;
    // The link is dropped last, after init has ended.
    let (mut init, link) = start(order, at_once, &streams)?;
    let _link = link?;
    let terminals = streams.terminals();
    let mut passed = streams.pass_on()?;
    let console = match wait_until_ready(&mut init, later, terminals)? {
        Ok(console) => console,
        Err(signal) => return Ok(128 + signal as u8),
    };
    if let Some(layout) = layout {
        // What earlier runs left that were killed together with their cleanup worker. Not while init builds the container,
        // for which it has use for two CPUs: the command starts meanwhile.
        cgroup::sweep_in(&layout);
    }
    let status = match pass_on(&mut init, console, &mut passed, &forwarded)? {
        ExitStatus::Exited(status) => u8::try_from(status).unwrap_or(u8::MAX),
        ExitStatus::Killed(signal) => 128 + signal as u8,
    };
    // The last messages of init: an error if it could not start the command. Its status alone would look like the
    // command's.
    while init.has_message()? {
        if let Message::Exited(_) = init.recv().map_err(|error| explain(&error))? {
            break;
        }
    }
    // If output could not be written, that is an error, even if the command succeeded.
    passed.finish().map(|()| status).map_err(|error| explain(&error))
}

fn must_exist(rootfs: &Path) -> Result<()> {
    let shown = rootfs.display();
    match std::fs::metadata(rootfs).named(|| format!("ROOTFS {shown}")) {
        Err(error) if error.errno() == Some(Errno::ENOENT) => bail!(
            "{error}; to make one: scripts/rootfs busybox DIRECTORY; if it is the command: mini-container run -- {shown}"
        ),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

/// Creates init, in the cgroup that it can be created in, and prepares it while it begins.
fn start(
    order: &Order,
    cgroups: &[Cgroup],
    streams: &Streams,
) -> Result<(Child, Result<Option<Connection>>)> {
    let namespaces = if order.asked.reach().is_some() { NEEDED } else { CREATED_IN };
    let start_in = |cgroup: Option<BorrowedFd<'_>>, later: Option<&Cgroup>| {
        let container = Spawn::new("container").namespaces(namespaces);
        let container = match cgroup {
            Some(cgroup) => container.into_cgroup(cgroup),
            None => container,
        };
        let (creator, network) = match order.asked.reach() {
            Some(_) => (None, None),
            None => NetworkAside::promise().map(|(creator, network)| (Some(creator), Some(network)))?,
        };
        let build = |me: &mut Reporter| build_and_run(me, order, cgroups, streams, network);
        container.run_with(build, |init| prepare(init, later, &order.asked, creator))
    };
    let created_in = limits::created_in(cgroups);
    let started = match start_in(created_in.map(Cgroup::fd), None) {
        // Engines deny clone3(2) to their containers, and no other call can create a process in a cgroup.
        Err(error) if matches!(error.errno(), Some(Errno::ENOSYS | Errno::EPERM)) && created_in.is_some() => {
            start_in(None, created_in)
        }
        started => started,
    };
    started.map_err(|error| explain(&error))
}

/// Does what init cannot do for itself, and waits for: a cgroup, ID maps and the network.
fn prepare(
    init: &Child,
    cgroup: Option<&Cgroup>,
    asked: &Asked,
    creator: Option<NetworkCreator>,
) -> Result<Option<Connection>> {
    limits::put(init.pid(), cgroup)?;
    identity::map(asked.user.as_ref(), init.pid()).map_err(explain_all)?;
    let link =
        asked.reach().map(|reach| network::connect(init.pid(), reach).map_err(explain_all)).transpose()?;
    let Some(creator) = creator else {
        init.wake()?;
        return Ok(link);
    };
    // Opened now: once init has changed its user ID, an ordinary user may not.
    let owner = NsFile::of(Some(init.pid()), Kind::User)?;
    init.wake()?;
    creator.create(&owner, set_up_loopback).map_err(|error| explain(&error))?;
    Ok(link)
}

/// Receives the reports of init until the command is about to run, or until a signal ends the launcher.
fn wait_until_ready(
    init: &mut Child,
    cgroups: &[Cgroup],
    terminals: [bool; 3],
) -> Result<Result<Option<Console>, Signal>> {
    let ending = signals::Waiting::among(&ENDING)?;
    let mut console = None;
    loop {
        // In this order: a signal that waits while init has not said that it is ready came before the command.
        if ending.has_one()? && !init.has_message()? {
            if let Some(signal) = ending.take()? {
                return Ok(Err(signal));
            }
        }
        wait_for_message(init)?;
        let message = init.recv().map_err(|error| explain(&error))?;
        let fact = match message {
            Message::Fact(fact) => fact,
            Message::Exited(ExitStatus::Killed(Signal::SIGKILL)) => bail!(
                "init was killed by SIGKILL before the command ran, most often since memory ran out; raise \
                 --memory-max, or give ROOTFS as a directory"
            ),
            Message::Exited(status) => bail!("init ended before the command ran: {status}"),
            Message::Stopped(_) => continue,
        };
        match (fact.what.as_str(), fact.value.as_i64()) {
            ("ready", _) => return Ok(Ok(console)),
            ("unpacked", _) => {
                limits::put(init.pid(), cgroups)?;
                init.wake()?;
            }
            ("unmapped directory", Some(number)) => {
                if let Some(line) = identity::map_owners(init, number)? {
                    remark(&line);
                }
                init.wake()?;
            }
            ("console", Some(number)) => console = Some(Console::take(init, number, terminals)?),
            (MADE, _) => {
                remark(&format!("no ROOTFS is given: one is made in memory, of {}", fact.value));
                init.wake()?;
            }
            (UNRESOLVED, _) => remark(
                "--net=out: no name server of the host can be given to the container; to give one: --bind \
                 ./resolv.conf:/etc/resolv.conf:ro",
            ),
            (DEVICES, Some(number)) => remark(&format!(
                "devices of ROOTFS that are left out: {number}; the container has its own in /dev"
            )),
            ("unmapped bind", _) => remark(&format!(
                "--bind: the files of {} belong to nobody in the container, which has no ID for their owner; to map \
                 more: --user",
                fact.value
            )),
            (UNMAPPED, Some(files)) => remark(&format!(
                "files whose owners are not mapped, and which belong to root inside: {files}; to keep their owners: \
                 --user auto"
            )),
            (UNKNOWN, _) => remark(&format!(
                "this kernel has no {} namespaces: the container runs without one",
                fact.value
            )),
            (FORBIDDEN, _) => remark(&format!(
                "the limit of {0} namespaces is reached (/proc/sys/user/max_{0}_namespaces): the container gets no new one",
                fact.value
            )),
            _ => {}
        }
    }
}

/// Waits for the next message of init, or for its end, without a look at whether a signal has stopped it.
fn wait_for_message(init: &Child) -> Result<()> {
    if !init.has_message()? {
        let mut fds = [init.messages(), init.pidfd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        Deadline::new().poll(&mut fds, "a message from the container")?;
    }
    Ok(())
}

/// Prints a warning.
fn remark(line: &str) {
    let _ = writeln!(std::io::stderr(), "mini-container: {}", ns_core::printable(line));
}

/// The events to wait for while the command runs.
#[derive(Clone, Copy, PartialEq)]
enum Ready {
    Ended,
    Signal,
    Keys,
    Inner,
    Passed(usize),
}

/// Forwards signals to init, and the terminal and pipes both ways, until init has ended. It waits for the pidfd of init
/// and not for SIGCHLD: a pidfd stays readable after the end. The launcher's terminal is restored before it prints more.
fn pass_on(
    init: &mut Child,
    mut console: Option<Console>,
    passed: &mut Passed,
    forwarded: &signals::Waiting,
) -> Result<ExitStatus> {
    loop {
        if let Some(console) = &mut console {
            console.begin_to_pass_keys();
        }
        let reads = PollFlags::POLLIN;
        let mut awaited =
            vec![(Ready::Ended, init.pidfd(), reads), (Ready::Signal, forwarded.as_fd(), reads)];
        if let Some(console) = &console {
            let (inner, events) = console.inner();
            awaited.push((Ready::Inner, inner, events));
            awaited.extend(console.keys().map(|keys| (Ready::Keys, keys, reads)));
        }
        awaited.extend(passed.awaited().into_iter().map(|(at, fd, events)| (Ready::Passed(at), fd, events)));
        let mut fds: Vec<_> = awaited.iter().map(|(_, fd, events)| PollFd::new(*fd, *events)).collect();
        let looks_again = console.as_ref().is_some_and(Console::waits_for_keyboard);
        poll_until(&mut fds, looks_again.then(|| Instant::now() + Duration::from_millis(200)))?;
        let is_ready: Vec<Ready> = awaited
            .iter()
            .zip(&fds)
            .filter(|(_, fd)| fd.any().unwrap_or(false))
            .map(|((ready, ..), _)| *ready)
            .collect();
        let ended = is_ready.contains(&Ready::Ended);
        while let Some(signal) = forwarded.take()? {
            forward(init, console.as_mut(), signal);
        }
        for ready in &is_ready {
            if let Ready::Passed(at) = ready {
                passed.move_on(*at);
            }
        }
        let hung_up = console.as_mut().is_some_and(|it| {
            it.show(ended);
            is_ready.contains(&Ready::Keys) && it.read_typed() || it.type_on()
        });
        if ended {
            return Ok(init.wait()?);
        }
        if hung_up {
            // When the launcher's end is closed, the kernel hangs up the inner terminal, and sends SIGHUP to its session.
            console = None;
        }
    }
}

fn forward(init: &Child, console: Option<&mut Console>, signal: Signal) {
    match (signal, console) {
        (Signal::SIGWINCH, Some(console)) => return console.resize(),
        // The launcher was stopped, and a shell had the terminal meanwhile.
        (Signal::SIGCONT, Some(console)) => console.pass_every_key(),
        _ => {}
    }
    // Init may have ended just now.
    let _ = init.try_signal(signal);
}
