//! Errors name the call as one would type it, with the kernel's answer.

use nix::errno::Errno;
use observation::{KernelAnswer, Refused, in_words};

use crate::unmet::Unmet;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong while doing or observing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The kernel refused a call.
    #[error("{call}: {}", in_words(*errno))]
    Call {
        /// The call with its arguments, as one would type it.
        call: String,
        /// The kernel's answer.
        errno: Errno,
    },
    /// A child could not set its part of the experiment up. This is never a refutation.
    #[error("{child}: {message}")]
    Broken {
        /// The child's label.
        child: String,
        /// What it reported before it gave up.
        message: String,
        /// The call that the kernel refused, if that was why.
        refused: Option<Refused>,
    },
    /// Nothing came within the deadline.
    #[error("{what}: nothing within {seconds} s")]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long, in seconds.
        seconds: u64,
    },
    /// A kernel file did not read as its manual page says.
    #[error("{what}: {message}")]
    Unreadable {
        /// The file or reply.
        what: String,
        /// What is wrong with it.
        message: String,
    },
    /// A caller's value that the kernel would refuse or, worse, accept.
    #[error("{0}")]
    Input(String),
    /// The call may only be made where nothing is lacking.
    #[error("lacking: {0}")]
    Unmet(Unmet),
    /// The call would have changed the host, so it was not made.
    #[error("{call}: refused, since this process is still in the {kind} namespace that it was started in")]
    WouldChangeHost {
        /// The call with its arguments.
        call: String,
        /// The kind of namespace that would have kept the change from the host.
        kind: observation::Kind,
    },
}

impl Error {
    /// The kernel's answer, if this error is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Error::Call { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// Whether it says that a process is not there, or no longer: ENOENT from open(2) below /proc/PID, ESRCH from read(2)
    /// there (proc(5)) and from the calls that take a PID.
    pub fn is_no_process(&self) -> bool {
        matches!(self.errno(), Some(Errno::ENOENT | Errno::ESRCH))
    }

    /// The call that the kernel refused, if that is what failed: here, or in a child that gave up because of it.
    pub fn refused(&self) -> Option<Refused> {
        match self {
            Error::Call { call, errno } => Some(Refused { call: call.clone(), errno: *errno }),
            Error::Broken { refused, .. } => refused.clone(),
            _ => None,
        }
    }
}

impl KernelAnswer for Error {
    fn errno(&self) -> Option<Errno> {
        Error::errno(self)
    }
}

/// Gives a failed call its name.
pub trait Named<T> {
    /// Turns the failure into [`Error::Call`]; `call` says how the call would be typed.
    fn named(self, call: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: AsErrno> Named<T> for std::result::Result<T, E> {
    fn named(self, call: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::Call { call: call(), errno: error.as_errno() })
    }
}

/// The three crates through which this one reaches the kernel each have an errno type.
pub trait AsErrno {
    /// The same errno, as nix writes it.
    fn as_errno(&self) -> Errno;
}

impl AsErrno for Errno {
    fn as_errno(&self) -> Errno {
        *self
    }
}

impl AsErrno for rustix::io::Errno {
    fn as_errno(&self) -> Errno {
        Errno::from_raw(self.raw_os_error())
    }
}

impl AsErrno for std::io::Error {
    fn as_errno(&self) -> Errno {
        Errno::from_raw(self.raw_os_error().unwrap_or(0))
    }
}

impl AsErrno for caps::errors::CapsError {
    /// The crate gives text alone, and std's at its end: `Operation not permitted (os error 1)`.
    fn as_errno(&self) -> Errno {
        let text = self.to_string();
        let number =
            text.rsplit_once("(os error ").and_then(|(_, rest)| rest.trim_end_matches(')').parse().ok());
        Errno::from_raw(number.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use observation::Outcome;

    use super::*;

    #[test]
    fn a_failed_call_reads_as_typed() {
        let failed: Result<()> = Err(Errno::EPERM).named(|| "sethostname(\"lab\")".into());
        assert_eq!(failed.unwrap_err().to_string(), "sethostname(\"lab\"): EPERM (Operation not permitted)");
    }

    #[test]
    fn a_refused_call_is_told_from_a_child_that_gave_up_because_of_one() {
        let refused = Refused { call: "sethostname(\"lab\")".into(), errno: Errno::EPERM };
        let call = Error::Call { call: refused.call.clone(), errno: refused.errno };
        let broken =
            Error::Broken { child: "init".into(), message: call.to_string(), refused: Some(refused.clone()) };
        assert_eq!((call.refused(), broken.refused()), (Some(refused.clone()), Some(refused)));
        assert_eq!((call.errno(), broken.errno()), (Some(Errno::EPERM), None));
        assert!(Outcome::of(Err::<(), _>(broken)).is_err(), "what a child's set-up meets is no answer");
    }

    #[test]
    fn what_caps_says_has_its_errno() {
        let refused = caps::raise(None, caps::CapSet::Ambient, caps::Capability::CAP_SYS_RAWIO);
        let inheritable = crate::process::status(None).unwrap().capinh;
        assert_eq!(inheritable, 0, "what is inheritable could be made ambient");
        assert_eq!(refused.named(String::new).unwrap_err().errno(), Some(Errno::EPERM));
    }

    #[test]
    fn a_deadline_is_no_answer_of_the_kernel() {
        let late: Result<()> = Err(Error::Deadline { what: "init".into(), seconds: 10 });
        assert!(Outcome::of(late).is_err());
    }
}
