//! What tap and junit have in common: a claim is a test, which passes if its verdict is as expected.

use ns_core::fact::printable;

use crate::event::{Arm, ClaimHead, Event};

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Result {
    Passed,
    /// Why, in a few words, and what was seen, a line each.
    Failed(String, Vec<String>),
    Skipped(String),
    /// The experiment itself gave up.
    Broken(String),
}

/// Follows an experiment's events, and makes tests of them.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) experiment: String,
    claims: Vec<ClaimHead>,
}

impl Account {
    /// The test, by its name and what became of it, that an event completes, if it does.
    pub(super) fn follow(&mut self, event: &Event) -> Option<(String, Result)> {
        match event {
            Event::Begin { experiment, claims, .. } => {
                *self = Account { experiment: experiment.clone(), claims: claims.clone() };
                None
            }
            Event::Judged { claim, verdict, expected, without, with } => {
                let head = self.claims.iter().find(|head| head.id == *claim)?;
                let result = if *expected {
                    Result::Passed
                } else {
                    let why = format!("{}, expected: {}", verdict.word(), head.expect);
                    let mut seen = lines(&format!("without {}", head.cause), without);
                    seen.extend(lines(&format!("with {}", head.cause), with));
                    Result::Failed(why, seen)
                };
                Some((name(head), result))
            }
            Event::Skipped { claim, missing, remedy } => {
                let head = self.claims.iter().find(|head| head.id == *claim)?;
                Some((name(head), Result::Skipped(printable(&format!("{missing}; to get it: {remedy}")))))
            }
            Event::End { broken: Some(why), .. } => {
                Some(("the experiment ends".into(), Result::Broken(printable(why))))
            }
            _ => None,
        }
    }
}

fn name(head: &ClaimHead) -> String {
    format!("{}: {}", head.id, head.text)
}

fn lines(arm: &str, seen: &Arm) -> Vec<String> {
    let fact = |it: &ns_core::Fact| printable(&format!("{arm}, {}: {} = {}", it.who, it.what, it.value));
    seen.facts.iter().map(fact).collect()
}
