//! A child that becomes this program afresh, to see what execve(2) changes.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use nix::sys::signal::Signal;

use super::Reporter;
use super::life::live;
use crate::deadline::{take_all_day, takes_all_day};
use crate::error::{Named, Result};
use crate::sys;
use crate::tether::{self, ParentOnlyFd};

/// The argument that hands on [`take_all_day`].
const ALL_DAY: &str = "all day";

impl Reporter {
    /// Becomes this program afresh, by execve(2), and goes on in its `main` at [`after_exec`] of the same `role`. The
    /// pipe and the checkpoint become standard output and standard input, which survive. For a child that dies with its
    /// parent, as all do that are not told otherwise. A root that has dropped capabilities gets them back, and the kernel
    /// then forgets the signal by which it dies: it needs no_new_privs before, or it is not recognised afterwards.
    ///
    /// # Errors
    /// Those of execve(2). Otherwise it does not return.
    pub fn exec_again(&mut self, role: &str) -> Result<Infallible> {
        nix::unistd::dup2_stdin(&*self.checkpoint).named(|| "dup2(checkpoint, 0)".into())?;
        nix::unistd::dup2_stdout(&self.reports).named(|| "dup2(pipe, 1)".into())?;
        let all_day = if takes_all_day() { ALL_DAY } else { "" };
        let mut arguments = Vec::new();
        for text in [self.label.as_str(), role, all_day] {
            arguments.push(sys::c_string(text)?);
        }
        nix::unistd::execv(c"/proc/self/exe", &arguments)
            .named(|| format!("execve(\"/proc/self/exe\", {role})"))
    }
}

/// To be called first in `main`. If this process is a child that has become this program by [`Reporter::exec_again`] in
/// this `role`, runs `body` and ends as a child does; otherwise returns.
///
/// Such a process takes the namespaces that it finds itself in for the host's, so that [`crate::host`] refuses more.
pub fn after_exec(role: &str, body: impl FnOnce(&mut Reporter) -> Result<()>) {
    let mut arguments = std::env::args_os();
    let label = arguments.next().unwrap_or_default().to_string_lossy().into_owned();
    // PR_SET_PDEATHSIG outlives an execve(2) that gives no capability (prctl(2)). Whoever types the role by hand has none set, and gets the usual `main`.
    let armed = nix::sys::prctl::get_pdeathsig() == Ok(Some(Signal::SIGKILL));
    if !armed || arguments.next().is_none_or(|argument| argument != role) {
        return;
    }
    if arguments.next().is_some_and(|argument| argument == ALL_DAY) {
        take_all_day();
    }
    let own = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map(ParentOnlyFd::new);
    let (Ok(checkpoint), Ok(reports)) = (own(std::io::stdin().as_fd()), own(std::io::stdout().as_fd()))
    else {
        sys::exit_now(1)
    };
    let life = |me: &mut Reporter| {
        tether::die_with_parent(&me.checkpoint)?;
        body(me)
    };
    live(Reporter { label, reports, checkpoint: Rc::new(checkpoint) }, Box::new(life))
}
