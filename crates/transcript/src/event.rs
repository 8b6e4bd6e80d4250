//! The transcript of an experiment is a stream of events. Their JSON is described in docs/events.md.

use observation::{Fact, Kind, NsId, Value, series};
use serde::{Deserialize, Serialize};

use crate::claim::ClaimHead;
use crate::hand::Hands;
use crate::table::Table;
use crate::tally::Tally;
use crate::verdict::Verdict;

/// The version of the schema. It rises when a field changes its meaning or goes; a new field leaves it as it is.
pub const SCHEMA: u32 = 2;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// The experiment begins.
    Begin {
        /// [`SCHEMA`].
        schema: u32,
        /// The experiment's name.
        experiment: String,
        /// Its question.
        question: String,
        /// The section of the study notes; empty where they have nothing on it.
        notes: String,
        /// Manual pages.
        man: Vec<String>,
        /// uname(2)'s release.
        kernel: String,
        /// uname(2)'s machine.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        machine: String,
        /// Whether the factors are left out.
        sabotage: bool,
        /// Whether a claim that is skipped counts as a failure.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        must_run: bool,
        /// Who ran it, where and when.
        #[serde(flatten)]
        origin: Box<Origin>,
        /// Where it runs.
        sandbox: Sandbox,
        /// What both arms do, in a sentence.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        setup: String,
        /// What to take home, in a sentence or two.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        in_short: String,
        /// How many claims it has. This run may ask fewer.
        #[serde(default)]
        of: usize,
        /// The claims that this run asks.
        claims: Vec<ClaimHead>,
    },
    /// A step is about to be done.
    Step {
        /// Its number, from 1.
        number: usize,
        /// What it is for.
        title: String,
        /// System calls as typed.
        calls: Vec<String>,
        /// Shell commands that do the same, and what they print.
        #[serde(flatten)]
        by_hand: Hands,
        /// The ids of the claims that it judges.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        claims: Vec<String>,
    },
    /// A process takes part.
    Actor(Actor),
    /// Something was seen that no claim rests on.
    Saw(Fact),
    /// Facts in rows and columns.
    Table(Table),
    /// A claim was judged.
    Judged {
        /// The claim's id.
        claim: String,
        /// The verdict.
        verdict: Verdict,
        /// Whether it is what is expected on this kernel.
        expected: bool,
        /// What was seen without the factor.
        control: Arm,
        /// What was seen with it.
        treatment: Arm,
        /// Its rows on the one screen, if it is a core claim.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rows: Vec<Row>,
    },
    /// A claim could not be asked here.
    Skipped {
        /// The claim's id.
        claim: String,
        /// What is missing.
        missing: String,
        /// How to get it.
        remedy: String,
    },
    /// The experiment ended.
    End {
        /// How many claims came out how.
        tally: Tally,
        /// Why it broke, if it did.
        broken: Option<String>,
        /// The exit status.
        status: u8,
        /// How long it took, in nanoseconds.
        elapsed: u64,
    },
}

/// Who ran an experiment, on which machine and when. What is not known, or left out on purpose, is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The user's name, or its number where the machine has no name for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The hostname.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// When it began, by the machine's clock, in UTC: `2026-03-01T14:05:09Z` (RFC 3339).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub time: String,
    /// Whose run it is, as they said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub student: String,
}

/// The namespaces that an experiment runs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Those that it made for itself, so that the host sees nothing of it.
    pub namespaces: Vec<Kind>,
    /// Its user ID on the host.
    pub uid: u32,
}

impl Sandbox {
    /// Where the experiment runs, as a sentence, if that is not where it was started. `stable` leaves the user out.
    pub fn sentence(&self, stable: bool) -> Option<String> {
        let kinds: Vec<_> = self.namespaces.iter().map(ToString::to_string).collect();
        let kinds = match kinds.as_slice() {
            [] => return None,
            [only] => format!("a new {only} namespace"),
            several => format!("new {} namespaces", series(several)),
        };
        let uid = if stable { "<uid>".into() } else { self.uid.to_string() };
        let root = if self.namespaces.contains(&Kind::User) {
            format!("; user {uid} of the host is root there")
        } else {
            String::new()
        };
        Some(format!("All of it runs in {kinds}, so the host sees none of it{root}."))
    }
}

/// A process that takes part: who is where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// What it is called.
    pub label: String,
    /// Its PIDs, from our PID namespace down to its own.
    pub pids: Vec<i32>,
    /// The namespaces that it is in and we are not.
    pub elsewhere: Vec<NsId>,
    /// The PID namespaces below ours, down to its own: one for each of its PIDs but the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pid_namespaces: Vec<NsId>,
}

/// A row of the one screen: one fact, as each arm reported it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// What was looked at, in a few words.
    pub label: String,
    /// What the control reported, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Value>,
    /// What the treatment reported, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub treatment: Option<Value>,
}

impl Row {
    /// Whether the arms reported different values.
    pub fn differs(&self) -> bool {
        self.control != self.treatment
    }
}

/// One arm of a judged claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// Whether the effect was seen: in the control any part of it, in the treatment all of it.
    pub effect: bool,
    /// What was seen.
    pub facts: Vec<Fact>,
}
