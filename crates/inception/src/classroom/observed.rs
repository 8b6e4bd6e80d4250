//! What is seen in the arms, as answers to one question.

use ns_core::{Fact, Value, View};
use transcript::{Arm, ClaimHead, DeclaredAnswer};

use super::believed::believed;
use super::telling::telling;

/// An answer of more facts, or longer, is an account and no answer.
const FACTS: usize = 3;
const LONGEST: usize = 160;

/// What is seen with the factor, as an answer beside others.
pub(super) struct Observed {
    pub(super) asks: String,
    /// With the factor; then without it, if that is an answer to the same question.
    pub(super) seen: Vec<String>,
    pub(super) believed: Vec<DeclaredAnswer>,
}

impl Observed {
    /// `None` where people could not tell the arms apart, nor what they believe from what is. `has_inside` says whether
    /// processes are in other namespaces: else there are no two sides that something could be seen from.
    pub(super) fn of(
        claim: &ClaimHead,
        [without, with]: [&Arm; 2],
        has_inside: bool,
        show: &mut impl FnMut(&Value) -> String,
    ) -> Option<Observed> {
        let (right, wrong) = telling(claim, without, with)?;
        let declared = believed(claim);
        let facts: Vec<&Fact> = right.iter().chain(&wrong).collect();
        let first = facts[0];
        let both = facts.iter().any(|it| it.view != first.view);
        let values = if right.len() == 1 && wrong.len() <= 1 { values(&facts, &declared) } else { None };
        let is_one = values.is_some();
        let believed = values.unwrap_or_else(|| {
            let set = |it: &DeclaredAnswer| DeclaredAnswer {
                answer: sided(&it.answer, &facts, both),
                ..it.clone()
            };
            declared.iter().map(set).collect()
        });
        let mut set = |facts: &[Fact]| {
            let one = |fact: &Fact| {
                let value = show(&fact.value);
                if is_one { value } else { format!("{}{} = {value}", fact.what, side(fact.view, both)) }
            };
            facts.iter().map(one).collect::<Vec<_>>().join("; ")
        };
        let mut seen: Vec<String> =
            [&right, &wrong].into_iter().filter(|it| !it.is_empty()).map(|it| set(it)).collect();
        if !claim.answers.is_empty() {
            // The others are declared.
            seen.truncate(1);
        }
        let is_short = [&right, &wrong].iter().all(|it| it.len() <= FACTS)
            && seen.iter().all(|it| it.chars().count() <= LONGEST);
        if !is_short || (seen.len() == 2 && seen[0] == seen[1]) || seen.len() + believed.len() < 2 {
            return None;
        }
        let is_inside = |arm: &Arm| arm.facts.iter().any(|it| it.view == View::Inside);
        let has_sides = has_inside || is_inside(without) || is_inside(with);
        let view = (has_sides && !both).then_some(first.view);
        let asks = claim.question.clone();
        let asks = asks.unwrap_or_else(|| asks_for(&claim.factor, is_one.then_some(&first.what), view));
        Some(Observed { asks, seen, believed })
    }
}

/// What is believed, as values alone, if all `facts` are of one thing and so are the beliefs: then its value is the
/// answer.
fn values(facts: &[&Fact], declared: &[DeclaredAnswer]) -> Option<Vec<DeclaredAnswer>> {
    let what = &facts[0].what;
    let lead = format!("{what} = ");
    let value = |it: &DeclaredAnswer| {
        let answer = it.answer.strip_prefix(&lead).unwrap_or(&it.answer).to_string();
        DeclaredAnswer { answer, ..it.clone() }
    };
    let values: Vec<_> = declared.iter().map(value).collect();
    let is_one =
        facts.iter().all(|it| it.what == *what) && values.iter().all(|it| !it.answer.contains(" = "));
    is_one.then_some(values)
}

/// An answer of several facts, each with its side as what was seen has it: or it would be told by its looks.
fn sided(answer: &str, facts: &[&Fact], both: bool) -> String {
    let one = |part: &str| match part.split_once(" = ") {
        Some((what, value)) => {
            let seen = facts.iter().find(|it| it.what == what);
            format!("{what}{} = {value}", seen.map_or("", |it| side(it.view, both)))
        }
        None => part.into(),
    };
    answer.split("; ").map(one).collect::<Vec<_>>().join("; ")
}

/// The side that something is seen from, where there are facts from both.
fn side(view: View, both: bool) -> &'static str {
    match view {
        View::Outside if both => " (outside)",
        View::Inside if both => " (inside)",
        _ => "",
    }
}

/// The question that is asked where the claim declares none: of one thing, or of all; from a side, if that says more.
fn asks_for(factor: &str, what: Option<&String>, view: Option<View>) -> String {
    let lead = if factor.is_empty() { String::new() } else { format!("With {factor}: ") };
    match (what, view) {
        (Some(what), None) => format!("{lead}{what} = ?"),
        (Some(what), Some(View::Inside)) => format!("{lead}inside, {what} = ?"),
        (Some(what), Some(View::Outside)) => format!("{lead}outside, {what} = ?"),
        (None, None) => format!("{lead}what is seen?"),
        (None, Some(View::Inside)) => format!("{lead}what is seen inside?"),
        (None, Some(View::Outside)) => format!("{lead}what is seen from outside?"),
    }
}
