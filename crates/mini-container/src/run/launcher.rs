//! The launcher: what is done outside, and what is passed on.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::poll::{PollFd, PollFlags};
use ns_core::cgroup::Cgroup;
use ns_core::{Child, Errno, ExitStatus, Message, Named, Signal, Spawn, poll_until, signals};

use super::asked::Asked;
use super::console::Console;
use super::inside::{FORBIDDEN, UNKNOWN, build_and_run};
use super::kinds::CREATED_IN;
use super::refusal::{explain, explain_all};
use super::streams::{Passed, Streams};
use super::switch::Port;
use super::{identity, limits, network};

/// What is passed on to the command, as if it had been sent there.
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

/// What ends us as long as there is no command to pass it on to: an archive may take its time.
const ENDING: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// Runs the container, and gives the exit status of its command.
pub(super) fn run(asked: &Asked) -> Result<u8> {
    match std::fs::metadata(&asked.rootfs).named(|| format!("ROOTFS {}", asked.rootfs.display())) {
        Err(error) if error.errno() == Some(Errno::ENOENT) => {
            bail!("{error}; to make one: scripts/rootfs busybox DIRECTORY")
        }
        Err(error) => return Err(error.into()),
        Ok(_) => {}
    }
    // Made before the container, and removed after it, with all that is still in it.
    let cgroups = limits::make(&asked.limits)?;
    // An archive is unpacked into memory, which is not to count as the command's: then init is moved there afterwards.
    let (at_once, later) = cgroups.split_at(if asked.rootfs.is_dir() { cgroups.len() } else { 0 });
    // Blocked before there is anyone to forward them to, so that none is lost, or ends us and leaves the rest.
    signals::block(&FORWARDED)?;
    // Then a write past the limit on the size of files fails with EFBIG, which can be told.
    signals::block(&[Signal::SIGXFSZ])?;
    let forwarded = signals::Waiting::among(&FORWARDED)?;

    let streams = Streams::prepare()?;
    let mut init = start(asked, at_once, &streams)?;
    let terminals = streams.terminals();
    let mut passed = streams.pass_on()?;
    // Dropped last of all that belongs to the container, so after init has ended.
    let _link = prepare(&init, asked)?;
    let console = match wait_until_ready(&mut init, later, terminals)? {
        Ok(console) => console,
        Err(signal) => return Ok(128 + signal as u8),
    };
    let status = match pass_on(&mut init, console, &mut passed, &forwarded)? {
        ExitStatus::Exited(status) => u8::try_from(status).unwrap_or(u8::MAX),
        ExitStatus::Killed(signal) => 128 + signal as u8,
    };
    // What it has left to say: why it could not start the command. A status would pass for the command's.
    while init.has_message()? {
        if let Message::Exited(_) = init.recv().map_err(|error| explain(&error))? {
            break;
        }
    }
    // What is written to a full disk is not there, however well the command has ended.
    passed.finish().map(|()| status).map_err(|error| explain(&error))
}

/// Makes init, in the cgroup that it can be created in.
fn start(asked: &Asked, cgroups: &[Cgroup], streams: &Streams) -> Result<Child> {
    let start_in = |cgroup: Option<BorrowedFd<'_>>| {
        let container = Spawn::new("container").namespaces(CREATED_IN);
        let container = match cgroup {
            Some(cgroup) => container.into_cgroup(cgroup),
            None => container,
        };
        container.run(|me| build_and_run(me, asked, cgroups, streams))
    };
    let created_in = limits::created_in(cgroups);
    let started = match start_in(created_in.map(Cgroup::fd)) {
        // Engines hide clone3(2) from what they run, and no other call can create a process in a cgroup.
        Err(error) if matches!(error.errno(), Some(Errno::ENOSYS | Errno::EPERM)) => match created_in {
            Some(cgroup) => start_in(None).and_then(|init| cgroup.join(init.pid()).map(|()| init)),
            None => Err(error),
        },
        started => started,
    };
    started.map_err(|error| explain(&error))
}

/// What init cannot do for itself.
fn prepare(init: &Child, asked: &Asked) -> Result<Option<Port>> {
    identity::map(asked.user.as_ref(), init.pid()).map_err(explain_all)?;
    let link = if asked.net { Some(network::connect(init.pid()).map_err(explain_all)?) } else { None };
    init.wake()?;
    Ok(link)
}

/// Receives what init reports until the command is about to run, or until a signal is to end us.
fn wait_until_ready(
    init: &mut Child,
    cgroups: &[Cgroup],
    terminals: [bool; 3],
) -> Result<Result<Option<Console>, Signal>> {
    let ending = signals::Waiting::among(&ENDING)?;
    let mut console = None;
    loop {
        if let Some(signal) = ending.take()? {
            return Ok(Err(signal));
        }
        let message = init.recv().map_err(|error| explain(&error))?;
        let fact = match message {
            Message::Fact(fact) => fact,
            Message::Exited(ExitStatus::Killed(Signal::SIGKILL)) => bail!(
                "init was killed by SIGKILL before its time: for want of memory, most often; give it more \
                 (--memory-max), and ROOTFS as a directory"
            ),
            Message::Exited(status) => bail!("init ended before its time: {status}"),
            Message::Stopped(_) => continue,
        };
        match (fact.what.as_str(), fact.value.as_i64()) {
            ("ready", _) => return Ok(Ok(console)),
            ("unpacked", _) => {
                limits::put(init.pid(), cgroups)?;
                init.wake()?;
            }
            ("nobody's", Some(number)) => {
                if let Some(line) = identity::map_owners(init, number)? {
                    remark(&line);
                }
                init.wake()?;
            }
            ("console", Some(number)) => console = Some(Console::take(init, number, terminals)?),
            ("unmapped owners", Some(files @ 1..)) => remark(&format!(
                "files of users who are not mapped, and root's now: {files}; to keep them: --user auto"
            )),
            (UNKNOWN, _) => remark(&format!(
                "this kernel has no {} namespaces: the container has none of its own",
                fact.value
            )),
            (FORBIDDEN, _) => remark(&format!(
                "no more {0} namespaces may be made (/proc/sys/user/max_{0}_namespaces): the container has none of its own",
                fact.value
            )),
            _ => {}
        }
    }
}

/// What is to be known, and hinders nothing.
fn remark(line: &str) {
    let _ = writeln!(std::io::stderr(), "mini-container: {}", ns_core::printable(line));
}

/// What can be ready while the command runs.
#[derive(Clone, Copy, PartialEq)]
enum Ready {
    Ended,
    Signal,
    Keys,
    Inner,
    Passed(usize),
}

/// Passes signals to init, and terminal and pipes both ways, until init has ended. No SIGCHLD is waited for: a pidfd says
/// that a process has ended whenever one asks, however early it did. Our terminal is as it was before we say more.
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
            // Without our end the kernel hangs the inner terminal up too, and tells all who are at it.
            console = None;
        }
    }
}

fn forward(init: &Child, console: Option<&mut Console>, signal: Signal) {
    match (signal, console) {
        (Signal::SIGWINCH, Some(console)) => return console.resize(),
        // We were stopped, and a shell had the terminal meanwhile.
        (Signal::SIGCONT, Some(console)) => console.pass_every_key(),
        _ => {}
    }
    // It may have ended this moment.
    let _ = init.try_signal(signal);
}
