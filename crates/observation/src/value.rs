//! What was seen.

use std::fmt;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::{ExitStatus, NsId, Outcome, printable};

/// A value that knows what it is, so that a renderer can tell what differs from run to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Words that are the same in every run.
    Text(String),
    /// A number that is the same in every run.
    Number(i64),
    /// How the kernel answered.
    Outcome(Outcome),
    /// How a process ended.
    ExitStatus(ExitStatus),
    /// A process ID. Those above 99 differ from run to run; a new PID namespace counts from 1.
    Pid(i32),
    /// A namespace.
    Namespace(NsId),
    /// A name of this machine or of this run: a hostname, a path.
    Name(String),
    /// A time in nanoseconds that differs from run to run.
    Nanoseconds(i64),
    /// A count that differs from run to run or from machine to machine.
    Count(i64),
    /// Several values.
    List(Vec<Value>),
}

impl Value {
    /// The words, if it is [`Value::Text`] or [`Value::Name`].
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) | Value::Name(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one of any sort.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Number(number) | Value::Nanoseconds(number) | Value::Count(number) => Some(*number),
            Value::Pid(pid) => Some(i64::from(*pid)),
            _ => None,
        }
    }

    /// The kernel's answer, if it is one.
    pub fn as_outcome(&self) -> Option<Outcome> {
        match self {
            Value::Outcome(outcome) => Some(*outcome),
            _ => None,
        }
    }

    /// How a process ended, if it is that.
    pub fn as_exit_status(&self) -> Option<ExitStatus> {
        match self {
            Value::ExitStatus(status) => Some(*status),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) | Value::Name(text) => f.write_str(&printable(text)),
            Value::Number(number) | Value::Count(number) => number.fmt(f),
            Value::Outcome(outcome) => outcome.fmt(f),
            Value::ExitStatus(status) => status.fmt(f),
            Value::Pid(pid) => pid.fmt(f),
            Value::Namespace(id) => id.fmt(f),
            Value::Nanoseconds(time) => {
                // Less than is shown is nothing, on either side of it.
                let (sign, time) = (if *time <= -1_000_000 { "-" } else { "" }, time.unsigned_abs());
                write!(f, "{sign}{}.{:03} s", time / 1_000_000_000, time / 1_000_000 % 1000)
            }
            Value::List(values) => {
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        f.write_str(" ")?;
                    }
                    value.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Value {
        Value::Text(if yes { "yes" } else { "no" }.into())
    }
}

impl From<Pid> for Value {
    fn from(pid: Pid) -> Value {
        Value::Pid(pid.as_raw())
    }
}

impl From<Outcome> for Value {
    fn from(outcome: Outcome) -> Value {
        Value::Outcome(outcome)
    }
}

impl From<NsId> for Value {
    fn from(id: NsId) -> Value {
        Value::Namespace(id)
    }
}

impl From<Signal> for Value {
    fn from(signal: Signal) -> Value {
        Value::Text(signal.as_str().into())
    }
}

impl From<ExitStatus> for Value {
    fn from(status: ExitStatus) -> Value {
        Value::ExitStatus(status)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Value {
        Value::List(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Text("none".into()), Into::into)
    }
}

macro_rules! number {
    ($($integer:ty),*) => { $(
        impl From<$integer> for Value {
            fn from(number: $integer) -> Value {
                Value::Number(i64::from(number))
            }
        }
        impl PartialEq<$integer> for Value {
            fn eq(&self, number: &$integer) -> bool {
                self.as_i64() == Some(i64::from(*number))
            }
        }
    )* };
}
number!(i32, u32, i64, u16, u8);

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl PartialEq<str> for Value {
    fn eq(&self, text: &str) -> bool {
        match self {
            Value::Text(own) | Value::Name(own) => own == text,
            Value::Outcome(outcome) => outcome.to_string() == text,
            Value::ExitStatus(status) => status.to_string() == text,
            _ => false,
        }
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, text: &&str) -> bool {
        self == *text
    }
}

impl PartialEq<ExitStatus> for Value {
    fn eq(&self, status: &ExitStatus) -> bool {
        self.as_exit_status() == Some(*status)
    }
}

impl PartialEq<bool> for Value {
    fn eq(&self, yes: &bool) -> bool {
        self == if *yes { "yes" } else { "no" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Errno, Fact};

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        assert_eq!(Value::Name("a\x1b[2Jb\n".into()).to_string(), "a\\u{1b}[2Jb\\n");
    }

    #[test]
    fn a_fact_survives_the_pipe() {
        let values = [
            Value::Pid(812),
            Value::Outcome(Outcome::Failed(Errno::EPERM)),
            Value::ExitStatus(ExitStatus::Killed(Signal::SIGKILL)),
            Value::from(vec!["a", "b"]),
            Value::Nanoseconds(-1_500_000_000),
        ];
        for value in values {
            let fact = Fact::inside("init", "kill(1, SIGTERM)", value);
            let line = serde_json::to_string(&fact).unwrap();
            assert_eq!(serde_json::from_str::<Fact>(&line).unwrap(), fact);
        }
    }

    #[test]
    fn a_value_compares_with_what_it_prints() {
        assert!(Value::Pid(1) == 1);
        assert!(Value::Outcome(Outcome::Failed(Errno::EPERM)) == "EPERM");
        assert!(Value::ExitStatus(ExitStatus::Killed(Signal::SIGTERM)) == "killed by SIGTERM");
        assert!(Value::ExitStatus(ExitStatus::Exited(0)) == ExitStatus::Exited(0));
        assert!(Value::from(true) == "yes");
        assert!(Value::Text("1".into()) != 1);
    }

    #[test]
    fn times_read_in_seconds() {
        assert_eq!(Value::Nanoseconds(86_400_001_000_000).to_string(), "86400.001 s");
        assert_eq!(Value::Nanoseconds(-1_500_000_000).to_string(), "-1.500 s");
        assert_eq!(Value::Nanoseconds(-900).to_string(), "0.000 s");
    }
}
