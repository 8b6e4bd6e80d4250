//! Which of the facts of two arms tell them apart, so that people can be asked what they expect.

use ns_core::{Fact, Value};

use crate::event::{Arm, ClaimHead};

/// The facts that tell what is seen with the cause, of which there is one at least, and what without it.
pub(super) fn telling(claim: &ClaimHead, without: &Arm, with: &Arm) -> Option<(Vec<Fact>, Vec<Fact>)> {
    let lacks =
        |facts: &[Fact], fact: &Fact| !facts.iter().any(|it| same(it, fact) && it.value == fact.value);
    let only = |these: &[Fact], those: &[Fact]| -> Vec<Fact> {
        these.iter().filter(|fact| lacks(those, fact)).cloned().collect()
    };
    // What people have beliefs about is what is asked about, even where the arms agree in it.
    let answers = claim.misconceptions.iter().flat_map(|it| it.answer.split("; "));
    let named: Vec<&str> = answers.filter_map(|it| Some(it.split_once(" = ")?.0)).collect();
    let about = |facts: &[Fact]| -> Vec<Fact> {
        facts.iter().filter(|fact| named.contains(&fact.what.as_str())).cloned().collect()
    };
    let right = about(&with.facts);
    if !right.is_empty() {
        let mut wrong = about(&without.facts);
        if only(&wrong, &right).is_empty() {
            wrong.clear();
        }
        return Some((right, wrong));
    }
    let (mut right, mut wrong) = (only(&with.facts, &without.facts), only(&without.facts, &with.facts));
    if right.is_empty() && wrong.is_empty() && !claim.misconceptions.is_empty() {
        return Some((with.facts.clone(), wrong)).filter(|(right, _)| !right.is_empty());
    }
    // What differs from run to run anyway says nothing where something else differs, too.
    if right.iter().any(|it| is_steady(&it.value)) {
        right.retain(|it| is_steady(&it.value));
        let says = |fact: &Fact| is_steady(&fact.value) || right.iter().any(|it| same(it, fact));
        if wrong.iter().any(says) {
            wrong.retain(says);
        }
    }
    let is_told = right.iter().chain(&wrong).any(|it| is_steady(&it.value));
    if !is_told || right.is_empty() || wrong.is_empty() {
        return None;
    }
    for facts in [&mut right, &mut wrong] {
        once(facts);
    }
    leave_out(&mut right, &mut wrong, |fact| gives_away(fact, &claim.cause));
    compare(&mut right, &mut wrong);
    Some((right, wrong))
}

fn same(a: &Fact, b: &Fact) -> bool {
    a.view == b.view && a.what == b.what
}

/// Two processes that saw the same thing are one answer.
fn once(facts: &mut Vec<Fact>) {
    let mut kept: Vec<Fact> = Vec::new();
    for fact in facts.drain(..) {
        if !kept.iter().any(|it| same(it, &fact) && it.value == fact.value) {
            kept.push(fact);
        }
    }
    *facts = kept;
}

/// What the experiment did not do in one arm, or what names the cause itself.
fn gives_away(fact: &Fact, cause: &str) -> bool {
    let Some(text) = fact.value.as_str() else { return false };
    text.starts_with("not tried") || text == cause || cause.split_whitespace().any(|word| word == text)
}

/// Leaves out of both what `is_out` says of either, if that leaves something that tells them apart.
fn leave_out(right: &mut Vec<Fact>, wrong: &mut Vec<Fact>, is_out: impl Fn(&Fact) -> bool) {
    let out: Vec<Fact> = right.iter().chain(wrong.iter()).filter(|it| is_out(it)).cloned().collect();
    let left = |facts: &[Fact]| -> Vec<Fact> {
        facts.iter().filter(|fact| !out.iter().any(|it| same(it, fact))).cloned().collect()
    };
    let (fewer, others) = (left(right), left(wrong));
    if differ(&fewer, &others) {
        (*right, *wrong) = (fewer, others);
    }
}

fn differ(right: &[Fact], wrong: &[Fact]) -> bool {
    let lacks = |fact: &Fact| !wrong.iter().any(|it| same(it, fact) && it.value == fact.value);
    !wrong.is_empty() && right.iter().any(lacks)
}

/// Leaves out of both what only one of them speaks of, if what is left tells them apart.
fn compare(right: &mut Vec<Fact>, wrong: &mut Vec<Fact>) {
    let common = |these: &[Fact], those: &[Fact]| -> Vec<Fact> {
        these.iter().filter(|fact| those.iter().any(|it| same(it, fact))).cloned().collect()
    };
    let (ours, theirs) = (common(right, wrong), common(wrong, right));
    if differ(&ours, &theirs) {
        (*right, *wrong) = (ours, theirs);
    }
}

/// Whether a value is the same in every run, so that people can expect it.
fn is_steady(value: &Value) -> bool {
    match value {
        Value::Text(_) | Value::Number(_) | Value::Outcome(_) => true,
        Value::Pid(pid) => *pid <= 99,
        Value::Namespace(_) | Value::Name(_) | Value::Nanoseconds(_) | Value::Count(_) => false,
        Value::List(values) => values.iter().all(is_steady),
    }
}
