//! A filter, and the caller behind it.

use std::fmt;

use libc::sock_filter;

use super::program::{Action, Rule, program};
use super::supervisor::Listener;
use crate::error::{Error, Named, Result};
use crate::sys;

/// Rules, and what happens to a call that one of them names. Any other call is let through.
///
/// It is inherited by all children and kept over execve(2), and nothing takes it off. Of several the strictest answer
/// counts.
#[derive(Clone)]
pub struct Filter {
    program: Vec<sock_filter>,
}

impl Filter {
    /// `action` for every call that one of `rules` names.
    ///
    /// # Errors
    /// [`Error::Input`] on an architecture whose number is not known here.
    pub fn new(rules: &[Rule], action: Action) -> Result<Filter> {
        Filter::of(&rules.iter().map(|rule| (*rule, action)).collect::<Vec<_>>())
    }

    /// For every call that rules name, the action of the first of them.
    ///
    /// # Errors
    /// As [`Filter::new`].
    pub fn of(rules: &[(Rule, Action)]) -> Result<Filter> {
        let program = program(rules)
            .ok_or_else(|| Error::Input(format!("no seccomp filters for {}", std::env::consts::ARCH)))?;
        Ok(Filter { program })
    }

    /// Puts the caller behind it.
    ///
    /// # Errors
    /// EACCES without no_new_privs and without CAP_SYS_ADMIN; EINVAL where the kernel was built without seccomp.
    pub fn install(&self) -> Result<()> {
        sys::set_filter(&self.program, false).named(|| "seccomp(SECCOMP_SET_MODE_FILTER)".into()).map(drop)
    }

    /// Puts the caller behind it, and gives what a supervisor needs to answer the calls of [`Action::Ask`]. They wait.
    ///
    /// # Errors
    /// As [`Filter::install`]; EBUSY where a filter of the caller has a listener already.
    pub fn install_with_listener(&self) -> Result<Listener> {
        let call = || "seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER)".to_string();
        let listener = sys::set_filter(&self.program, true).named(call)?;
        listener.map(Listener::from).ok_or_else(|| Error::Input(format!("{}: no descriptor", call())))
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({} instructions)", self.program.len())
    }
}

/// Strict mode: from here on the caller may read(2), write(2), return from signal handlers, and end by
/// [`exit_thread`]. Any other call kills it.
///
/// # Errors
/// EINVAL where the kernel was built without seccomp, or the caller is behind a filter.
pub fn restrict_to_strict_mode() -> Result<()> {
    sys::set_strict_mode().named(|| "seccomp(SECCOMP_SET_MODE_STRICT)".into())
}

/// Ends a process with one thread as strict mode allows it, by exit(2): _exit(3) makes another call.
pub fn exit_thread(status: i32) -> ! {
    sys::exit_thread(status)
}
