//! A fact that was written in a file, and what it reads of a process.

use std::cmp::Reverse;
use std::fmt;

use ns_core::{Error, process};
use wake::Subject;

use super::arguments::Arguments;
use super::form::{first_word, fixed_words, match_words, nearest};
use super::row::{Reads, Row};
use super::{phrase, table};
use crate::seen::Seen;

/// What is read of a process that has ended.
const ENDED: &str = "it has ended";

/// Something that can be read of a process.
#[derive(Clone)]
pub struct Fact {
    row: &'static Row,
    arguments: Arguments,
}

impl Fact {
    /// Reads `words`, such as `namespace uts` or `mount /proc options`.
    ///
    /// # Errors
    /// A line that names the word, and what there is instead.
    pub fn parse(words: &str) -> Result<Fact, String> {
        let (mut facts, mut mismatches) = (Vec::new(), Vec::new());
        for row in table::rows() {
            match match_words(row.form, words) {
                Ok(arguments) => facts.push(Fact { row, arguments }),
                Err(mismatch) => mismatches.push(mismatch),
            }
        }
        // `mount /a options` is of the form `mount PATH`, too.
        if let Some(fact) = facts.into_iter().max_by_key(|fact| fixed_words(fact.row.form)) {
            return Ok(fact);
        }
        let near = mismatches.into_iter().filter(|mismatch| mismatch.closeness > 0);
        let nearest = near.min_by_key(|mismatch| Reverse(mismatch.closeness));
        let why = nearest.map_or_else(|| unknown(words), |mismatch| mismatch.why);
        Err(format!("fact '{}': {why}", ns_core::printable(words)))
    }

    /// Reads it of `subject`.
    ///
    /// Of a process in other namespaces it may make a child that enters them, so exactly one thread may run. What the
    /// kernel refuses is [`Seen::Unreadable`], and so is a process that has ended: never [`Seen::Absent`].
    pub fn see(&self, subject: Subject) -> Seen {
        let seen = (self.row.see)(subject, &self.arguments);
        // Asked afterwards: if it is still the same process now, then it was all the time.
        match process::start_time(Some(subject.pid)) {
            Ok(started) if started == subject.started => {
                seen.unwrap_or_else(|error| Seen::Unreadable(why(error)))
            }
            Ok(_) => Seen::Unreadable(ENDED.into()),
            Err(error) if error.is_no_process() => Seen::Unreadable(ENDED.into()),
            Err(error) => Seen::Unreadable(why(error)),
        }
    }

    /// What is said of a process of which it reads `seen`, after its PID: `its hostname is fox`.
    pub fn phrase(&self, seen: &Seen) -> String {
        match seen {
            Seen::Unreadable(why) if why == ENDED => ENDED.into(),
            seen => phrase::of(self.row, &self.arguments, seen),
        }
    }

    /// The sort of value that it reads.
    pub fn reads(&self) -> Reads {
        self.row.reads
    }
}

/// The sentence of an error, without the label of the child that met it.
fn why(error: Error) -> String {
    match error {
        Error::Broken { message, .. } => message,
        other => other.to_string(),
    }
}

fn unknown(words: &str) -> String {
    let Some(first) = words.split_whitespace().next() else {
        return "it is empty; docs/exercise-facts.md has all facts".into();
    };
    let near = nearest(first, table::rows().map(|row| first_word(row.form))).unwrap_or_default();
    format!("there is none that begins with '{}'; the nearest is {near}", ns_core::printable(first))
}

impl PartialEq for Fact {
    fn eq(&self, other: &Fact) -> bool {
        self.row.form == other.row.form && self.arguments == other.arguments
    }
}

impl Eq for Fact {}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fact({} {:?})", self.row.form, self.arguments.words())
    }
}
