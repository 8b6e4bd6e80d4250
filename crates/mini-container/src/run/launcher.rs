//! The launcher: what is done outside, and what is passed on.

use std::io::Write;
use std::os::fd::AsFd;

use anyhow::{Result, bail};
use nix::poll::{PollFd, PollFlags};
use ns_core::cgroup::Cgroup;
use ns_core::net::switch::Port;
use ns_core::{Child, End, Errno, Error, Named, Signal, Spawn, poll_until, probe, signals};

use super::console::Console;
use super::inside::{BORN_INTO, build_and_run};
use super::{Asked, console, identity, limits, network};

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
    // Made before the container, and removed after it, with all that is still in there.
    let cgroups = limits::make(asked)?;
    // An archive is unpacked into memory, which is not to count as the command's: then init is moved there afterwards.
    let (from_birth, later) = cgroups.split_at(if asked.rootfs.is_dir() { cgroups.len() } else { 0 });
    // Blocked before there is anyone to forward them to, so that none is lost, or ends us and leaves the rest.
    signals::block(&FORWARDED)?;
    let forwarded = signals::Waiting::among(&FORWARDED)?;

    let with_console = console::is_wanted();
    let mut newborn = Spawn::new("container").namespaces_always(BORN_INTO);
    if let Some(cgroup) = limits::birthplace(from_birth) {
        newborn = newborn.born_in(cgroup);
    }
    let mut init = newborn
        .run(|me| build_and_run(me, asked, from_birth, with_console))
        .map_err(|error| explain(&error))?;
    // Dropped last of all that belongs to the container, so after init has ended.
    let _link = prepare(&init, asked)?;
    let console = match wait_until_ready(&mut init, later)? {
        Ok(console) => console,
        Err(signal) => return Ok(128 + signal as u8),
    };
    Ok(match pass_on(&mut init, console, &forwarded)? {
        End::Exited(status) => u8::try_from(status).unwrap_or(u8::MAX),
        End::Killed(signal) => 128 + signal as u8,
    })
}

/// What init cannot do for itself.
fn prepare(init: &Child, asked: &Asked) -> Result<Option<Port>> {
    identity::map(asked.user.as_ref(), init.pid())?;
    let link = if asked.net { Some(network::connect(init.pid())?) } else { None };
    init.release()?;
    Ok(link)
}

/// Hears init out until the command is about to run, or until a signal is to end us.
fn wait_until_ready(init: &mut Child, cgroups: &[Cgroup]) -> Result<Result<Option<Console>, Signal>> {
    let ending = signals::Waiting::among(&ENDING)?;
    let mut console = None;
    loop {
        if let Some(signal) = ending.take()? {
            return Ok(Err(signal));
        }
        let fact = init.hear().map_err(|error| match error {
            // What broke says itself where.
            Error::Broken { message, .. } => anyhow::anyhow!(message),
            other => other.into(),
        })?;
        match (fact.what.as_str(), fact.value.as_i64()) {
            ("ready", _) => return Ok(Ok(console)),
            ("unpacked", _) => {
                limits::put(init.pid(), cgroups)?;
                init.release()?;
            }
            ("nobody's", Some(number)) => {
                if let Some(line) = identity::map_owners(init, number)? {
                    let _ = writeln!(std::io::stderr(), "mini-container: {line}");
                }
                init.release()?;
            }
            ("console", Some(number)) => console = Some(Console::take(init, number)?),
            ("unmapped owners", Some(files @ 1..)) => {
                let mut stderr = std::io::stderr();
                let _ = writeln!(
                    stderr,
                    "mini-container: files of users who are not mapped, and root's now: {files}; \
                     to keep them: --user auto"
                );
            }
            ("end", _) if fact.value.to_string().contains("SIGKILL") => bail!(
                "init was killed by SIGKILL before its time: for want of memory, most often; give it more \
                 (--memory-max), and ROOTFS as a directory"
            ),
            ("end", _) => bail!("init ended before its time: {}", fact.value),
            _ => {}
        }
    }
}

/// Passes signals to init, and the terminal both ways, until init has ended. No SIGCHLD is waited for: a pidfd says
/// that a process has ended whenever one asks, however early it did. Our terminal is as it was before we say more.
fn pass_on(init: &mut Child, mut console: Option<Console>, forwarded: &signals::Waiting) -> Result<End> {
    loop {
        let nothing = forwarded.as_fd();
        let (keyboard, inner, events) =
            console.as_ref().map_or((nothing, nothing, PollFlags::POLLIN), |it| it.awaited(nothing));
        let mut fds =
            [init.pidfd(), forwarded.as_fd(), keyboard].map(|fd| PollFd::new(fd, PollFlags::POLLIN)).to_vec();
        fds.push(PollFd::new(inner, events));
        poll_until(&mut fds, None)?;
        let is_ready = |at: usize| fds[at].any().unwrap_or(false);
        let (ended, typed) = (is_ready(0), is_ready(2));
        while let Some(signal) = forwarded.take()? {
            forward(init, console.as_ref(), signal);
        }
        let hung_up = console.as_mut().is_some_and(|it| {
            it.show(ended);
            typed && it.read_typed() || it.type_on()
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

fn forward(init: &Child, console: Option<&Console>, signal: Signal) {
    match (signal, console) {
        (Signal::SIGWINCH, Some(console)) => return console.resize(),
        // We were stopped, and a shell had the terminal meanwhile.
        (Signal::SIGCONT, Some(console)) => console.pass_every_key(),
        _ => {}
    }
    // It may have ended this moment.
    let _ = init.try_signal(signal);
}

/// Why the kernel makes no such namespaces here, and what to do about it.
fn explain(error: &Error) -> anyhow::Error {
    match error {
        Error::Call { call, errno } if call.starts_with("clone3") => {
            anyhow::anyhow!("no container can be made: {}", probe::why_refused(call, *errno, BORN_INTO))
        }
        other => anyhow::anyhow!("{other}"),
    }
}
