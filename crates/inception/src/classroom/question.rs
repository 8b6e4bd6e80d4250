//! From a judged claim to a question with two to four answers: what was seen in either arm, and what people believe.
//! It is made from what the claim declares and from the facts of its arms; no sentence is read for hints.

use ns_core::Value;
use ns_core::printable;
use transcript::{Arm, ClaimHead, DeclaredAnswer, NO, Verdict, YES};

use super::believed::believed;
use super::observed::Observed;
use super::order::{seed, shuffle};

/// No more can be read and weighed at a glance.
const MOST: usize = 4;

/// A question about a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// What is asked, a line.
    pub(super) asks: String,
    /// What can be answered, two to four.
    pub(super) answers: Vec<Answer>,
}

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// As it stands on the screen.
    pub(super) text: String,
    /// Whether it is what the kernel says.
    pub(super) right: bool,
    /// Why people give it who have it wrong.
    pub(super) why: Option<String>,
}

impl Question {
    /// Asks what is seen with the factor, where the arms differ in what can be told apart; else whether the sentence is
    /// so. `None` where the kernel has given no answer. `has_inside` says whether processes are in other namespaces;
    /// `show` sets a value; `turn` says which order the answers have.
    pub(super) fn of(
        claim: &ClaimHead,
        (verdict, expected): (Verdict, bool),
        arms: [&Arm; 2],
        has_inside: bool,
        mut show: impl FnMut(&Value) -> String,
        turn: u64,
    ) -> Option<Question> {
        if !matches!(verdict, Verdict::Holds | Verdict::Refuted) {
            return None;
        }
        if claim.answers.iter().any(|answer| answer.right) {
            // Which answer is right was declared for a verdict as expected.
            return expected.then(|| Question::declared(claim, turn));
        }
        let observed = if is_about_the_sentence(claim) {
            None
        } else {
            Observed::of(claim, arms, has_inside, &mut show)
        };
        let Some(Observed { asks, seen, believed }) = observed else {
            return Some(Question::whether(claim, verdict));
        };
        let mut answers: Vec<Answer> = Vec::new();
        for (at, text) in seen.into_iter().enumerate() {
            answers.push(Answer { text: printable(&text), right: at == 0, why: None });
        }
        for DeclaredAnswer { answer, why, .. } in believed {
            // What people believe may be what is seen without the factor.
            if let Some(same) = answers.iter_mut().find(|it| it.text == answer) {
                same.why = why.filter(|_| !same.right);
            } else if answers.len() < MOST {
                answers.push(Answer { text: printable(&answer), right: false, why });
            }
        }
        shuffle(&mut answers, seed(&claim.id) ^ turn);
        Some(Question { asks, answers })
    }

    /// Asks what the claim declares.
    fn declared(claim: &ClaimHead, turn: u64) -> Question {
        let answers = claim.answers.iter().map(|it| Answer {
            text: printable(&it.answer),
            right: it.right,
            why: it.why.clone(),
        });
        let mut answers: Vec<Answer> = answers.collect();
        shuffle(&mut answers, seed(&claim.id) ^ turn);
        Question { asks: claim.question.clone().unwrap_or_else(|| claim.text.clone()), answers }
    }

    /// Asks whether the sentence is so, which holds or is refuted.
    pub(super) fn whether(claim: &ClaimHead, verdict: Verdict) -> Question {
        let holds = verdict == Verdict::Holds;
        let believed = believed(claim);
        let answers = [(YES, holds), (NO, !holds)].map(|(text, right)| {
            let same = believed.iter().find(|it| it.answer == text && !right);
            Answer { text: text.into(), right, why: same.and_then(|it| it.why.clone()) }
        });
        let declared = claim.question.clone().filter(|_| is_about_the_sentence(claim));
        let asks = declared.unwrap_or_else(|| format!("Is it so? {}", claim.text));
        Question { asks, answers: answers.into() }
    }

    /// Whether `other` gives the answer to this question away: it asked the same, and the same is right.
    pub(super) fn is_given_away_by(&self, other: &Question) -> bool {
        self.asks == other.asks && self.answers[self.right()].text == other.answers[other.right()].text
    }

    /// Whether it has no answer that `other` did not have.
    pub(super) fn is_within(&self, other: &Question) -> bool {
        self.answers.iter().all(|it| other.answers.iter().any(|other| other.text == it.text))
    }

    /// The place of the answer that `given` means: its number from 1, or its text.
    pub(super) fn place(&self, given: &str) -> Option<usize> {
        let given = given.trim();
        let by_number = given.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let by_text = || self.answers.iter().position(|it| it.text.eq_ignore_ascii_case(given));
        by_number.filter(|at| *at < self.answers.len()).or_else(by_text)
    }

    /// The answer that the kernel gives.
    pub(super) fn right(&self) -> usize {
        self.answers.iter().position(|it| it.right).unwrap_or_default()
    }
}

