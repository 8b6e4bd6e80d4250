//! How a process ended.

use std::fmt;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::signal;

/// How a process ended: wait(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Killed(#[serde(with = "signal")] Signal),
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitStatus::Exited(status) => write!(f, "exited {status}"),
            ExitStatus::Killed(signal) => write!(f, "killed by {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_stands_by_its_name() {
        for (status, json, text) in [
            (ExitStatus::Exited(0), r#"{"exited":0}"#, "exited 0"),
            (ExitStatus::Killed(Signal::SIGTERM), r#"{"killed":"SIGTERM"}"#, "killed by SIGTERM"),
        ] {
            assert_eq!(serde_json::to_string(&status).unwrap(), json);
            assert_eq!(serde_json::from_str::<ExitStatus>(json).unwrap(), status);
            assert_eq!(status.to_string(), text);
        }
        assert!(serde_json::from_str::<ExitStatus>(r#"{"killed":"SIGNONE"}"#).is_err());
    }
}
