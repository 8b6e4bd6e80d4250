//! Errors name the call as one would type it, with the kernel's answer.

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

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
    },
    /// Nothing was heard within the deadline.
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
    /// The call would have changed the host, so it was not made.
    #[error("{call}: refused, since this process is still in the {kind} namespace that it was started in")]
    WouldChangeHost {
        /// The call with its arguments.
        call: String,
        /// The kind of namespace that would have kept the change from the host.
        kind: crate::Kind,
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
}

/// An errno by its name and its meaning: `EPERM (Operation not permitted)`.
pub fn in_words(errno: Errno) -> String {
    format!("{errno:?} ({})", errno.desc())
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

/// How the kernel answered a call whose failure is as telling as its success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The call succeeded.
    Done,
    /// The call failed with this errno.
    Failed(Errno),
}

impl Outcome {
    /// Takes the kernel's answer out of a result. Errors that are not the kernel's answer stay errors.
    pub fn of<T>(result: Result<T>) -> Result<Outcome> {
        match result {
            Ok(_) => Ok(Outcome::Done),
            Err(Error::Call { errno, .. }) => Ok(Outcome::Failed(errno)),
            Err(other) => Err(other),
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Outcome::Done => f.write_str("OK"),
            Outcome::Failed(errno) => write!(f, "{errno:?}"),
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name == "OK" {
            return Ok(Outcome::Done);
        }
        (1..=libc::EHWPOISON)
            .map(Errno::from_raw)
            .find(|errno| format!("{errno:?}") == name)
            .map(Outcome::Failed)
            .ok_or_else(|| serde::de::Error::custom(format!("no errno is called {name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_reads_as_typed() {
        let failed: Result<()> = Err(Errno::EPERM).named(|| "sethostname(\"lab\")".into());
        assert_eq!(failed.unwrap_err().to_string(), "sethostname(\"lab\"): EPERM (Operation not permitted)");
    }

    #[test]
    fn an_outcome_survives_json() {
        for outcome in [Outcome::Done, Outcome::Failed(Errno::ENOSPC), Outcome::Failed(Errno::EOPNOTSUPP)] {
            let text = serde_json::to_string(&outcome).unwrap();
            assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap(), outcome, "{text}");
        }
    }

    #[test]
    fn a_deadline_is_no_answer_of_the_kernel() {
        let late: Result<()> = Err(Error::Deadline { what: "init".into(), seconds: 10 });
        assert!(Outcome::of(late).is_err());
    }
}
