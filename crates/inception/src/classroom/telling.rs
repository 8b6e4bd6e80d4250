//! Which of the facts of two arms tell them apart, so that people can be asked what they expect.

use ns_core::{Fact, Value};
use transcript::{Arm, ClaimHead};

use super::believed::believed;

/// The facts that tell what is seen with the factor, of which there is one at least, and what without it.
pub(super) fn telling(claim: &ClaimHead, without: &Arm, with: &Arm) -> Option<(Vec<Fact>, Vec<Fact>)> {
    let only = |these: &[Fact], those: &[Fact]| -> Vec<Fact> {
        these.iter().filter(|fact| lacks(those, fact)).cloned().collect()
    };
    // What people have beliefs about is what is asked about, even where the arms agree in it.
    let believed = believed(claim);
    let answers = believed.iter().flat_map(|it| it.answer.split("; "));
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
    if right.is_empty() && wrong.is_empty() && !believed.is_empty() {
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
    leave_out(&mut right, &mut wrong, |fact| gives_away(fact, &claim.factor));
    compare(&mut right, &mut wrong);
    Some((right, wrong))
}

fn same(a: &Fact, b: &Fact) -> bool {
    a.view == b.view && a.what == b.what
}

fn lacks(facts: &[Fact], fact: &Fact) -> bool {
    !facts.iter().any(|it| same(it, fact) && it.value == fact.value)
}

/// Two processes that saw the same thing are one answer.
fn once(facts: &mut Vec<Fact>) {
    let mut kept: Vec<Fact> = Vec::new();
    for fact in facts.drain(..) {
        if lacks(&kept, &fact) {
            kept.push(fact);
        }
    }
    *facts = kept;
}

/// Whether what was seen is the factor itself.
fn gives_away(fact: &Fact, factor: &str) -> bool {
    let Some(text) = fact.value.as_str() else { return false };
    text == factor || factor.split_whitespace().any(|word| word == text)
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
    !wrong.is_empty() && right.iter().any(|fact| lacks(wrong, fact))
}

/// Makes both speak of the same things where they can. An arm often does what the factor is not about: what comes of
/// that is an answer only as what could have come of the other.
fn compare(right: &mut Vec<Fact>, wrong: &mut Vec<Fact>) {
    if right.len() == wrong.len() && right.iter().zip(wrong.iter()).all(|(a, b)| is_alike(a, b)) {
        for (fact, other) in right.iter().zip(wrong) {
            other.what.clone_from(&fact.what);
        }
        return;
    }
    let common = |these: &[Fact], those: &[Fact]| -> Vec<Fact> {
        these.iter().filter(|fact| those.iter().any(|it| same(it, fact))).cloned().collect()
    };
    let (ours, theirs) = (common(right, wrong), common(wrong, right));
    if differ(&ours, &theirs) {
        (*right, *wrong) = (ours, theirs);
        return;
    }
    let is_outcome = |fact: &Fact| fact.value.as_outcome().is_some();
    let is_uniform = wrong.iter().all(|it| it.value == wrong[0].value);
    if right.iter().chain(wrong.iter()).all(is_outcome) && is_uniform {
        let value = wrong[0].value.clone();
        *wrong = right.iter().map(|fact| Fact { value: value.clone(), ..fact.clone() }).collect();
    }
}

/// Whether two facts answer the same question about two things: how the kernel answered, or words of which one differs.
fn is_alike(a: &Fact, b: &Fact) -> bool {
    let words = |fact: &Fact| fact.what.split_whitespace().map(String::from).collect::<Vec<_>>();
    let (these, those) = (words(a), words(b));
    let differing = these.iter().zip(&those).filter(|(a, b)| a != b).count();
    let one_word = these.len() == those.len() && these.len() > 1 && differing == 1;
    let are_outcomes = a.value.as_outcome().is_some() && b.value.as_outcome().is_some();
    a.view == b.view && (a.what == b.what || are_outcomes || one_word)
}

/// Whether a value is the same in every run, so that people can expect it.
fn is_steady(value: &Value) -> bool {
    match value {
        Value::Text(_) | Value::Number(_) | Value::Outcome(_) | Value::ExitStatus(_) => true,
        Value::Pid(pid) => *pid <= 99,
        Value::Namespace(_) | Value::Name(_) | Value::Nanoseconds(_) | Value::Count(_) => false,
        Value::List(values) => values.iter().all(is_steady),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ns_core::{Errno, Outcome};

    fn ok() -> Value {
        Value::Outcome(Outcome::Done)
    }

    fn refused() -> Value {
        Value::Outcome(Outcome::Failed(Errno::EINVAL))
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    /// What is told with the factor, and without it.
    fn told(factor: &str, with: &[(&str, Value)], without: &[(&str, Value)]) -> [Vec<String>; 2] {
        let claim =
            ClaimHead { id: "x".into(), text: "X.".into(), factor: factor.into(), ..ClaimHead::default() };
        let arm = |effect, facts: &[(&str, Value)]| Arm {
            effect,
            facts: facts.iter().map(|(what, value)| Fact::inside("child", *what, value.clone())).collect(),
        };
        let (right, wrong) = telling(&claim, &arm(false, without), &arm(true, with)).unwrap();
        [right, wrong].map(|it| it.iter().map(|it| format!("{} = {}", it.what, it.value)).collect())
    }

    #[test]
    fn what_the_other_arm_did_is_no_answer_but_how_the_kernel_answered_is() {
        let paired = told("a 16th byte", &[("16 bytes", refused())], &[("15 bytes", ok())]);
        assert_eq!(paired, [["16 bytes = EINVAL"], ["16 bytes = OK"]]);
        let several =
            told("a bridge", &[("move lo", refused()), ("move br0", refused())], &[("move m2", ok())]);
        assert_eq!(several, [["move lo = EINVAL", "move br0 = EINVAL"], ["move lo = OK", "move br0 = OK"]]);
        let words = told(
            "%d",
            &[("one made as n%d is called", text("n0"))],
            &[("one made as nd is called", text("nd"))],
        );
        assert_eq!(words, [["one made as n%d is called = n0"], ["one made as n%d is called = nd"]]);
        let ends = told(
            "an outside sender",
            &[("end", text("killed"))],
            &[("after its own SIGKILL", text("lives on"))],
        );
        assert_eq!(
            ends,
            [["end = killed"], ["after its own SIGKILL = lives on"]],
            "two ends are two answers"
        );
    }

    #[test]
    fn what_one_arm_alone_has_or_names_the_factor_gives_nothing_away() {
        let common = told(
            "mount -t proc",
            &[("mount()", ok()), ("readlink", Value::Number(1))],
            &[("readlink", Value::Number(7))],
        );
        assert_eq!(common, [["readlink = 1"], ["readlink = 7"]]);
        let named = told(
            "CLONE_NEWTIME",
            &[("unshared", text("CLONE_NEWTIME")), ("pthread_create()", ok())],
            &[("unshared", text("CLONE_NEWPID")), ("pthread_create()", refused())],
        );
        assert_eq!(named, [["pthread_create() = OK"], ["pthread_create() = EINVAL"]]);
        let twice = told(
            "a call",
            &[("hostname", text("a")), ("hostname", text("a"))],
            &[("hostname", text("b")), ("hostname", text("b"))],
        );
        assert_eq!(twice, [["hostname = a"], ["hostname = b"]]);
    }
}
