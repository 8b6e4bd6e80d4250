//! What tap and junit have in common: a claim is a test, which passes if its verdict is as expected.

use ns_core::printable;

use transcript::{Arm, ClaimHead, Event, Origin};

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
    must_run: bool,
    claims: Vec<ClaimHead>,
}

impl Account {
    /// The test, by its name and what became of it, that an event completes, if it does.
    pub(super) fn follow(&mut self, event: &Event) -> Option<(String, Result)> {
        match event {
            Event::Begin { experiment, must_run, claims, .. } => {
                let experiment = printable(experiment);
                *self = Account { experiment, must_run: *must_run, claims: claims.clone() };
                None
            }
            Event::Judged { claim, verdict, expected, control, treatment, .. } => {
                let head = self.claims.iter().find(|head| head.id == *claim)?;
                let result = if *expected {
                    Result::Passed
                } else {
                    let why = printable(&format!("{}, expected: {}", verdict.word(), head.expect));
                    let mut seen = lines(&format!("without {}", head.factor), control);
                    seen.extend(lines(&format!("with {}", head.factor), treatment));
                    Result::Failed(why, seen)
                };
                Some((name(head), result))
            }
            Event::Skipped { claim, missing, remedy } => {
                let head = self.claims.iter().find(|head| head.id == *claim)?;
                let why = printable(&format!("{missing}; to get it: {remedy}"));
                let result = if self.must_run {
                    Result::Failed(format!("skipped, where all must run: {why}"), Vec::new())
                } else {
                    Result::Skipped(why)
                };
                Some((name(head), result))
            }
            Event::End { broken: Some(why), .. } => {
                Some(("the experiment ends".into(), Result::Broken(printable(why))))
            }
            _ => None,
        }
    }
}

/// Who ran it, where and when: what is known, each with its name.
pub(super) fn named(origin: &Origin) -> Vec<(&'static str, String)> {
    let Origin { user, host, time, student } = origin;
    let all = [("student", student), ("user", user), ("host", host), ("time", time)];
    all.into_iter().filter(|(_, it)| !it.is_empty()).map(|(name, it)| (name, printable(it))).collect()
}

fn name(head: &ClaimHead) -> String {
    printable(&format!("{}: {}", head.id, head.text))
}

fn lines(arm: &str, seen: &Arm) -> Vec<String> {
    let fact = |it: &ns_core::Fact| printable(&format!("{arm}, {}: {} = {}", it.who, it.what, it.value));
    seen.facts.iter().map(fact).collect()
}
