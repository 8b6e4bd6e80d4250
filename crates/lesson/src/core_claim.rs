//! What a core claim has besides: its rows on the one screen, and the answers to its question.

use ns_core::{Fact, View};
use transcript::DeclaredAnswer;

use crate::effect::Which;

/// A row of the one screen: a label, and the fact that both arms report.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What was looked at, in a few words.
    pub label: &'static str,
    /// Which fact stands there.
    fact: Which<&'static str>,
}

impl Row {
    /// The fact `what`, as a child saw it.
    pub const fn inside(label: &'static str, what: &'static str) -> Row {
        Row { label, fact: Which::Named(View::Inside, what) }
    }

    /// The fact `what`, as the experiment saw it from outside.
    pub const fn outside(label: &'static str, what: &'static str) -> Row {
        Row { label, fact: Which::Named(View::Outside, what) }
    }

    /// The first fact of an arm: for arms that report one alone, or whose facts' names differ.
    pub const fn first(label: &'static str) -> Row {
        Row { label, fact: Which::First }
    }

    /// The last fact of an arm.
    pub const fn last(label: &'static str) -> Row {
        Row { label, fact: Which::Last }
    }

    /// The fact that stands there.
    pub(crate) fn find<'a>(&self, facts: &'a [Fact]) -> Option<&'a Fact> {
        self.fact.find(facts).first().copied()
    }
}

/// An answer to a claim's question.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// In words, as the question is.
    pub text: &'static str,
    /// Why people give it who have it wrong; `None` for the right one.
    pub why: Option<&'static str>,
}

/// The answer that a verdict as expected proves.
pub const fn right(text: &'static str) -> Answer {
    Answer { text, why: None }
}

/// An answer that people give, and in a sentence why they think so.
pub const fn wrong(text: &'static str, why: &'static str) -> Answer {
    Answer { text, why: Some(why) }
}

impl From<&Answer> for DeclaredAnswer {
    fn from(answer: &Answer) -> DeclaredAnswer {
        DeclaredAnswer {
            answer: answer.text.into(),
            right: answer.why.is_none(),
            why: answer.why.map(String::from),
        }
    }
}
