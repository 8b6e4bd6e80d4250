//! The command: look, run, look again.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lesson::Help;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use observation::printable;

use super::self_test;
use crate::console::Console;
use crate::own_box;
use residue::{Machine, Named, SETTLE, Token, VARIABLE};

pub(crate) const HELP: Help = Help {
    name: "scripts/audit",
    about: "what a command leaves behind",
    examples: &[
        ("scripts/audit -- target/debug/cgroup-mk", "an experiment"),
        ("scripts/audit -- demos/11-pid-ns-init.sh", "a walkthrough"),
        ("scripts/audit -- sh -c 'setsid sleep 9 &'", "this one leaves its sleep"),
        ("scripts/audit --self-test", "are ten things that are left on purpose found?"),
    ],
    after: "Looked for are processes; mounts in every mount namespace; cgroups in every\n\
hierarchy; links, addresses, routes and nftables; pins of namespaces. So are\n\
IPC, keys, temporary and core files, settings of /proc/sys, hostname, terminal.\n\
\n\
What others do does not count. A process is the command's by a token in its\n\
environment, INCEPTION_AUDIT, or because its orphans become our children. A cgroup\n\
is by its name, which has that token, or that of an owner who is gone. For root, the\n\
command runs in mount, UTS, IPC and network namespaces that nobody else is in.\n\
With --host, and for ordinary users, it runs on the host, where a mount or a link\n\
may be another's.\n\
\n\
Exit status: the command's if nothing is left; 1 something is, 2 misused.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct Audit {
    /// Run the command in the namespaces that we are in
    #[arg(long)]
    host: bool,

    /// Nobody else works on this machine: every new cgroup that nobody is in counts
    #[arg(long)]
    alone: bool,

    /// How long what is left may take to go
    #[arg(long, value_name = "SECONDS", default_value_t = SETTLE.as_secs())]
    settle: u64,

    /// Leave things on purpose, and look whether they are found
    #[arg(long, conflicts_with = "command")]
    self_test: bool,

    #[arg(long, hide = true)]
    inside: bool,

    /// What to run
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<OsString>,
}

impl Audit {
    pub(crate) fn run(&self, console: &mut Console<'_>) -> Result<u8> {
        if self.self_test {
            if !geteuid().is_root() {
                console.say("skip: needs root, who alone can leave most of it")?;
                return Ok(77);
            }
            return self_test::run(console);
        }
        ensure!(!self.command.is_empty(), "which command? try --help");
        if self.inside {
            own_box::furnish()?;
        } else if geteuid().is_root() && !self.host {
            return own_box::enter();
        }
        self.audit(console)
    }

    /// Looks, runs the command, and looks again until nothing is left or the time is over.
    fn audit(&self, console: &mut Console<'_>) -> Result<u8> {
        residue::adopt()?;
        // So that what dumps core is found by its file.
        let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
        setrlimit(Resource::RLIMIT_CORE, hard, hard)?;
        let cwd = std::env::current_dir().context("getcwd()")?;
        let token = Token::new()?;
        let temporary =
            tempfile::Builder::new().prefix("audit-").tempdir().context("a temporary directory")?;
        // As /tmp is, whoever the command becomes.
        open_to_all(temporary.path())?;
        let since = residue::started_now().context("/proc/uptime cannot be read")?;
        let before = Machine::look(&cwd);
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).env(VARIABLE, &token.0).env("TMPDIR", temporary.path());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {}", printable(&self.command[0].to_string_lossy())))?;
        let status = residue::wait_as_init(&mut child)?;
        let (left, _) = residue::settled(Duration::from_secs(self.settle), || {
            let mut left: Vec<String> = residue::of_run(&token, &[])
                .iter()
                .map(|it| format!("process {}: {}", it.pid, it.name))
                .collect();
            left.extend(files(temporary.path()));
            left.extend(Machine::look(&cwd).changed_since(&before, since, &token, self.alone));
            left
        });
        clear_away(&token, since);
        for line in &left {
            console.say(printable(line))?;
        }
        if left.is_empty() {
            return status_of(status);
        }
        console.complain(format_args!("left behind: {}", left.len()));
        Ok(1)
    }
}

/// What stands in the command's own temporary directory, a line each.
fn files(temporary: &Path) -> Vec<String> {
    let entries = fs::read_dir(temporary).into_iter().flatten().flatten();
    entries.map(|entry| format!("temporary file {}", entry.file_name().to_string_lossy())).collect()
}

fn open_to_all(directory: &Path) -> Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o1777)).context("chmod()")
}

/// What is the command's by its token or its name is removed, so that the next audit does not find it.
fn clear_away(token: &Token, since: u64) {
    for process in residue::of_run(token, &[]) {
        let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
    Named::abandoned(&[], since).iter().for_each(Named::remove);
}

/// As a shell has it.
fn status_of(status: ExitStatus) -> Result<u8> {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    Ok(u8::try_from(code.context("no exit status")?).unwrap_or(u8::MAX))
}
