//! What is opened: a command, or a shell for a person.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use ns_core::{Errno, error::AsErrno, signals};

use crate::mark::Mark;
use crate::terminal;

/// The command was found, and cannot be run (as in any shell).
const NOT_RUNNABLE: i32 = 126;
/// The command was not found.
const NOT_FOUND: i32 = 127;

/// What is opened.
#[derive(Debug, Clone)]
pub struct Program {
    /// Who says what cannot be run.
    pub of: String,
    /// The command and its arguments. Without one it is the user's shell, which gets the terminal.
    pub command: Vec<OsString>,
    /// What the shell's prompt begins with.
    pub prompt: String,
    /// What stands above the first prompt.
    pub card: String,
    /// Variables of its environment.
    pub variables: Vec<(String, OsString)>,
}

impl Program {
    /// Whether it is a shell for a person.
    pub fn is_a_shell(&self) -> bool {
        self.command.is_empty()
    }

    /// Becomes it: the last thing that its process does for us. What cannot be run ends it with one line.
    ///
    /// # Errors
    /// Where the terminal cannot be taken.
    pub(crate) fn become_it(&self, mark: &Mark) -> ns_core::Result<Infallible> {
        if self.is_a_shell() {
            terminal::take()?;
            // What cannot be shown is no reason not to be here.
            let _ = io::stdout().write_all(self.card.as_bytes()).and_then(|()| io::stdout().flush());
        }
        signals::reset_ignored()?;
        signals::unblock_all()?;
        let (mut program, mut errno) = (OsString::new(), Errno::ENOENT);
        for mut command in self.candidates() {
            let (variable, value) = mark.variable();
            errno = command.env(variable, value).envs(self.variables.iter().cloned()).exec().as_errno();
            program = command.get_program().to_owned();
        }
        // Of a directory of PATH that may not be searched, the kernel says the same as of a program that may not be executed.
        if errno == Errno::EACCES && !is_there(&program) {
            errno = Errno::ENOENT;
        }
        let status = if errno == Errno::ENOENT { NOT_FOUND } else { NOT_RUNNABLE };
        let line = ns_core::printable(&format!("{}: {}", self.of, why(&program, errno)));
        let _ = writeln!(io::stderr(), "{line}");
        std::process::exit(status)
    }

    /// The command; or the user's shell, and then one that every machine has.
    fn candidates(&self) -> Vec<Command> {
        if let Some((name, arguments)) = self.command.split_first() {
            let mut command = Command::new(name);
            command.args(arguments);
            return vec![command];
        }
        let own = std::env::var_os("SHELL").map(PathBuf::from).filter(|shell| shell.is_absolute());
        own.into_iter().chain(["/bin/sh".into()]).map(|shell| self.shell(&shell)).collect()
    }

    /// A shell without what would set another prompt. Nothing that is typed there stands in anybody's history.
    fn shell(&self, shell: &Path) -> Command {
        let mut command = Command::new(shell);
        match shell.file_name().and_then(OsStr::to_str) {
            Some("bash") => command.args(["--norc", "--noprofile", "-i"]),
            Some("zsh") => command.args(["-f", "-i"]),
            _ => command.arg("-i"),
        };
        command.env("PS1", format!("[{}] $ ", self.prompt)).env_remove("HISTFILE").env("LESSHISTFILE", "-");
        command
    }
}

/// Whether a program is anywhere, as far as one may look.
fn is_there(program: &OsStr) -> bool {
    let path = Path::new(program);
    let search = std::env::var_os("PATH").unwrap_or_default();
    path.components().count() > 1
        || path.is_absolute()
        || std::env::split_paths(&search).any(|it| it.join(path).exists())
}

fn why(program: &OsStr, errno: Errno) -> String {
    let name = program.to_string_lossy();
    match errno {
        Errno::ENOENT if name.contains('/') => format!("{name}: not found there; give the path of a program"),
        Errno::ENOENT => format!("{name}: not found in PATH; install it, or give its path"),
        Errno::EACCES => format!("{name}: may not be executed; chmod +x it, or give another program"),
        Errno::ENOEXEC => format!("{name}: is no program: it begins neither with an ELF header nor with #!"),
        errno => format!("execve(\"{name}\"): {}", ns_core::in_words(errno)),
    }
}
