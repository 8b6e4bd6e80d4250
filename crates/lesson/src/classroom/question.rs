//! From a judged claim to a question with two to four answers: what was seen in either arm, and what people believe.

use ns_core::fact::printable;
use ns_core::{Fact, Value, View};

use super::telling::telling;
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
        let about_the_sentence = claim.misconceptions.iter().any(|it| it.answer == YES || it.answer == NO);
        let observed = if about_the_sentence { None } else { Observed::of(claim, without, with, &mut show) };
        let Some(Observed { asks, seen, believed }) = observed else {
            return Some(Question::whether(claim, verdict));
        };
        let mut answers: Vec<Answer> = Vec::new();
        for (at, text) in seen.into_iter().enumerate() {
            answers.push(Answer { text: printable(&text), right: at == 0, why: None });
        }
        for Misconception { answer, why } in believed {
            // What people believe may be what is seen without the cause.
            if let Some(same) = answers.iter_mut().find(|it| it.text == answer) {
                same.why = (!same.right).then_some(why);
            } else if answers.len() < MOST {
                answers.push(Answer { text: printable(&answer), right: false, why: Some(why) });
            }
        }
        shuffle(&mut answers, seed(&claim.id) ^ turn);
        Some(Question { asks, answers })
    }

    /// Asks whether the sentence is so, which holds or is refuted.
    pub fn whether(claim: &ClaimHead, verdict: Verdict) -> Question {
        let holds = verdict == Verdict::Holds;
        let answers = [(YES, holds), (NO, !holds)].map(|(text, right)| {
            let why = claim.misconceptions.iter().find(|it| it.answer == text && !right);
            Answer { text: text.into(), right, why: why.map(|it| it.why.clone()) }
        });
        Question { asks: format!("Is it so? {}", claim.text), answers: answers.into() }
    }

    /// Whether `other` gives the answer to this question away: it asked the same, and the same is right.
    pub fn is_given_away_by(&self, other: &Question) -> bool {
        self.asks == other.asks && self.answers[self.right()].text == other.answers[other.right()].text
    }

    /// Whether it has no answer that `other` did not have.
    pub fn is_within(&self, other: &Question) -> bool {
        self.answers.iter().all(|it| other.answers.iter().any(|other| other.text == it.text))
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

/// What is seen with the cause, as an answer beside others.
struct Observed {
    asks: String,
    /// With the cause; then without it, if that is an answer to the same question.
    seen: Vec<String>,
    believed: Vec<Misconception>,
}

impl Observed {
    /// `None` where people could not tell the arms apart, nor what they believe from what is.
    fn of(
        claim: &ClaimHead,
        without: &Arm,
        with: &Arm,
        show: &mut impl FnMut(&Value) -> String,
    ) -> Option<Observed> {
        let (right, wrong) = telling(claim, without, with)?;
        let what = &right[0].what;
        let mut believed = claim.misconceptions.clone();
        for it in &mut believed {
            if let Some(value) = it.answer.strip_prefix(&format!("{what} = ")) {
                it.answer = value.into();
            }
        }
        // One thing that is looked at: then its value is the answer.
        let is_one = right.len() == 1
            && wrong.len() <= 1
            && wrong.iter().all(|it| it.what == *what)
            && believed.iter().all(|it| !it.answer.contains(" = "));
        if !is_one {
            believed.clone_from(&claim.misconceptions);
        }
        let both = right.iter().chain(&wrong).any(|it| it.view != right[0].view);
        let mark = |what: &str, view: View| match view {
            View::Outside if both && !names_a_side(what) => " (outside)",
            View::Inside if both && !names_a_side(what) => " (inside)",
            _ => "",
        };
        let mut set = |facts: &[Fact]| {
            let one = |fact: &Fact| {
                let value = show(&fact.value);
                if is_one { value } else { format!("{}{} = {value}", fact.what, mark(&fact.what, fact.view)) }
            };
            facts.iter().map(one).collect::<Vec<_>>().join("; ")
        };
        if !is_one {
            // What people believe is set as what was seen, or it would be told by its looks.
            for it in &mut believed {
                let one = |fact: &str| match fact.split_once(" = ") {
                    Some((what, value)) => {
                        let seen = right.iter().chain(&wrong).find(|it| it.what == what);
                        format!("{what}{} = {value}", seen.map_or("", |it| mark(what, it.view)))
                    }
                    None => fact.into(),
                };
                it.answer = it.answer.split("; ").map(one).collect::<Vec<_>>().join("; ");
            }
        }
        let seen: Vec<String> =
            [&right, &wrong].into_iter().filter(|it| !it.is_empty()).map(|it| set(it)).collect();
        let is_short = [&right, &wrong].iter().all(|it| it.len() <= FACTS)
            && seen.iter().all(|it| it.chars().count() <= LONGEST);
        if !is_short || (seen.len() == 2 && seen[0] == seen[1]) || seen.len() + believed.len() < 2 {
            return None;
        }
        let lead = if claim.cause.is_empty() { String::new() } else { format!("With {}: ", claim.cause) };
        let is_told = both
            || !has_sides(claim, [without, with])
            || right.iter().chain(&wrong).any(|it| names_a_side(&it.what));
        let asks = match (is_one, right[0].view) {
            (true, _) if is_told => format!("{lead}{what} = ?"),
            (true, View::Inside) => format!("{lead}inside, {what} = ?"),
            (true, View::Outside) => format!("{lead}outside, {what} = ?"),
            (false, _) if is_told => format!("{lead}what is seen?"),
            (false, View::Inside) => format!("{lead}what is seen inside?"),
            (false, View::Outside) => format!("{lead}what is seen from outside?"),
        };
        Some(Observed { asks, seen, believed })
    }
}

/// Whether there are two sides that something can be seen from. There are not where nobody is inside: all is seen by the
/// experiment itself, of what is no namespace.
fn has_sides(claim: &ClaimHead, arms: [&Arm; 2]) -> bool {
    let is_inside = arms.iter().any(|arm| arm.facts.iter().any(|it| it.view == View::Inside));
    let is_namespace = ["CLONE_NEW", "setns", "namespace"].iter().any(|it| claim.cause.contains(it));
    is_inside || is_namespace
}

/// Whether the words say themselves on which side.
fn names_a_side(what: &str) -> bool {
    let mut words = what.split(|c: char| !c.is_alphanumeric() && c != '/' && c != '"');
    words.any(|word| word == "inside" || word == "outside")
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
        assert_eq!(question.asks, "With CLONE_NEWPID: inside, getpid() = ?");
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
        let believed = ask(&head(&[("kill() = EPERM", "It may not.")]), Verdict::Refuted, &same, &same);
        assert_eq!(
            (believed.asks.as_str(), texts(&believed)),
            ("With CLONE_NEWPID: inside, kill() = ?", vec!["EPERM", "OK"])
        );
    }

    #[test]
    fn what_says_nothing_is_no_answer() {
        let text = |text: &str| Value::Text(text.into());
        let without =
            arm(false, &[("kill()", text("OK")), ("end", text("SIGTERM")), ("its PID", Value::Pid(812))]);
        let with =
            arm(true, &[("kill()", text("OK")), ("heard", text("SIGUSR1")), ("its PID", Value::Pid(813))]);
        let question = ask(&head(&[]), Verdict::Holds, &without, &with);
        assert_eq!(question.asks, "With CLONE_NEWPID: what is seen inside?");
        assert_eq!(texts(&question), ["end = SIGTERM", "heard = SIGUSR1"]);
        let without = arm(false, &[("getpid()", Value::Pid(812)), ("its PID", Value::Pid(812))]);
        let with = arm(true, &[("getpid()", Value::Pid(1)), ("its PID", Value::Pid(813))]);
        assert_eq!(texts(&ask(&head(&[]), Verdict::Holds, &without, &with)), ["1", "812"]);
    }

    #[test]
    fn an_answer_says_from_which_side_and_so_does_what_is_believed() {
        let text = |text: &str| Value::Text(text.into());
        let arm = |effect, seen: &str| Arm {
            effect,
            facts: vec![
                Fact::inside("child", "socket", text(seen)),
                Fact::outside("devices", text(seen)),
                Fact::outside("seen outside", text(seen)),
            ],
        };
        let question = ask(&head(&[]), Verdict::Holds, &arm(false, "no"), &arm(true, "yes"));
        assert_eq!(question.asks, "With CLONE_NEWPID: what is seen?");
        let right = "socket (inside) = yes; devices (outside) = yes; seen outside = yes";
        assert_eq!(question.answers[question.right()].text, right);
        let believed = [("socket = no; devices = yes; seen outside = yes", "It is.")];
        let question = ask(&head(&believed), Verdict::Holds, &arm(false, "no"), &arm(true, "yes"));
        assert!(
            texts(&question).contains(&"socket (inside) = no; devices (outside) = yes; seen outside = yes")
        );
        // Nobody is inside of a file.
        let only = |seen: &str| Arm { effect: true, facts: vec![Fact::outside("mkdir", text(seen))] };
        let claim = ClaimHead { cause: "a newline".into(), ..head(&[]) };
        assert_eq!(
            ask(&claim, Verdict::Holds, &only("OK"), &only("EINVAL")).asks,
            "With a newline: mkdir = ?"
        );
        assert_eq!(
            ask(&head(&[]), Verdict::Holds, &only("OK"), &only("EINVAL")).asks,
            "With CLONE_NEWPID: outside, mkdir = ?"
        );
    }

    #[test]
    fn what_was_asked_before_gives_the_same_question_away() {
        let of = |values: [&str; 2]| {
            let [without, with] =
                values.map(|it| arm(it == values[1], &[("kill()", Value::Text(it.into()))]));
            ask(&head(&[]), Verdict::Holds, &without, &with)
        };
        let before = of(["OK", "EPERM"]);
        assert!(of(["OK", "EPERM"]).is_given_away_by(&before) && of(["OK", "EPERM"]).is_within(&before));
        assert!(
            of(["ESRCH", "EPERM"]).is_given_away_by(&before) && !of(["ESRCH", "EPERM"]).is_within(&before)
        );
        assert!(!of(["EPERM", "OK"]).is_given_away_by(&before), "another is right");
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
