//! From a judged claim to a question with two to four answers: what was seen in either arm, and what people believe.

use ns_core::fact::printable;
use ns_core::{Fact, Value, View};

use crate::event::{Arm, ClaimHead, Misconception};
use crate::judge::Verdict;

/// The answer that a claim's sentence is so.
pub const YES: &str = "yes";
/// The answer that it is not.
pub const NO: &str = "no";

/// No more can be read and weighed at a glance.
const MOST: usize = 4;
/// An answer of more facts, or longer, is an account and no answer.
const FACTS: usize = 3;
const LONGEST: usize = 160;

/// A question about a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What is asked, a line.
    pub asks: String,
    /// What can be answered, two to four.
    pub answers: Vec<Answer>,
}

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// As it stands on the screen.
    pub text: String,
    /// Whether it is what the kernel says.
    pub right: bool,
    /// Why people give it who have it wrong.
    pub why: Option<String>,
}

impl Question {
    /// Asks what is seen with the cause, where the arms differ in what can be told apart; else whether the sentence is
    /// so. `None` where the kernel has given no answer. `show` sets a value; `turn` says which order the answers have.
    pub fn of(
        claim: &ClaimHead,
        verdict: Verdict,
        [without, with]: [&Arm; 2],
        mut show: impl FnMut(&Value) -> String,
        turn: u64,
    ) -> Option<Question> {
        if !matches!(verdict, Verdict::Holds | Verdict::Refuted) {
            return None;
        }
        let seen = |answer: &str| claim.misconceptions.iter().find(|it| it.answer == answer);
        let about_the_sentence = claim.misconceptions.iter().any(|it| it.answer == YES || it.answer == NO);
        let observed = if about_the_sentence { None } else { told_apart(claim, without, with, &mut show) };
        let (asks, mut answers) = match observed {
            Some((asks, right, other)) => {
                let mut answers = vec![(right, true)];
                answers.extend(other.map(|other| (other, false)));
                (asks, answers)
            }
            None => {
                let holds = verdict == Verdict::Holds;
                let asks = format!("Is it so? {}", claim.text);
                return Some(Question {
                    asks,
                    answers: [(YES, holds), (NO, !holds)]
                        .map(|(text, right)| Answer {
                            text: text.into(),
                            right,
                            why: seen(text).filter(|_| !right).map(|it| it.why.clone()),
                        })
                        .into(),
                });
            }
        };
        for Misconception { answer, .. } in &claim.misconceptions {
            if answers.len() < MOST && answers.iter().all(|(text, _)| text != answer) {
                answers.push((answer.clone(), false));
            }
        }
        let mut answers: Vec<Answer> = answers
            .into_iter()
            .map(|(text, right)| {
                let why = seen(&text).filter(|_| !right).map(|it| it.why.clone());
                Answer { text: printable(&text), right, why }
            })
            .collect();
        shuffle(&mut answers, seed(&claim.id) ^ turn);
        Some(Question { asks, answers })
    }

    /// The place of the answer that `given` means: its number from 1, or its text.
    pub fn place(&self, given: &str) -> Option<usize> {
        let given = given.trim();
        let by_number = given.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let by_text = || self.answers.iter().position(|it| it.text.eq_ignore_ascii_case(given));
        by_number.filter(|at| *at < self.answers.len()).or_else(by_text)
    }

    /// The answer that the kernel gives.
    pub fn right(&self) -> usize {
        self.answers.iter().position(|it| it.right).unwrap_or_default()
    }
}

