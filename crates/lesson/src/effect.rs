//! The effect that a claim speaks of: data, with its value where the effect is there and its value where it is not.
//!
//! Each [`Effect`] names the facts on which it rests, and what each of them reads. So a misspelt name is found whatever
//! the kernel answers. An answer that is neither of the two values, such as ENOSYS where OK or EPERM are the answers,
//! is a third thing.
//!
//! # Several facts
//!
//! `a & b` are the parts of one effect: the factor brings about each of them. The control shows none, the treatment all.
//! So neither hides that the other was there without the factor.
//!
//! What is so with the factor and without it is no part. [`Compared::in_both_arms`] says it. That is what the sentence
//! says of both arms, or what has to be so before the effect means anything.
//!
//! ```
//! # use lesson::{Claim, Lab, inside, outside};
//! # use ns_core::{Fact, Namespaces};
//! # fn judge(lab: &mut Lab, [NONSENSE, NAMES]: [Claim; 2], write_limit: fn(&str) -> anyhow::Result<Vec<Fact>>,
//! #     rename_inside: fn(Namespaces) -> anyhow::Result<Vec<Fact>>) -> anyhow::Result<()> {
//! // "Writing 10% to pids.max fails with EINVAL, and the old limit stays." The control writes the old limit.
//! lab.compare(NONSENSE, "5", "10%", write_limit)?
//!     .in_both_arms(outside("cat pids.max").is("5"))
//!     .shows(outside("write").is("EINVAL"))?;
//! // "A new UTS namespace has two names of its own."
//! lab.compare(NAMES, Namespaces::NONE, Namespaces::UTS, rename_inside)?
//!     .shows(outside("hostname").is("outside") & outside("NIS domain name").is("outside.example"))
//! # }
//! ```
//!
//! | | in the control | in the treatment |
//! |---|---|---|
//! | `.shows(a & b)` | any of them: inconclusive | not all of them: refuted |
//! | `.in_both_arms(c)` | no c: skipped or broken | no c: refuted; where that is expected, skipped or broken |
//!
//! So a slip is found: a part that the factor does not change is inconclusive. And where c is missing, no verdict comes
//! out as expected. The claim is skipped if this machine is the reason, and else the experiment is broken.
//!
//! [`Compared::in_both_arms`]: crate::Compared::in_both_arms

use std::ops::BitAnd;

use ns_core::{Errno, Fact, Outcome, Value, View};

/// What the two arms of a claim are held against: one condition, or several joined by `&`.
#[must_use = "an effect does nothing until an arm is held against it"]
pub struct Effect(Vec<Condition>);

/// What one arm shows of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// The effect: all its parts.
    Present,
    /// Some of its parts, and others not.
    InPart,
    /// No effect: none of its parts.
    Absent,
    /// Neither: the kernel gave an answer that the experiment does not know what to make of.
    Neither {
        /// The call, or what else was looked at.
        what: String,
        /// The answer.
        errno: Errno,
    },
}

/// A name by which no fact was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSuchFact {
    /// What was asked for: `inside "getpid()"`.
    pub asked: String,
}

/// Which fact of an arm is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which<Name> {
    Named(View, Name),
    First,
    Last,
    Every,
}

impl<Name: AsRef<str>> Which<Name> {
    /// The facts that are meant.
    pub(crate) fn find<'a>(&self, facts: &'a [Fact]) -> Vec<&'a Fact> {
        match self {
            Which::Named(view, what) => {
                let is_meant = |fact: &&Fact| fact.view == *view && fact.what == what.as_ref();
                facts.iter().find(is_meant).into_iter().collect()
            }
            Which::First => facts.first().into_iter().collect(),
            Which::Last => facts.last().into_iter().collect(),
            Which::Every => facts.iter().collect(),
        }
    }
}

/// A fact that is asked for, and not yet what it has to read.
#[derive(Debug, Clone)]
#[must_use = "say what the fact reads: .is(…), .from(…).to(…), …"]
pub struct Ask(Which<String>);

/// A fact, and what it reads where there is no effect.
#[derive(Debug, Clone)]
#[must_use = "say what the fact reads where the effect is there: .to(…)"]
pub struct From {
    ask: Ask,
    absent: Vec<Value>,
}

type Test = Box<dyn Fn(&Value) -> bool>;

