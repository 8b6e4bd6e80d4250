//! The transcript of an experiment is a stream of events. Their JSON is described in docs/events.md.

use ns_core::{Fact, Kind, NsId, Value};
use serde::{Deserialize, Serialize};

use crate::judge::Verdict;

/// The version of the schema. It rises when a field changes its meaning or goes; a new field leaves it as it is.
pub const SCHEMA: u32 = 1;

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
        /// The section of the study notes.
        notes: String,
        /// Manual pages.
        man: Vec<String>,
        /// uname(2)'s release.
        kernel: String,
        /// uname(2)'s machine.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        machine: String,
        /// Whether the causes are left out.
        sabotage: bool,
        /// Where it runs.
        stage: Stage,
        /// Its claims.
        claims: Vec<ClaimHead>,
    },
    /// A step is about to be done.
    Step {
        /// Its number, from 1.
        number: usize,
        /// What it is for.
        goal: String,
        /// System calls as typed.
        calls: Vec<String>,
        /// Shell commands that do the same.
        by_hand: Vec<String>,
    },
    /// A process takes part.
    Actor(Actor),
    /// Something was seen that no claim rests on.
    Saw(Fact),
    /// Facts in rows and columns.
    Table {
        /// What it shows.
        title: String,
        /// The columns' heads.
        columns: Vec<String>,
        /// The rows, each as long as `columns`.
        rows: Vec<Vec<Value>>,
        /// How they can be drawn, if they can.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        picture: Option<Picture>,
    },
    /// A claim was judged.
    Judged {
        /// The claim's id.
        claim: String,
        /// The verdict.
        verdict: Verdict,
        /// Whether it is what is expected on this kernel.
        expected: bool,
        /// What was seen without the cause.
        without: Arm,
        /// What was seen with it.
        with: Arm,
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

/// How the rows of a table can be drawn. The picture shows what stands in the table, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Picture {
    /// A heat map: so many columns name a row, and each of the others is an answer, one of a few.
    Heat(usize),
    /// A tree of cgroups: its path from the top, `a/b`; what the other columns say stands with it.
    Tree,
    /// Cables and bridges. The columns are: a network namespace, a device in it, its addresses, the bridge that it is
    /// a port of, and its other end as `namespace/device`; what is not there is empty.
    Cables,
    /// A timeline. The columns are: a clock, and what it reads outside and inside, in nanoseconds; others may follow.
    Clocks,
    /// Bands from one range to another. The columns are: a map, the first ID inside, the first outside, and how many.
    Bands,
}

/// The namespaces that an experiment runs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Those that it made for itself, so that the host sees nothing of it.
    pub namespaces: Vec<Kind>,
    /// Its user ID on the host.
    pub uid: u32,
}

impl Stage {
    /// Where the experiment runs, as a sentence, if that is not where it was started. `stable` leaves the user out.
    pub fn sentence(&self, stable: bool) -> Option<String> {
        let kinds: Vec<_> = self.namespaces.iter().map(ToString::to_string).collect();
        let kinds = match kinds.as_slice() {
            [] => return None,
            [only] => format!("a new {only} namespace"),
            [most @ .., last] => format!("new {} and {last} namespaces", most.join(", ")),
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

/// What a claim says, before it is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimHead {
    /// Its id.
    pub id: String,
    /// The sentence.
    pub text: String,
    /// What one arm has and the other lacks.
    pub cause: String,
    /// `holds`, `refuted`, `since 6.2` or `varies: …`.
    pub expect: String,
    /// The id of the claim that corrects it, for a sentence that is expected to be refuted.
    pub correction: Option<String>,
    /// The notes' claims that it answers.
    pub notes: Vec<u16>,
    /// The further behaviours that it shows.
    pub more: Vec<u16>,
    /// What people predict who have it wrong.
    #[serde(default)]
    pub misconceptions: Vec<Misconception>,
}

/// What people predict who have a claim wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misconception {
    /// Their answer: a fact as it would stand in an arm, or `yes` or `no` to the sentence.
    pub answer: String,
    /// Why they think so.
    pub why: String,
}

impl ClaimHead {
    /// The numbers that it answers to, as people write them: `N84`, `M23`.
    pub fn numbers(&self) -> Vec<String> {
        let notes = self.notes.iter().map(|number| format!("N{number}"));
        notes.chain(self.more.iter().map(|number| format!("M{number}"))).collect()
    }

    /// Why it is as expected that the sentence is refuted. `claims` are those of its experiment.
    pub fn why_refuted<'a>(&self, claims: impl IntoIterator<Item = &'a ClaimHead>) -> Option<String> {
        if let Some(correction) = &self.correction {
            let right = claims.into_iter().find(|claim| claim.id == *correction);
            let right = right.map_or(correction.as_str(), |claim| claim.text.as_str());
            return Some(format!("So one reads, and this kernel disagrees. Right is: {right}"));
        }
        let since =
            self.expect.strip_prefix("since ").map(|kernel| format!("It holds since Linux {kernel}."));
        since.or_else(|| self.expect.strip_prefix("varies: ").map(|why| format!("That varies: {why}.")))
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

/// One arm of a judged claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// Whether the effect was seen.
    pub effect: bool,
    /// What was seen.
    pub facts: Vec<Fact>,
}

/// How many claims came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Held.
    pub holds: usize,
    /// Were refuted.
    pub refuted: usize,
    /// Could not be told.
    pub unproven: usize,
    /// Could not be asked.
    pub skipped: usize,
    /// Of those judged, came out otherwise than expected.
    pub unexpected: usize,
}

impl Tally {
    /// Counts one claim.
    pub fn count(&mut self, verdict: Verdict, expected: bool) {
        match verdict {
            Verdict::Holds => self.holds += 1,
            Verdict::Refuted => self.refuted += 1,
            Verdict::Unproven => self.unproven += 1,
            Verdict::Skipped => self.skipped += 1,
        }
        self.unexpected += usize::from(!expected);
    }

    /// How many were judged.
    pub fn judged(&self) -> usize {
        self.holds + self.refuted + self.unproven
    }
}
