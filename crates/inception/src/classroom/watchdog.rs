//! Puts a terminal's settings back when the driver cannot: after SIGKILL.
//!
//! A second process, in a process group of its own, so that what kills our group spares it. It gets a message before
//! each change, and learns of our end as the end of the pipe. A shell that started us may by then have the terminal,
//! and settings of its own on it: the watchdog touches only what is still as we have left it.

use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::termios::{
    ControlFlags, InputFlags, LocalFlags, OutputFlags, SetArg, Termios, tcgetattr, tcsetattr,
};
use serde::{Deserialize, Serialize};

/// The argument that makes this program the watchdog. Nobody types it: there are blanks in it.
const ROLE: &str = "watch over the terminal";

/// What became of the terminal.
#[derive(Debug, Serialize, Deserialize)]
enum State {
    /// It is as we found it.
    AsFound,
    /// It gives keys one by one.
    Keys { before: Settings, ours: Settings },
}

/// A terminal's settings, but for its speed: termios(3).
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Settings {
    input: u32,
    output: u32,
    control: u32,
    local: u32,
    characters: Vec<u8>,
}

impl Settings {
    fn of(termios: &Termios) -> Settings {
        Settings {
            input: termios.input_flags.bits(),
            output: termios.output_flags.bits(),
            control: termios.control_flags.bits(),
            local: termios.local_flags.bits(),
            characters: termios.control_chars.to_vec(),
        }
    }

    fn put_back(&self) -> nix::Result<()> {
        let mut termios = tcgetattr(io::stdout())?;
        termios.input_flags = InputFlags::from_bits_retain(self.input);
        termios.output_flags = OutputFlags::from_bits_retain(self.output);
        termios.control_flags = ControlFlags::from_bits_retain(self.control);
        termios.local_flags = LocalFlags::from_bits_retain(self.local);
        for (own, given) in termios.control_chars.iter_mut().zip(&self.characters) {
            *own = *given;
        }
        tcsetattr(io::stdout(), SetArg::TCSANOW, &termios)
    }
}

/// The watchdog, as the driver has it. It ends with us.
#[derive(Debug)]
pub(super) struct Watchdog {
    process: Child,
    tell: Option<ChildStdin>,
}

impl Watchdog {
    /// Starts it, with standard output as the terminal.
    ///
    /// # Errors
    /// Those of fork(2) and execve(2).
    pub(super) fn start() -> Result<Watchdog> {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("inception").arg(ROLE).process_group(0).current_dir("/");
        let started = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut process = started.context("cannot start what watches over the terminal")?;
        let tell = process.stdin.take();
        Ok(Watchdog { process, tell })
    }

    /// To be called before the terminal gives keys: its settings are `before`, and will be `ours`.
    pub(super) fn keys(&mut self, before: &Termios, ours: &Termios) {
        self.say(&State::Keys { before: Settings::of(before), ours: Settings::of(ours) });
    }

    /// To be called after the terminal is as it was found.
    pub(super) fn as_found(&mut self) {
        self.say(&State::AsFound);
    }

    /// A watchdog that was killed cannot be told. Then what it is for is left to whoever killed it.
    fn say(&mut self, state: &State) {
        if let (Some(tell), Ok(mut line)) = (&mut self.tell, serde_json::to_vec(state)) {
            line.push(b'\n');
            let _ = tell.write_all(&line);
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.tell = None;
        let _ = self.process.wait();
    }
}

/// To be called first in `main`: the exit status, if this process is the watchdog.
pub(crate) fn as_the_watchdog() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|argument| argument != ROLE) {
        return None;
    }
    Some(if watch().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn watch() -> Result<()> {
    // Also SIGTTOU, which would stop who changes a terminal from the background.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).context("sigprocmask()")?;
    let _ = nix::sys::prctl::set_name(c"terminal");
    let mut last = State::AsFound;
    for line in io::stdin().lock().lines() {
        last = serde_json::from_str(&line?)?;
    }
    match last {
        State::AsFound => {}
        State::Keys { before, ours } => {
            if Settings::of(&tcgetattr(io::stdout())?) == ours {
                before.put_back()?;
            }
        }
    }
    Ok(())
}