enum Wanted {
    /// One of these, or else one of those.
    Between { absent: Vec<Value>, present: Value },
    /// This; any other value that is no error of the kernel's is its absence.
    Is(Value),
    /// Anything but this.
    IsNot(Value),
    /// Whatever passes.
    That(Test),
    /// The same as, or another than, another fact of the same arm; or else one of those.
    Relation { other: Ask, same: bool, absent: Vec<Value> },
}

struct Condition {
    ask: Ask,
    wanted: Wanted,
}

/// The fact `what`, as a child saw it.
pub fn inside(what: impl Into<String>) -> Ask {
    Ask(Which::Named(View::Inside, what.into()))
}

/// The fact `what`, as the experiment saw it from outside.
pub fn outside(what: impl Into<String>) -> Ask {
    Ask(Which::Named(View::Outside, what.into()))
}

/// The first fact of an arm: for arms that report one alone.
pub fn first() -> Ask {
    Ask(Which::First)
}

/// The last fact of an arm.
pub fn last() -> Ask {
    Ask(Which::Last)
}

/// Every fact of an arm. A condition on it is a part for each of them, as if they were joined by `&`.
pub fn every() -> Ask {
    Ask(Which::Every)
}

impl Ask {
    /// It reads `present` where the effect is there, and any other value where it is not. But an errno other than
    /// `present` is neither: where a refusal is the absence of the effect, [`Ask::from`] names it.
    pub fn is(self, present: impl Into<Value>) -> Effect {
        self.with(Wanted::Is(present.into()))
    }

    /// It reads anything but `absent` where the effect is there.
    pub fn is_not(self, absent: impl Into<Value>) -> Effect {
        self.with(Wanted::IsNot(absent.into()))
    }

    /// It reads `absent` where there is no effect; `.to(…)` says what it reads where there is. Any errno but these two
    /// is neither.
    pub fn from(self, absent: impl Into<Value>) -> From {
        From { ask: self, absent: vec![absent.into()] }
    }

    /// It reads something of which `test` is true where the effect is there.
    pub fn that(self, test: impl Fn(&Value) -> bool + 'static) -> Effect {
        self.with(Wanted::That(Box::new(test)))
    }

    /// It reads the same as `other` where the effect is there.
    pub fn same_as(self, other: Ask) -> Effect {
        self.with(Wanted::Relation { other, same: true, absent: Vec::new() })
    }

    /// It reads something else than `other` where the effect is there.
    pub fn differs_from(self, other: Ask) -> Effect {
        self.with(Wanted::Relation { other, same: false, absent: Vec::new() })
    }

    fn with(self, wanted: Wanted) -> Effect {
        Effect(vec![Condition { ask: self, wanted }])
    }

    /// The facts that are meant.
    fn find<'a>(&self, facts: &'a [Fact]) -> Vec<&'a Fact> {
        self.0.find(facts)
    }

    fn typed(&self) -> String {
        match &self.0 {
            Which::Named(View::Inside, what) => format!("inside {what:?}"),
            Which::Named(View::Outside, what) => format!("outside {what:?}"),
            Which::First | Which::Last | Which::Every => "any fact".into(),
        }
    }
}

impl From {
    /// Another value where there is no effect.
    pub fn or(mut self, absent: impl Into<Value>) -> From {
        self.absent.push(absent.into());
        self
    }

    /// It reads the same as `other` where the effect is there.
    pub fn to_same_as(self, other: Ask) -> Effect {
        self.ask.with(Wanted::Relation { other, same: true, absent: self.absent })
    }

    /// What it reads where the effect is there.
    pub fn to(self, present: impl Into<Value>) -> Effect {
        self.ask.with(Wanted::Between { absent: self.absent, present: present.into() })
    }
}

impl BitAnd for Effect {
    type Output = Effect;

    /// Both effects, each of which the factor has to bring about. Each is looked at in any case, so that no name goes
    /// unread.
    fn bitand(mut self, other: Effect) -> Effect {
        self.0.extend(other.0);
        self
    }
}

impl Effect {
    /// Holds both arms against the effect.
    ///
    /// # Errors
    /// [`NoSuchFact`] for a name that an arm does not report.
    pub(crate) fn in_both(&self, control: &[Fact], treatment: &[Fact]) -> Result<[Shown; 2], NoSuchFact> {
        for ask in self.0.iter().flat_map(Condition::asks) {
            if [control, treatment].iter().any(|facts| ask.find(facts).is_empty()) {
                return Err(NoSuchFact { asked: ask.typed() });
            }
        }
        Ok([self.of(control), self.of(treatment)])
    }

