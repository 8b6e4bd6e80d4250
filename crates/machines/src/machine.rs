//! What a machine is, and how a process comes to be on it.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use ns_core::{Error, Kind, Named, Result};

use crate::prepare;

/// The first argument of the test program by which it knows that it is to become an experiment on a machine.
pub const BECOME: &str = "--become";

/// A machine that answers otherwise than a plain one.
pub struct Machine {
    /// What it is called.
    pub name: String,
    /// How it is made.
    pub how: String,
    /// Whether only root can make it.
    pub needs_root: bool,
    /// The check of `inception doctor` that names the cause, and a word of what it finds; `None` for a plain machine.
    pub named_by: Option<(String, String)>,
    /// Whether a program can give privilege there.
    pub(crate) sudo_works: bool,
    /// The kind of namespace whose files are hidden there, by whoever runs a program on it.
    pub(crate) hides: Option<Kind>,
    /// Whether the program is the first process of a PID namespace there.
    pub(crate) begins_a_pid_namespace: bool,
    pub(crate) prepare: Box<dyn Fn() -> Result<()>>,
}

impl Machine {
    /// The same, of which `inception doctor` says by its check `check` what is the matter; `word` is in that.
    pub(crate) fn named_by(self, check: impl Into<String>, word: impl Into<String>) -> Machine {
        Machine { named_by: Some((check.into(), word.into())), ..self }
    }

    /// The same, where the files of a kind of namespace are hidden, too.
    pub(crate) fn hides(self, kind: Kind) -> Machine {
        Machine { hides: Some(kind), ..self }
    }

    /// The same, where the program is the first process of a PID namespace.
    pub(crate) fn with_pid_1(self) -> Machine {
        Machine { begins_a_pid_namespace: true, ..self }
    }

    /// The same, where no_new_privs is set.
    pub(crate) fn without_sudo(self) -> Machine {
        Machine { sudo_works: false, ..self }
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.how)
    }
}

/// Puts this process on the machine called `name`, and becomes `program`.
///
/// # Errors
/// Whatever keeps the machine from being made, and those of execve(2). Otherwise it does not return, and this process ends
/// as `program` does.
pub fn become_machine(machines: &[Machine], name: &str, program: &[OsString]) -> Result<Infallible> {
    let machine = machines.iter().find(|machine| machine.name == name);
    let machine = machine.ok_or_else(|| Error::Input(format!("no machine is called {name}")))?;
    (machine.prepare)()?;
    let [program, arguments @ ..] = program else { return Err(Error::Input("which program?".into())) };
    let mut command = Command::new(program);
    command.args(arguments);
    if machine.begins_a_pid_namespace {
        return prepare::begin_a_pid_namespace(|| command.exec());
    }
    Err(command.exec()).named(|| format!("execve({program:?})"))
}
