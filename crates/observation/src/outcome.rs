//! How the kernel answered.

use std::fmt;

use nix::errno::Errno;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::errno;

/// How the kernel answered a call whose failure is as telling as its success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The call succeeded.
    Done,
    /// The call failed with this errno.
    Failed(Errno),
}

/// An error that may be the kernel's answer to a call.
pub trait KernelAnswer {
    /// The kernel's answer, if this error is one.
    fn errno(&self) -> Option<Errno>;
}

impl Outcome {
    /// Takes the kernel's answer out of a result. Errors that are not the kernel's answer stay errors.
    ///
    /// # Errors
    /// Those.
    pub fn of<T, E: KernelAnswer>(result: Result<T, E>) -> Result<Outcome, E> {
        match result {
            Ok(_) => Ok(Outcome::Done),
            Err(error) => error.errno().map(Outcome::Failed).ok_or(error),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Done => f.write_str("OK"),
            Outcome::Failed(errno) => write!(f, "{errno:?}"),
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name == "OK" {
            return Ok(Outcome::Done);
        }
        let errno = errno::from_name(&name);
        errno.map(Outcome::Failed).ok_or_else(|| de::Error::custom(format!("no errno is called {name}")))
    }
}

/// A call that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The call with its arguments, as one would type it.
    pub call: String,
    /// The kernel's answer.
    #[serde(with = "errno")]
    pub errno: Errno,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, errno::in_words(self.errno))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_survives_json() {
        for outcome in [Outcome::Done, Outcome::Failed(Errno::ENOSPC), Outcome::Failed(Errno::EOPNOTSUPP)] {
            let text = serde_json::to_string(&outcome).unwrap();
            assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap(), outcome, "{text}");
        }
    }

    #[test]
    fn a_refused_call_survives_json_with_its_errno_by_name() {
        let refused = Refused { call: "sethostname(\"lab\")".into(), errno: Errno::EPERM };
        let text = serde_json::to_string(&refused).unwrap();
        assert_eq!(text, r#"{"call":"sethostname(\"lab\")","errno":"EPERM"}"#);
        assert_eq!(serde_json::from_str::<Refused>(&text).unwrap(), refused);
        assert_eq!(refused.to_string(), "sethostname(\"lab\"): EPERM (Operation not permitted)");
    }
}
