//! A hand-in: what one student's attempt log says, as one file for the teacher.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What `schema` is in a hand-in of this form.
pub(crate) const SCHEMA: &str = "inception-hand-in/1";

/// All attempts of a student.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HandIn {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// Whose it is.
    pub(crate) student: String,
    /// The class word; empty without one.
    pub(crate) class: String,
    /// The machine's hostname, as the attempts saw it last.
    pub(crate) host: String,
    /// uname(2)'s release.
    pub(crate) kernel: String,
    /// When it was exported.
    pub(crate) date: DateTime<Utc>,
    /// The exercises that were begun, in the order in which they were.
    pub(crate) exercises: Vec<Work>,
}

/// What was done about one exercise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    /// Its name.
    pub(crate) exercise: String,
    /// In the order in which they were begun.
    pub(crate) attempts: Vec<Attempt>,
}

/// From a `start` to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// Its number, from 1.
    pub(crate) attempt: u32,
    /// What its values were drawn from.
    pub(crate) seed: String,
    /// When it began.
    pub(crate) started: DateTime<Utc>,
    /// When every requirement was met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<DateTime<Utc>>,
    /// The hints that were shown.
    #[serde(default)]
    pub(crate) hints: Vec<Hint>,
    /// When the solution was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) solution: Option<DateTime<Utc>>,
    /// The states that the checker saw.
    #[serde(default)]
    pub(crate) states: Vec<State>,
}

/// A hint that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hint {
    /// When.
    pub(crate) time: DateTime<Utc>,
    /// Of which requirement.
    pub(crate) requirement: String,
    /// How far it goes, from 1.
    pub(crate) level: u32,
}

/// A state that the checker saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// When.
    pub(crate) time: DateTime<Utc>,
    /// The requirements that were met.
    pub(crate) met: Vec<String>,
    /// Those that were not.
    pub(crate) unmet: Vec<String>,
    /// A sentence for each.
    #[serde(default)]
    pub(crate) said: Vec<String>,
}