/// The question what is seen with the cause, what is, and what is without it. `None` where the arms do not differ in
/// what people could tell apart, and no misconception stands beside what they have in common.
fn told_apart(
    claim: &ClaimHead,
    without: &Arm,
    with: &Arm,
    show: &mut impl FnMut(&Value) -> String,
) -> Option<(String, String, Option<String>)> {
    let alike = |a: &Fact, b: &Fact| a.view == b.view && a.what == b.what && a.value == b.value;
    let only = |these: &Arm, those: &Arm| -> Vec<Fact> {
        let mut facts: Vec<Fact> = these.facts.clone();
        facts.retain(|fact| !those.facts.iter().any(|other| alike(fact, other)));
        facts
    };
    let (mut right, mut wrong) = (only(with, without), only(without, with));
    // What differs from run to run anyway says nothing where something else differs, too.
    if right.iter().any(|it| is_steady(&it.value)) {
        right.retain(|it| is_steady(&it.value));
        let is_answered = |fact: &Fact| right.iter().any(|it| it.what == fact.what && it.view == fact.view);
        let says = |fact: &Fact| is_steady(&fact.value) || is_answered(fact);
        if wrong.iter().any(says) {
            wrong.retain(says);
        }
    }
    if right.is_empty() && wrong.is_empty() && !claim.misconceptions.is_empty() {
        right.clone_from(&with.facts);
    } else if right.is_empty()
        || wrong.is_empty()
        || !right.iter().chain(&wrong).any(|it| is_steady(&it.value))
    {
        return None;
    }
    // What was done to another thing without the cause is no answer beside what people believe of this one.
    let is_of_another = |fact: &Fact| right.iter().all(|it| it.what != fact.what);
    if !claim.misconceptions.is_empty() && wrong.iter().all(is_of_another) {
        wrong.clear();
    }
    let lead = if claim.cause.is_empty() { String::new() } else { format!("With {}: ", claim.cause) };
    let what = &right[0].what;
    let one_place = right.len() == 1 && wrong.iter().all(|it| it.what == *what) && wrong.len() <= 1;
    let views = |view| right.iter().chain(&wrong).any(|it| it.view == view);
    let both = views(View::Inside) && views(View::Outside);
    let mut set = |facts: &[Fact]| {
        let one = |fact: &Fact| {
            let value = show(&fact.value);
            let from = if both && fact.view == View::Outside { " (outside)" } else { "" };
            if one_place { value } else { format!("{}{from} = {value}", fact.what) }
        };
        facts.iter().map(one).collect::<Vec<_>>().join("; ")
    };
    let (said, other) = (set(&right), set(&wrong));
    let is_short = |facts: &[Fact], text: &str| facts.len() <= FACTS && text.chars().count() <= LONGEST;
    if !is_short(&right, &said) || !is_short(&wrong, &other) || said == other {
        return None;
    }
    let asks = if one_place { format!("{lead}{what} = ?") } else { format!("{lead}what is seen?") };
    Some((asks, said, (!wrong.is_empty()).then_some(other)))
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

/// FNV-1a, which gives a name the same number in every build.
fn seed(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// An order that follows from `seed` alone (Fisher and Yates, by the numbers of splitmix64).
fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for last in (1..items.len()).rev() {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = seed;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^= number >> 31;
        items.swap(last, usize::try_from(number % (last as u64 + 1)).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(misconceptions: &[(&str, &str)]) -> ClaimHead {
        ClaimHead {
            id: "is-one".into(),
            text: "It is PID 1.".into(),
            cause: "CLONE_NEWPID".into(),
            expect: "holds".into(),
            correction: None,
            notes: vec![],
            more: vec![],
            misconceptions: misconceptions
                .iter()
                .map(|(answer, why)| Misconception { answer: (*answer).into(), why: (*why).into() })
                .collect(),
        }
    }

    fn arm(effect: bool, facts: &[(&str, Value)]) -> Arm {
        let fact = |(what, value): &(&str, Value)| Fact::inside("child", *what, value.clone());
        Arm { effect, facts: facts.iter().map(fact).collect() }
    }

    fn ask(claim: &ClaimHead, verdict: Verdict, without: &Arm, with: &Arm) -> Question {
        Question::of(claim, verdict, [without, with], ToString::to_string, 0).unwrap()
    }

    fn texts(question: &Question) -> Vec<&str> {
        let mut texts: Vec<_> = question.answers.iter().map(|it| it.text.as_str()).collect();
        texts.sort_unstable();
        texts
    }

    #[test]
    fn what_either_arm_saw_is_an_answer_and_so_is_what_people_believe() {
        let claim = head(&[("0", "They count from 0."), ("812", "Nothing changes."), ("7", "One more.")]);
        let (without, with) =
            (arm(false, &[("getpid()", Value::Pid(812))]), arm(true, &[("getpid()", Value::Pid(1))]));
        let question = ask(&claim, Verdict::Holds, &without, &with);
        assert_eq!(question.asks, "With CLONE_NEWPID: getpid() = ?");
        assert_eq!(texts(&question), ["0", "1", "7", "812"]);
        assert_eq!(question.answers[question.right()].text, "1");
        let believed = question.answers.iter().find(|it| it.text == "812").unwrap();
        assert_eq!(
            believed.why.as_deref(),
            Some("Nothing changes."),
            "the other arm's value may be believed in"
        );
    }

    #[test]
    fn arms_that_cannot_be_told_apart_ask_for_the_sentence() {
        let same = arm(false, &[("kill()", Value::Text("OK".into()))]);
        let question = ask(&head(&[]), Verdict::Refuted, &same, &same);
        assert_eq!(question.asks, "Is it so? It is PID 1.");
        assert_eq!(texts(&question), [NO, YES]);
        assert_eq!(question.answers[question.right()].text, NO);
        let (one, other) =
            (arm(false, &[("time", Value::Nanoseconds(1))]), arm(true, &[("time", Value::Nanoseconds(2))]));
        assert!(ask(&head(&[]), Verdict::Holds, &one, &other).asks.starts_with("Is it so?"));
        let believed = ask(&head(&[("EPERM", "It may not.")]), Verdict::Refuted, &same, &same);
        assert_eq!(texts(&believed), ["EPERM", "OK"], "what people believe stands beside what is");
    }

    #[test]
    fn what_says_nothing_is_no_answer() {
        let text = |text: &str| Value::Text(text.into());
        let without =
            arm(false, &[("kill()", text("OK")), ("end", text("SIGTERM")), ("its PID", Value::Pid(812))]);
        let with =
            arm(true, &[("kill()", text("OK")), ("heard", text("SIGUSR1")), ("its PID", Value::Pid(813))]);
        let question = ask(&head(&[]), Verdict::Holds, &without, &with);
        assert_eq!(question.asks, "With CLONE_NEWPID: what is seen?");
        assert_eq!(texts(&question), ["end = SIGTERM", "heard = SIGUSR1"]);
        let without = arm(false, &[("getpid()", Value::Pid(812)), ("its PID", Value::Pid(812))]);
        let with = arm(true, &[("getpid()", Value::Pid(1)), ("its PID", Value::Pid(813))]);
        assert_eq!(texts(&ask(&head(&[]), Verdict::Holds, &without, &with)), ["1", "812"]);
    }

    #[test]
    fn what_cannot_be_told_is_not_asked() {
        let arm = arm(true, &[("getpid()", Value::Pid(1))]);
        let claim = head(&[]);
        assert_eq!(Question::of(&claim, Verdict::Unproven, [&arm, &arm], ToString::to_string, 0), None);
    }

    #[test]
    fn the_order_follows_from_the_claim_and_does_not_give_away() {
        let places: Vec<usize> = (0..40)
            .map(|number| {
                let claim = ClaimHead { id: format!("claim-{number}"), ..head(&[("0", ""), ("7", "")]) };
                let (without, with) =
                    (arm(false, &[("getpid()", Value::Pid(812))]), arm(true, &[("getpid()", Value::Pid(1))]));
                let [first, again] = [(); 2].map(|()| ask(&claim, Verdict::Holds, &without, &with));
                assert_eq!(first, again);
                first.right()
            })
            .collect();
        assert!((0..4).all(|place| places.contains(&place)), "{places:?}");
    }

    #[test]
    fn an_answer_goes_by_its_number_and_by_its_text() {
        let same = arm(false, &[("kill()", Value::Text("OK".into()))]);
        let question = ask(&head(&[]), Verdict::Refuted, &same, &same);
        assert_eq!(question.place(" 2 "), Some(1));
        assert_eq!(question.place("No"), question.answers.iter().position(|it| it.text == NO));
        assert_eq!([question.place("3"), question.place("0"), question.place("maybe")], [None; 3]);
    }
}
