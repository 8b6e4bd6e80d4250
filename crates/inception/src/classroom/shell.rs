//! A shell in the namespaces of a step. The experiment waits meanwhile.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use lesson::render::Layout;
use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, killpg, sigprocmask};
use nix::sys::termios::{SetArg, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getegid, geteuid, getpgrp, getpid, setpgid, tcsetpgrp};
use ns_core::child::Spawn;
use ns_core::idmap::IdMaps;
use ns_core::{Child, Errno, Message, Named, Namespaces, mount, namespace, process, signals};
use rustix::process::{PidfdFlags, pidfd_open};

use super::card::Card;
use super::places::{Place, descendants};
use super::watchdog::Watchdog;
use crate::stdout::write_now;

/// The variable that has the directory of the cgroup, whose path is too long for a card.
const CGROUP: &str = "CGROUP";
/// What is reported of a cgroup that was joined.
const JOINED: &str = "OK";

/// Opens a shell at `place` of `experiment`, which is at rest, and waits until it ends; its prompt begins with `prompt`,
/// and before it stands a card in this `layout`. What it leaves behind is ended.
/// `Some` if this signal ended it, and is to end us.
///
/// # Errors
/// When the namespaces cannot be entered, which says which.
pub(super) fn open(
    experiment: Pid,
    place: &Place,
    prompt: &str,
    layout: Layout,
    watchdog: &mut Watchdog,
) -> Result<Option<Signal>> {
    let settings = tcgetattr(io::stdin()).context("tcgetattr()")?;
    let mask = SigSet::all();
    let mut unmasked = SigSet::empty();
    // We are in the background while the shell has the terminal, and may not be stopped for taking it back.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), Some(&mut unmasked)).context("sigprocmask()")?;
    // What the shell leaves behind when it ends becomes ours; in a PID namespace, its init's.
    let adopting = set_child_subreaper(true).context("prctl(PR_SET_CHILD_SUBREAPER)");
    let family = || [process::children(getpid()).unwrap_or_default(), descendants(experiment)].concat();
    let before_it = family();
    watchdog.lent(&settings);
    let ended = adopting.and_then(|()| be_there(place, prompt, layout));
    let cleaned = ns_core::until("what the shell left behind to end", || {
        let mut left = family();
        left.retain(|pid| !before_it.contains(pid));
        for pid in &left {
            let _ = kill(*pid, Signal::SIGKILL);
            let _ = waitpid(*pid, Some(WaitPidFlag::WNOHANG)); // of a child of ours alone
        }
        Ok(left.is_empty().then_some(()))
    });
    let _ = set_child_subreaper(false);
    let _ = tcsetpgrp(io::stdin(), getpgrp());
    let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &settings);
    watchdog.as_found();
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&unmasked), None);
    cleaned?;
    ended
}