    /// The facts by which an arm does not show what is wanted of it: the effect, or no effect.
    pub(crate) fn against<'a>(&self, facts: &'a [Fact], wanted: bool) -> Vec<&'a Fact> {
        let against = self.0.iter().filter(|condition| condition.of(facts) != presence(wanted));
        against.flat_map(|condition| condition.asks().flat_map(|ask| ask.find(facts))).collect()
    }

    fn of(&self, facts: &[Fact]) -> Shown {
        together(self.0.iter().map(|condition| condition.of(facts)))
    }
}

/// What several parts come to.
fn together(parts: impl Iterator<Item = Shown>) -> Shown {
    let mut whole = None;
    for part in parts {
        match whole {
            _ if matches!(part, Shown::Neither { .. }) => return part,
            None => whole = Some(part),
            Some(ref shown) if *shown == part => {}
            Some(_) => whole = Some(Shown::InPart),
        }
    }
    whole.unwrap_or(Shown::Absent)
}

impl Condition {
    fn asks(&self) -> impl Iterator<Item = &Ask> {
        let other = match &self.wanted {
            Wanted::Relation { other, .. } => Some(other),
            _ => None,
        };
        [Some(&self.ask), other].into_iter().flatten()
    }

    fn of(&self, facts: &[Fact]) -> Shown {
        together(self.ask.find(facts).into_iter().map(|fact| self.met_by(fact, facts)))
    }

    fn met_by(&self, fact: &Fact, facts: &[Fact]) -> Shown {
        let value = &fact.value;
        // A refusal is no effect only where that is what was asked about.
        let errno_or = |shown: Shown| match value {
            Value::Outcome(Outcome::Failed(errno)) => {
                Shown::Neither { what: fact.what.clone(), errno: *errno }
            }
            _ => shown,
        };
        match &self.wanted {
            Wanted::Between { present, .. } if reads(value, present) => Shown::Present,
            Wanted::Between { absent, .. } if absent.iter().any(|absent| reads(value, absent)) => {
                Shown::Absent
            }
            Wanted::Between { .. } => errno_or(Shown::Absent),
            Wanted::Is(present) if reads(value, present) => Shown::Present,
            Wanted::Is(_) => errno_or(Shown::Absent),
            Wanted::IsNot(absent) if reads(value, absent) => Shown::Absent,
            Wanted::IsNot(_) => errno_or(Shown::Present),
            Wanted::That(test) if test(value) => Shown::Present,
            Wanted::That(_) => errno_or(Shown::Absent),
            Wanted::Relation { absent, .. } if absent.iter().any(|absent| reads(value, absent)) => {
                Shown::Absent
            }
            Wanted::Relation { other, same, .. } => match other.find(facts).first() {
                // A refusal has nothing to be compared by.
                Some(Fact { what, value: Value::Outcome(Outcome::Failed(errno)), .. }) => {
                    Shown::Neither { what: what.clone(), errno: *errno }
                }
                Some(other) => errno_or(presence((other.value == *value) == *same)),
                None => Shown::Absent,
            },
        }
    }
}

fn presence(present: bool) -> Shown {
    if present { Shown::Present } else { Shown::Absent }
}

