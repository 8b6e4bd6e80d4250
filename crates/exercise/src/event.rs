//! What is kept of an attempt: a line of the log for each event.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::seed::Seed;
use crate::trace::Trace;

/// A line of the log: a JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// The exercise's name.
    pub exercise: String,
    /// Which attempt of it, from 1.
    pub attempt: u32,
    /// When, in RFC 3339, to the millisecond, in UTC.
    pub time: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// An attempt began.
    Started {
        /// What its values are drawn from.
        seed: Seed,
        /// The name by which a teacher knows the learner.
        student: String,
        /// The class's word.
        class: String,
        /// The machine's hostname.
        host: String,
        /// The kernel's release, as uname(2) has it.
        kernel: String,
        /// The learner's user ID.
        #[serde(default)]
        uid: u32,
        /// The learner's group ID.
        #[serde(default)]
        gid: u32,
        /// The learner's login name.
        #[serde(default)]
        user: String,
        /// The directory in which the learner may make cgroups, if the exercise needs one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cgroup: Option<PathBuf>,
    },
    /// A look was taken.
    Checked {
        /// The requirements that are met.
        met: Vec<String>,
        /// Those that are not.
        unmet: Vec<String>,
        /// What was said of each, in the order of the file.
        said: Vec<String>,
        /// The command that looked: `check` or `watch`.
        by: String,
        /// The requirements that the machine shows, and that are to be gone in the end.
        #[serde(default)]
        shown: BTreeSet<String>,
        /// What the learner made of it.
        #[serde(flatten)]
        trace: Trace,
    },
    /// Every requirement was met.
    Done,
    /// A hint was read.
    Hint {
        /// The first is 1.
        level: u8,
        /// The requirement that it is on.
        requirement: String,
    },
    /// The solution was read.
    Solution,
    /// The attempt was taken back.
    Reset,
}

impl Logged {
    /// What happens now.
    pub(crate) fn now(exercise: &str, attempt: u32, event: Event) -> Logged {
        let time = DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Millis, true);
        Logged { event, exercise: exercise.into(), attempt, time }
    }
}
