//! A shell on a pseudo-terminal, into which is typed as a person does: the next line once the shell asks for it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

/// Begins every prompt: no command that is typed has it in it, and no echo.
const PROMPT: &str = "\u{1e}$ ";
/// A program that keeps the terminal and has rested for so long waits for something, and the next line can be typed.
const REST: Duration = Duration::from_millis(250);
/// A program that keeps the terminal and never rests is left to run after this time.
const BUSY: Duration = Duration::from_secs(10);

/// A shell, and our end of its terminal.
pub(super) struct Terminal {
    master: File,
    shell: Child,
    printed: Vec<u8>,
    is_open: bool,
}

/// What came of a line.
pub(super) enum Typed {
    /// The shell asks for the next, or has ended.
    Done,
    /// It has not come back so far.
    Waiting(Wait),
}

/// A line that was typed, and whose end is waited for.
pub(super) struct Wait {
    prompts: usize,
    since: Instant,
    resting_since: Option<Instant>,
}

impl Terminal {
    /// Opens one with a `bash` in it, and waits for its first prompt in [`Terminal::follow`]. The shell has nothing but
    /// `environment`, and begins in `directory`.
    ///
    /// # Errors
    /// When there is no pseudo-terminal (pty(7)), or no bash.
    pub(super) fn open(directory: &Path, environment: &[(String, String)]) -> Result<(Terminal, Wait)> {
        let what = || "openpt(): no pseudo-terminal; mount devpts on /dev/pts";
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).with_context(what)?;
        grantpt(&master).and_then(|()| unlockpt(&master)).with_context(what)?;
        let name = ptsname(&master, Vec::new()).with_context(what)?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = open(name.as_c_str(), flags, Mode::empty()).with_context(what)?;
        tcsetwinsize(&slave, Winsize { ws_row: 24, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 })?;
        // At Ctrl-C the kernel sends the signal, and then discards what was written meanwhile: a prompt would be lost.
        let mut settings = tcgetattr(&slave)?;
        settings.local_modes.insert(LocalModes::NOFLSH);
        tcsetattr(&slave, OptionalActions::Now, &settings)?;
        fcntl_setfl(&master, OFlags::NONBLOCK)?;
        // setsid(1) makes it the controlling terminal, which job control and hang-ups need.
        // env(1) sets signals back that we ignore, as a job in the background of a script does: no key would end a program.
        let mut command = Command::new("setsid");
        command.args([
            "--ctty",
            "env",
            "--default-signal",
            "bash",
            "--norc",
            "--noprofile",
            "--noediting",
            "-i",
        ]);
        command.current_dir(directory);
        command.env_clear().envs(environment.iter().cloned());
        // A shell that reads start-up files sets a prompt of its own; this has the last word in each bash.
        command
            .env("LINT_PROMPT", PROMPT)
            .env("PROMPT_COMMAND", "PS1=$LINT_PROMPT")
            .env("PS1", PROMPT)
            .env("PS2", PROMPT);
        command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
        let shell = command.spawn().context("setsid bash: apt-get install util-linux bash")?;
        let terminal = Terminal { master: master.into(), shell, printed: Vec::new(), is_open: true };
        let wait = Wait { prompts: 0, since: Instant::now(), resting_since: None };
        Ok((terminal, wait))
    }

    /// What is readable when it has printed something.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    /// Whether its shell is there.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// What it has printed so far.
    pub(super) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.printed).replace('\u{1e}', "")
    }

    /// Types a line. `^C` and the like are that key alone.
    ///
    /// # Errors
    /// Those of write(2).
    pub(super) fn type_line(&mut self, line: &str) -> Result<Wait> {
        let prompts = self.prompts();
        let keys = match line.as_bytes() {
            // As in ascii(7): a key with Ctrl is its letter without the upper bits.
            [b'^', key] if key.is_ascii_uppercase() => vec![key & 0x1f],
            _ => format!("{line}\n").into_bytes(),
        };
        match self.master.write_all(&keys) {
            Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => self.is_open = false,
            written => written.context("write() to a pseudo-terminal")?,
        }
        Ok(Wait { prompts, since: Instant::now(), resting_since: None })
    }

    /// Reads what it has printed.
    ///
    /// # Errors
    /// Those of read(2).
    pub(super) fn read(&mut self) -> Result<()> {
        let mut some = [0; 4096];
        loop {
            match self.master.read(&mut some) {
                Ok(0) => self.is_open = false,
                Ok(length) => self.printed.extend(&some[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The last process that had it open has ended.
                Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => self.is_open = false,
                Err(error) => return Err(error).context("read() from a pseudo-terminal"),
            }
            if !self.is_open {
                return Ok(());
            }
        }
    }

    /// Whether the line is done that `wait` is about.
    pub(super) fn follow(&self, mut wait: Wait) -> Typed {
        let is_done = !self.is_open || self.prompts() > wait.prompts || wait.since.elapsed() > BUSY;
        wait.resting_since = match self.rests() {
            true => wait.resting_since.or_else(|| Some(Instant::now())),
            false => None,
        };
        if is_done || wait.resting_since.is_some_and(|since| since.elapsed() > REST) {
            return Typed::Done;
        }
        Typed::Waiting(wait)
    }

    fn prompts(&self) -> usize {
        self.printed.iter().filter(|byte| **byte == PROMPT.as_bytes()[0]).count()
    }

    /// Whether all processes of the session sleep, are stopped, or are zombies. The process group in the foreground is not
    /// enough: before a program has the terminal, the shell waits for the process that is to become it.
    fn rests(&self) -> bool {
        let session = self.session();
        let states: Vec<char> =
            stats().filter(|stat| stat.session == session).map(|stat| stat.state).collect();
        !states.is_empty() && states.iter().all(|state| "STtZ".contains(*state))
    }

    /// Its ID is the shell's PID (setsid(2)).
    fn session(&self) -> i32 {
        i32::try_from(self.shell.id()).unwrap_or(0)
    }

    /// Hangs up, as who closes a terminal's window does, and waits for the shell. A shell that reads the end of its input
    /// before the signal comes does not pass it on to its jobs, so they get it here. What is in a session of its own may
    /// be left.
    pub(super) fn hang_up(mut self) {
        let session = self.session();
        drop(self.master);
        // An error says that it was waited for: the attempt was taken back, and the shell with it.
        let ended = ns_core::until("the shell to end", || {
            Ok(self.shell.try_wait().map_or(Some(()), |status| status.map(|_| ())))
        });
        if ended.is_err() {
            let _ = self.shell.kill();
            let _ = self.shell.wait();
        }
        for job in stats().filter(|stat| stat.session == session && stat.state != 'Z') {
            let _ = kill(Pid::from_raw(job.pid), Signal::SIGHUP);
        }
    }
}

/// What /proc/PID/stat says of a process.
struct Stat {
    pid: i32,
    state: char,
    session: i32,
}

/// Every process that is there (proc_pid_stat(5)).
fn stats() -> impl Iterator<Item = Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes =
        entries.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
    processes.filter_map(|entry| {
        let stat = fs::read(entry.path().join("stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat).into_owned();
        // The name in brackets may have anything in it.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?.chars().next()?;
        let session = fields.nth(2)?.parse().ok()?;
        let pid = entry.file_name().to_str()?.parse().ok()?;
        Some(Stat { pid, state, session })
    })
}