/// Whether a value reads as is wanted: words are compared with what is printed, numbers by what they count.
fn reads(value: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Text(text) | Value::Name(text) => *value == text.as_str(),
        Value::Number(number) => *value == *number,
        other => value == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(errno: Option<Errno>) -> [Fact; 1] {
        let outcome = errno.map_or(Outcome::Done, Outcome::Failed);
        [Fact::inside("child", "call()", outcome)]
    }

    fn shown(effect: &Effect, facts: &[Fact]) -> Shown {
        effect.in_both(facts, facts).unwrap()[0].clone()
    }

    #[test]
    fn an_errno_that_nobody_named_is_neither() {
        let cases = [
            (inside("call()").is("EPERM"), [Shown::Absent, Shown::Present]),
            (inside("call()").from("OK").to("EPERM"), [Shown::Absent, Shown::Present]),
            (inside("call()").from("EPERM").to("OK"), [Shown::Present, Shown::Absent]),
            (inside("call()").is_not("EPERM"), [Shown::Present, Shown::Absent]),
        ];
        for (effect, expected) in cases {
            let [done, refused] = [None, Some(Errno::EPERM)].map(|errno| shown(&effect, &answered(errno)));
            assert_eq!([done, refused], expected);
            let unknown = shown(&effect, &answered(Some(Errno::ENOSYS)));
            assert_eq!(unknown, Shown::Neither { what: "call()".into(), errno: Errno::ENOSYS });
        }
        let alone = inside("call()").is("OK");
        let neither = Shown::Neither { what: "call()".into(), errno: Errno::EPERM };
        assert_eq!(
            shown(&alone, &answered(Some(Errno::EPERM))),
            neither,
            "which refusal is its absence is not said"
        );
    }

    #[test]
    fn a_name_that_no_arm_reports_is_found_behind_a_condition_that_is_not_met() {
        let effect = inside("call()").is("EPERM") & inside("cal()").is("EPERM");
        let done = answered(None);
        assert_eq!(effect.in_both(&done, &done), Err(NoSuchFact { asked: "inside \"cal()\"".into() }));
        let other_side = outside("call()").is("EPERM");
        assert!(other_side.in_both(&done, &done).is_err());
    }

    #[test]
    fn a_name_that_one_arm_alone_reports_is_found() {
        let [one, both] = [
            vec![Fact::inside("child", "y", 1)],
            vec![Fact::inside("child", "x", 1), Fact::inside("child", "y", 1)],
        ];
        for [control, treatment] in [[&one, &both], [&both, &one]] {
            let missing = inside("x").is(1).in_both(control, treatment);
            assert_eq!(missing, Err(NoSuchFact { asked: "inside \"x\"".into() }));
        }
        assert!(inside("x").is(1).in_both(&both, &both).is_ok());
    }

    #[test]
    fn two_facts_of_an_arm_are_compared() {
        let facts = [Fact::inside("child", "name", "a"), Fact::outside("name", "b")];
        assert_eq!(shown(&inside("name").same_as(outside("name")), &facts), Shown::Absent);
        assert_eq!(shown(&inside("name").differs_from(outside("name")), &facts), Shown::Present);
        assert_eq!(shown(&every().is("a"), &facts), Shown::InPart);
        assert_eq!(shown(&(first().is("a") & last().is("b")), &facts), Shown::Present);
    }

    #[test]
    fn an_effect_is_there_in_all_its_parts_and_absent_in_none_of_them() {
        let facts = [Fact::inside("child", "x", 1), Fact::inside("child", "y", 2)];
        let is = |x: i64, y: i64| shown(&(inside("x").is(x) & inside("y").is(y)), &facts);
        assert_eq!(
            [is(1, 2), is(1, 0), is(0, 2), is(0, 0)],
            [Shown::Present, Shown::InPart, Shown::InPart, Shown::Absent]
        );
    }

    #[test]
    fn a_refusal_is_like_nothing_and_unlike_nothing() {
        let refused = Fact::outside("a", Outcome::Failed(Errno::ENOSYS));
        for facts in [[refused.clone(), Fact::outside("b", 1)], [Fact::outside("b", 1), refused.clone()]] {
            for effect in [outside("a").same_as(outside("b")), outside("b").differs_from(outside("a"))] {
                let neither = Shown::Neither { what: "a".into(), errno: Errno::ENOSYS };
                assert_eq!(shown(&effect, &facts), neither);
            }
        }
        let named = outside("a").from("ENOSYS").to_same_as(outside("b"));
        assert_eq!(shown(&named, &[refused, Fact::outside("b", 1)]), Shown::Absent);
        assert_eq!(shown(&named, &[Fact::outside("a", 1), Fact::outside("b", 1)]), Shown::Present);
    }

    #[test]
    fn numbers_and_words_read_as_they_print() {
        let facts =
            [Fact::inside("child", "getpid()", ns_core::Pid::from_raw(1)), Fact::outside("kept", true)];
        assert_eq!(shown(&(inside("getpid()").is(1) & outside("kept").is("yes")), &facts), Shown::Present);
        assert_eq!(shown(&inside("getpid()").that(|pid| pid.as_i64() > Some(1)), &facts), Shown::Absent);
    }
}
