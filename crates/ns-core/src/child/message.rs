//! What goes through the pipe from a child to its parent, and what the parent makes of it.

use nix::sys::signal::Signal;
use observation::{ExitStatus, Fact, Refused};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A line of the pipe.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    /// The child dies with its parent from here on.
    Armed,
    /// A fact.
    Fact(Fact),
    /// The child could not do its part. Never to be taken for a refutation.
    Broken(Broken),
}

/// Why a child gave up.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Broken {
    pub(super) message: String,
    /// The call that the kernel refused, if that was it.
    pub(super) refused: Option<Refused>,
}

impl Broken {
    pub(super) fn because(message: impl Into<String>) -> Broken {
        Broken { message: message.into(), refused: None }
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Broken {
        Broken { message: error.to_string(), refused: error.refused() }
    }
}

/// What a parent receives from a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// It reported a fact.
    Fact(Fact),
    /// It will report no more: it ended.
    Exited(ExitStatus),
    /// A signal stopped it. It may go on.
    Stopped(Signal),
}
