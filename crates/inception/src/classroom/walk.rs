//! A walkthrough at the reader's pace.
//!
//! It is a script (demos/stage.sh). Before each command it writes to a pipe what comes: what it said and the command, each
//! ended by NUL. It goes on when a line comes on its standard input, and where that ends it cleans up and exits with 130.
//! So it has the terminal to write to, and the keys are ours.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lesson::render::wrap;
use lesson::status;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::{Pid, dup2_stdin, getpid, pipe2};
use ns_core::child::become_program;
use ns_core::{Child, ExitStatus, Named, Namespaces, printable, process, signals};
use pages::write_now;

use super::keys;
use super::room::Next;
use super::terminal::{Pressed, Terminal, die_of};
use crate::demos::Demo;
use crate::program;

const KEYS: [(&str, &str); 4] = [
    ("Enter", "run the command that is shown last"),
    ("b", "read the command before again, which is not run again; once more, the one before that"),
    ("q", "quit: nothing more is run, and all is cleaned up"),
    ("?", "this list"),
];
/// As wide as the scripts set their text.
const WIDTH: usize = 78;
/// What would end us while a walkthrough runs, and what says that a process of it has ended.
const WATCHED: [Signal; 5] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGCHLD];

/// A demo and the script of its walkthrough.
pub(crate) type Walkthrough = (&'static Demo, PathBuf);

/// Runs the scripts one after another until one is left; `paced`, with a key before each command and between two of
/// them. The programs beside this one come first on their PATH. The exit status is the worst of theirs.
///
/// # Errors
/// When there is no terminal though one is needed, or a script cannot be started or is killed.
pub(crate) fn walk(walkthroughs: &[Walkthrough], paced: bool) -> Result<u8> {
    let mut terminal = paced
        .then(|| Terminal::open("a walkthrough with pauses", "; --no-pause goes through without"))
        .transpose()?;
    let mut statuses = Vec::new();
    for (demo, script) in walkthroughs {
        if let (Some(terminal), false) = (&mut terminal, statuses.is_empty()) {
            match between(terminal, demo)? {
                Next::Ended(signal) => return Err(die_of(signal)),
                Next::Left => return Ok(status::LEFT),
                _ => say("\n")?,
            }
        }
        let status = one(script, terminal.as_mut())?;
        statuses.push(status);
        if status == status::LEFT {
            break;
        }
    }
    Ok(status::worst(&statuses))
}

/// The pause before another walkthrough.
fn between(terminal: &mut Terminal, demo: &Demo) -> Result<Next> {
    let prompt = format!("Next: {}. Enter go on  q quit: ", demo.title());
    loop {
        let pressed = terminal.key(|| say(&prompt), None)?;
        say(&format!("{}\n", keys::echo(pressed)))?;
        match pressed {
            Pressed::Key('\n') => return Ok(Next::On),
            Pressed::Key('q') | Pressed::Interrupt => return Ok(Next::Left),
            Pressed::Ended(signal) => return Ok(Next::Ended(signal)),
            _ => say(&format!("{}\n", keys::unknown("Enter or q")))?,
        }
    }
}

/// Runs one script. Whatever it leaves behind, also when it is killed, is ended.
fn one(script: &Path, terminal: Option<&mut Terminal>) -> Result<u8> {
    let others = process::children(getpid()).unwrap_or_default();
    // What it leaves behind becomes ours.
    set_child_subreaper(true).context("prctl(PR_SET_CHILD_SUBREAPER)")?;
    let ended = Running::start(script, terminal.is_some()).and_then(|running| {
        signals::block(&WATCHED)?;
        let ended = running.attend(terminal, &others);
        signals::unblock(&WATCHED)?;
        ended
    });
    let cleaned = ns_core::until("what the walkthrough left behind to end", || {
        let mut left = process::children(getpid())?;
        left.retain(|pid| !others.contains(pid));
        for pid in &left {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        reap(&others, None);
        Ok(left.is_empty().then_some(()))
    });
    let _ = set_child_subreaper(false);
    let ended = ended?;
    cleaned?;
    match ended {
        (_, Some(signal)) => Err(die_of(signal)),
        (ExitStatus::Exited(status), None) => Ok(u8::try_from(status).unwrap_or(status::BROKEN)),
        (killed, None) => bail!("{}: {killed}", script.display()),
    }
}

/// Takes the orphans that have ended out of the kernel's list, but for `others` and the script, whose ends are looked for
/// elsewhere.
fn reap(others: &[Pid], script: Option<Pid>) {
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Some(pid) = waitid(Id::All, peek).ok().and_then(|ended| ended.pid()) {
        if others.contains(&pid) || script == Some(pid) || waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_err() {
            return;
        }
    }
}

/// A script that runs.
struct Running {
    child: Child,
    /// What it is about to do; `None` when it has closed the pipe.
    said: Option<BufReader<File>>,
    /// Lets it do that; `None` when it is to leave.
    go: Option<OwnedFd>,
    /// What it was about to do so far.
    shown: Vec<Shown>,
}

/// What a script shows before it waits.
struct Shown {
    text: String,
    command: String,
}

impl Running {
    fn start(script: &Path, paced: bool) -> Result<Running> {
        let (hear_go, go) = pipe2(OFlag::O_CLOEXEC).context("pipe()")?;
        let (said, tell) = pipe2(OFlag::O_CLOEXEC).context("pipe()")?;
        let path = std::env::join_paths(program::beside().into_iter().chain(program::folders_on_path()));
        let mut assignment = OsString::from("PATH=");
        assignment.push(path.context("the path of this program has a colon")?);
        let mut words: Vec<OsString> = vec!["env".into(), assignment, script.into()];
        if paced {
            words.extend(["--paced".into(), tell.as_raw_fd().to_string().into()]);
        }
        let child = Child::spawn("the walkthrough", Namespaces::NONE, |_| {
            // A script that gets SIGTERM cleans up, where one that is killed could not.
            set_pdeathsig(Signal::SIGTERM).named(|| "prctl(PR_SET_PDEATHSIG, SIGTERM)".into())?;
            dup2_stdin(&hear_go).named(|| "dup2(pipe, 0)".into())?;
            if paced {
                let kept = FcntlArg::F_SETFD(FdFlag::empty());
                fcntl(&tell, kept).named(|| "fcntl(F_SETFD, 0)".into())?;
            }
            become_program(Path::new("/usr/bin/env"), words).map(drop)
        })?;
        let said = paced.then(|| BufReader::new(said.into()));
        // Where nobody paces it, nothing comes on its standard input.
        let go = paced.then_some(go);
        Ok(Running { child, said, go, shown: Vec::new() })
    }

    /// Sees it through to its end, with `WATCHED` blocked. Gives how it ended, and the signal that is to end us too.
    fn attend(
        mut self,
        mut terminal: Option<&mut Terminal>,
        others: &[Pid],
    ) -> Result<(ExitStatus, Option<Signal>)> {
        let endings = signals::Waiting::among(&WATCHED)?;
        let mut ending = None;
        loop {
            let said = self.said.as_ref().map(|said| said.get_ref().as_fd());
            let watched = [Some(self.child.pidfd()), Some(endings.as_fd()), said];
            let mut fds: Vec<_> =
                watched.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            ns_core::poll_until(&mut fds, None)?;
            let ready = |at: usize| fds.get(at).is_some_and(|fd| fd.any().unwrap_or(false));
            let (over, signal, said) = (ready(0), ready(1), ready(2));
            let next = if signal {
                match endings.take()? {
                    // Whose end the script waits for may be an orphan of ours.
                    Some(Signal::SIGCHLD) => {
                        reap(others, Some(self.child.pid()));
                        continue;
                    }
                    Some(signal @ (Signal::SIGHUP | Signal::SIGTERM)) => Next::Ended(signal),
                    // Ctrl-C, which came to the script as well.
                    _ => Next::Left,
                }
            } else if over {
                // What could not be started has reported that down a pipe of its own.
                self.child.recv()?;
                return Ok((self.child.wait()?, ending));
            } else if let (true, Some(terminal)) = (said, &mut terminal) {
                self.hear(terminal)?
            } else {
                continue;
            };
            match next {
                Next::On => self.go_on(),
                Next::Ended(signal) => {
                    ending = Some(signal);
                    self.go = None;
                    self.child.signal(Signal::SIGTERM)?;
                }
                _ => self.go = None,
            }
        }
    }

    /// Takes what it is about to do, and asks the reader.
    fn hear(&mut self, terminal: &mut Terminal) -> Result<Next> {
        let (Some(text), Some(command)) = (self.string()?, self.string()?) else {
            self.said = None;
            return Ok(Next::Left);
        };
        self.shown.push(Shown { text, command });
        self.pause(terminal)
    }

    /// The next string that it says; `None` at the end.
    fn string(&mut self) -> Result<Option<String>> {
        let Some(said) = &mut self.said else { return Ok(None) };
        let mut bytes = Vec::new();
        said.read_until(0, &mut bytes).context("cannot read what the walkthrough says")?;
        Ok((bytes.pop() == Some(0)).then(|| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Waits, before the command that was shown last is run, for what is wanted.
    fn pause(&self, terminal: &mut Terminal) -> Result<Next> {
        let last = self.shown.len();
        let mut reread = last;
        let prompt = format!("[{last}] Enter run it  b back  q quit  ? help: ");
        loop {
            let pressed = terminal.key(|| say(&prompt), Some(self.child.pidfd()))?;
            say(&format!("{}\n", keys::echo(pressed)))?;
            match pressed {
                Pressed::Key('\n') => return Ok(Next::On),
                Pressed::Key('b') if reread > 1 => {
                    reread -= 1;
                    let (before, now) = (&self.shown[reread - 1], &self.shown[last - 1]);
                    say(&format!("\nBefore, at [{reread}]:\n\n{before}\nNow:\n\n{}", now.typed()))?;
                }
                Pressed::Key('b') => {
                    say("There is no command before.\n")?;
                    reread = last;
                }
                Pressed::Key('q') | Pressed::Interrupt => return Ok(Next::Left),
                Pressed::Key('?') => say(&keys::list(&KEYS, WIDTH))?,
                Pressed::Key(_) | Pressed::Unknown => {
                    say(&format!("{}\n", keys::unknown("Enter, b, q or ?")))?;
                }
                Pressed::Ended(signal) => return Ok(Next::Ended(signal)),
                Pressed::Gone => return Ok(Next::Left),
            }
        }
    }

    fn go_on(&self) {
        if let Some(go) = &self.go {
            // Whether it has gone shows in its end.
            let _ = nix::unistd::write(go, b"\n");
        }
    }
}

impl Shown {
    /// The command at a prompt, as the script shows it.
    fn typed(&self) -> String {
        format!("$ {}\n", self.command.trim_end().lines().map(printable).collect::<Vec<_>>().join("\n> "))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for paragraph in self.text.split("\n\n").filter(|it| !it.trim().is_empty()) {
            writeln!(f, "{}", wrap(&paragraph.replace('\n', " "), WIDTH, "", ""))?;
        }
        f.write_str(&self.typed())
    }
}

fn say(text: &str) -> Result<()> {
    write_now(text.as_bytes())
}