fn be_there(place: &Place, prompt: &str, layout: Layout) -> Result<Option<Signal>> {
    let raw = rustix::process::Pid::from_raw(place.pid.as_raw()).context("no process")?;
    let pidfd = pidfd_open(raw, PidfdFlags::empty()).with_context(|| format!("pidfd_open({raw})"))?;
    let mut card = Card {
        who: place.who.clone(),
        namespaces: place.all(),
        own: place.own,
        limits: place.cgroups.first().map(|cgroup| limits(cgroup)).unwrap_or_default(),
        lacks: Vec::new(),
    };
    // From inside the directories may not be visible.
    let mut cgroups = Vec::new();
    for directory in &place.cgroups {
        let path = directory.join("cgroup.procs");
        match OpenOptions::new().write(true).open(&path) {
            Ok(file) => cgroups.push((path, file)),
            Err(error) => card.lacks.push(format!("Not in its cgroup: open({path:?}): {error}.")),
        }
    }
    let joining = cgroups.len();
    // setns(2) into a PID or time namespace counts for the children of the caller. So the one who enters is not the
    // one who becomes the shell.
    let mut intermediate = Child::spawn("the shell", Namespaces::NONE, |me| {
        if !place.namespaces.is_empty() {
            namespace::enter_all_of(pidfd.as_fd(), place.namespaces)?;
        }
        if let Some((file, kind)) = &place.held {
            file.enter(Some(*kind))?;
        }
        let mut spawn = Spawn::new("shell").namespaces(place.anew);
        if place.anew.contains(Namespaces::USER) {
            spawn = spawn.maps(IdMaps::own(0, geteuid().as_raw(), getegid().as_raw()));
        }
        let mut shell = spawn.run(|me| {
            me.checkpoint()?;
            if place.anew.contains(Namespaces::MNT) {
                // What is mounted in a copy would else be mounted in the original, too.
                mount::make_private()?;
            }
            if place.all().contains(Namespaces::PID) {
                card.lacks.extend(own_proc().err().map(|error| format!("No /proc of its own: {error}.")));
            }
            become_shell(prompt, &card.set(layout), place.cgroups.first())
        })?;
        for (path, mut file) in cgroups {
            let joined = file.write_all(shell.pid().to_string().as_bytes());
            me.report(
                "joins",
                joined.map_or_else(|error| format!("write({path:?}): {error}"), |()| JOINED.into()),
            )?;
        }
        me.report("PID", shell.pid())?;
        me.checkpoint()?;
        shell.wake()?;
        // One that stops itself would leave the terminal to nobody.
        while let Message::Stopped(_) = shell.recv()? {
            shell.signal(Signal::SIGCONT)?;
        }
        Ok(())
    })?;
    for _ in 0..joining {
        let joins = intermediate.fact()?.value.to_string();
        if joins != JOINED {
            let line = layout.wrap(&format!("Not in its cgroup: {joins}."), "   ", "   ");
            write_now(line.as_bytes())?;
        }
    }
    let shell = intermediate.fact()?.value.as_i64().and_then(|pid| i32::try_from(pid).ok());
    intermediate.wake()?;
    let endings = signals::Waiting::among(&[Signal::SIGHUP, Signal::SIGTERM])?;
    // A terminal that hangs up signals its foreground alone. That is not us, and a shell that was about to start a
    // program when the signal came may wait for that program for ever. So we watch the terminal ourselves: no event is
    // asked for, since a hang-up is always reported.
    let stdin = io::stdin();
    let terminal = PollFd::new(stdin.as_fd(), PollFlags::empty());
    let [entered, signal] =
        [intermediate.pidfd(), endings.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    let mut fds = [entered, signal, terminal];
    ns_core::poll_until(&mut fds, None)?;
    if !fds[0].any().unwrap_or(false) {
        let hung_up = fds[2].any().unwrap_or(false).then_some(Signal::SIGHUP);
        let ending = endings.take()?.or(hung_up);
        // A shell that is hung up tells its jobs.
        if let Some(shell) = shell.map(Pid::from_raw) {
            let _ = killpg(shell, Signal::SIGHUP);
            let _ = killpg(shell, Signal::SIGCONT);
        }
        return Ok(ending);
    }
    // How the shell ended is its own affair; that it could not begin is ours.
    intermediate.recv()?;
    Ok(None)
}

/// What can be tried in a cgroup: its limits first.
fn limits(cgroup: &Path) -> Vec<(String, String)> {
    const FORK: (&str, &str) =
        ("sh -c 'for i in 1 2 3 4; do sleep 9 & done'", "fork() fails with EAGAIN; nobody is killed");
    const TOUCH: (&str, &str) =
        ("head -c 64M /dev/zero | tail -c 64M | wc -c", "0: tail is killed, since it touches too much");
    const EXCEED: [(&str, (&str, &str)); 3] =
        [("pids.max", FORK), ("memory.max", TOUCH), ("memory.limit_in_bytes", TOUCH)];
    // Version 1's word for no limit is a page less than what fits into 63 bits.
    let is_one = |limit: &u64| *limit < 1 << 60;
    let mut tries = Vec::new();
    for (file, (command, expect)) in EXCEED {
        let text = fs::read_to_string(cgroup.join(file)).unwrap_or_default();
        if let Some(limit) = text.trim().parse::<u64>().ok().filter(is_one) {
            let set = format!("{limit}, as the experiment has set it");
            tries.extend([(format!("cat ${CGROUP}/{file}"), set), (command.into(), expect.into())]);
        }
    }
    let in_any = [
        ("cat /proc/self/cgroup", "the cgroup that the experiment has made"),
        ("cat $CGROUP/cgroup.procs", "the PIDs of its members, this shell's among them"),
        (
            "mkdir $CGROUP/child; ls $CGROUP/child; rmdir $CGROUP/child",
            "mkdir() makes a cgroup, and its files",
        ),
    ];
    tries.extend(in_any.map(|(command, expect)| (command.into(), expect.into())));
    tries
}

/// Sees to it that /proc is that of this process's PID namespace: if it is not, mounts one, in a mount namespace that
/// nobody else is in.
fn own_proc() -> ns_core::Result<()> {
    let shown = fs::read_link("/proc/self").unwrap_or_default();
    if shown == Path::new(&getpid().to_string()) {
        return Ok(());
    }
    namespace::unshare(Namespaces::MNT)?;
    mount::make_private()?;
    mount::mount("proc", Path::new("/proc"))
}

/// In the child that is in the namespaces: takes the terminal, shows the card, and becomes a shell.
fn become_shell(prompt: &str, card: &str, cgroup: Option<&PathBuf>) -> ns_core::Result<()> {
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).named(|| "setpgid(0, 0)".into())?;
    // All signals are blocked, SIGTTOU among them, or this would stop us.
    tcsetpgrp(io::stdin(), getpgrp()).named(|| "tcsetpgrp(0)".into())?;
    // What cannot be shown is no reason not to be here.
    let _ = io::stdout().write_all(card.as_bytes()).and_then(|()| io::stdout().flush());
    signals::reset_ignored()?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).named(|| "sigprocmask()".into())?;
    let mut tried = None;
    for shell in [std::env::var_os("SHELL").map(PathBuf::from), Some("/bin/sh".into())].into_iter().flatten()
    {
        let name = shell.file_name().unwrap_or_default().to_string_lossy();
        let mut command = Command::new(&shell);
        match name.as_ref() {
            // Without what would set another prompt.
            "bash" => command.args(["--norc", "--noprofile", "-i"]),
            "zsh" => command.args(["-f", "-i"]),
            _ => command.arg("-i"),
        };
        command.envs(cgroup.map(|directory| (CGROUP, directory)));
        // Nothing that is typed there stands in anybody's history.
        command.env("PS1", format!("[{prompt}] $ ")).env_remove("HISTFILE").env("LESSHISTFILE", "-");
        let error = command.exec();
        tried = Some((shell, error));
    }
    let (shell, error) = tried.unwrap_or_else(|| ("sh".into(), Errno::ENOENT.into()));
    Err(Errno::from_raw(error.raw_os_error().unwrap_or_default())).named(|| format!("execve({shell:?})"))
}