/// Whether what people answer is that the sentence is so, or that it is not.
fn is_about_the_sentence(claim: &ClaimHead) -> bool {
    believed(claim).iter().any(|it| it.answer == YES || it.answer == NO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ns_core::Fact;
    use transcript::Misconception;

    fn head(misconceptions: &[(&str, &str)]) -> ClaimHead {
        ClaimHead {
            id: "is-one".into(),
            text: "It is PID 1.".into(),
            factor: "CLONE_NEWPID".into(),
            misconceptions: misconceptions
                .iter()
                .map(|(answer, why)| Misconception { answer: (*answer).into(), why: (*why).into() })
                .collect(),
            ..ClaimHead::default()
        }
    }

    fn arm(effect: bool, facts: &[(&str, Value)]) -> Arm {
        let fact = |(what, value): &(&str, Value)| Fact::inside("child", *what, value.clone());
        Arm { effect, facts: facts.iter().map(fact).collect() }
    }

    fn ask(claim: &ClaimHead, verdict: Verdict, without: &Arm, with: &Arm) -> Question {
        Question::of(claim, (verdict, true), [without, with], true, ToString::to_string, 0).unwrap()
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
                Fact::outside("seen", text(seen)),
            ],
        };
        let question = ask(&head(&[]), Verdict::Holds, &arm(false, "no"), &arm(true, "yes"));
        assert_eq!(question.asks, "With CLONE_NEWPID: what is seen?");
        let right = "socket (inside) = yes; devices (outside) = yes; seen (outside) = yes";
        assert_eq!(question.answers[question.right()].text, right);
        let believed = [("socket = no; devices = yes; seen = yes", "It is.")];
        let question = ask(&head(&believed), Verdict::Holds, &arm(false, "no"), &arm(true, "yes"));
        assert!(
            texts(&question).contains(&"socket (inside) = no; devices (outside) = yes; seen (outside) = yes")
        );
        // Nobody is inside of a file.
        let only = |seen: &str| Arm { effect: true, facts: vec![Fact::outside("mkdir", text(seen))] };
        let claim = ClaimHead { factor: "a newline".into(), ..head(&[]) };
        let asks = |has_inside| {
            let arms = [&only("OK"), &only("EINVAL")];
            Question::of(&claim, (Verdict::Holds, true), arms, has_inside, ToString::to_string, 0)
                .unwrap()
                .asks
        };
        assert_eq!(asks(false), "With a newline: mkdir = ?");
        assert_eq!(asks(true), "With a newline: outside, mkdir = ?");
    }

    #[test]
    fn what_the_claim_declares_is_what_is_asked() {
        let answer = |answer: &str, why: Option<&str>| DeclaredAnswer {
            right: false,
            answer: answer.into(),
            why: why.map(String::from),
        };
        let (without, with) =
            (arm(false, &[("getpid()", Value::Pid(812))]), arm(true, &[("getpid()", Value::Pid(1))]));
        let declared = ClaimHead {
            question: Some("Which PID does it see?".into()),
            answers: vec![answer("1", None), answer("0", Some("They count from 0."))],
            ..head(&[("7", "One more.")])
        };
        let question = ask(&declared, Verdict::Holds, &without, &with);
        assert_eq!((question.asks.as_str(), texts(&question)), ("Which PID does it see?", vec!["0", "1"]));
        assert_eq!(question.answers[question.right()].text, "1", "what the kernel says is right");
        let surprised =
            ask(&declared, Verdict::Refuted, &without, &arm(false, &[("getpid()", Value::Pid(9))]));
        assert_eq!(texts(&surprised), ["0", "1", "9"], "also where nobody has declared it");
        assert_eq!(surprised.answers[surprised.right()].text, "9");
        let believed = ClaimHead { answers: vec![answer(NO, Some("It is 812."))], ..declared };
        let question = ask(&believed, Verdict::Holds, &without, &with);
        assert_eq!((question.asks.as_str(), texts(&question)), ("Which PID does it see?", vec![NO, YES]));
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
        assert_eq!(
            Question::of(&claim, (Verdict::Inconclusive, true), [&arm, &arm], true, ToString::to_string, 0),
            None
        );
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

    #[test]
    fn a_declared_question_is_asked_where_the_verdict_is_as_expected() {
        let answer = |answer: &str, why: Option<&str>| DeclaredAnswer {
            answer: answer.into(),
            right: why.is_none(),
            why: why.map(String::from),
        };
        let claim = ClaimHead {
            question: Some("What does the host read?".into()),
            answers: vec![
                answer("the old name", None),
                answer("the new one", Some("root renames the machine")),
            ],
            ..head(&[])
        };
        let arm = Arm { effect: true, facts: vec![Fact::outside("hostname", "host")] };
        let of = |expected| {
            Question::of(&claim, (Verdict::Refuted, expected), [&arm, &arm], true, ToString::to_string, 0)
        };
        let question = of(true).unwrap();
        assert_eq!(question.asks, "What does the host read?");
        assert_eq!(question.answers[question.right()].text, "the old name");
        assert_eq!(of(false), None, "which answer is right then was not declared");
    }
}
