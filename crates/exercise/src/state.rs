//! How far a learner is, as the log has it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::attempt::Learner;
use crate::event::{Event, Logged};
use crate::seed::Seed;
use crate::trace::Trace;

/// All attempts of a log, in the order in which they began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The attempts.
    pub attempts: Vec<Open>,
}

/// An attempt, as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The exercise's name.
    pub exercise: String,
    /// Which attempt of it, from 1.
    pub number: u32,
    /// What its values were drawn from.
    pub seed: Seed,
    /// Who began it.
    pub learner: Learner,
    /// The directory in which the learner may make cgroups, if the exercise needs one.
    pub cgroup: Option<PathBuf>,
    /// When it began.
    pub started: String,
    /// When every requirement was met, if ever.
    pub done: Option<String>,
    /// It was taken back.
    pub is_reset: bool,
    /// How often it was checked.
    pub checks: u32,
    /// What the last check said of each requirement, in the order of the file.
    pub said: Vec<String>,
    /// The requirements that the last check found met.
    pub met: BTreeSet<String>,
    /// Those that it did not.
    pub unmet: Vec<String>,
    /// The last hint that was read, by requirement.
    pub hints: BTreeMap<String, u8>,
    /// The solution was read.
    pub solution: bool,
    /// What the checks have shown that is to be gone in the end.
    pub(crate) shown: BTreeSet<String>,
    /// What the checks found to be of the learner's making.
    pub(crate) trace: Trace,
}

impl State {
    /// What the lines of a log come to. What is about no attempt that began counts for nothing.
    pub fn of(log: &[Logged]) -> State {
        let mut state = State::default();
        for logged in log {
            state.take(logged);
        }
        state
    }

    /// The last attempt of an exercise that was not taken back.
    pub fn of_exercise(&self, name: &str) -> Option<&Open> {
        self.attempts.iter().rev().find(|attempt| attempt.exercise == name && !attempt.is_reset)
    }

    /// The attempt that is open: the last that is neither done nor taken back; else the last that is done.
    pub fn open(&self) -> Option<&Open> {
        let last = |wants_done: bool| {
            let mut all = self.attempts.iter().rev();
            all.find(|attempt| !attempt.is_reset && attempt.done.is_some() == wants_done)
        };
        last(false).or_else(|| last(true))
    }

    /// Whether some attempt of an exercise was done.
    pub fn is_done(&self, name: &str) -> bool {
        self.attempts.iter().any(|attempt| attempt.exercise == name && attempt.done.is_some())
    }

    /// The number of the next attempt of an exercise.
    pub fn next(&self, name: &str) -> u32 {
        let numbers = self.attempts.iter().filter(|attempt| attempt.exercise == name).map(|it| it.number);
        numbers.max().unwrap_or(0).saturating_add(1)
    }

    fn take(&mut self, logged: &Logged) {
        let Logged { event, exercise, attempt: number, time } = logged;
        if let Event::Started { seed, student, class, uid, gid, user, cgroup, .. } = event {
            let learner = Learner {
                student: student.clone(),
                class: class.clone(),
                uid: *uid,
                gid: *gid,
                user: user.clone(),
            };
            let open = Open::new(exercise, *number, seed, learner, time);
            self.attempts.push(Open { cgroup: cgroup.clone(), ..open });
            return;
        }
        let mut all = self.attempts.iter_mut().rev();
        let Some(open) = all.find(|it| it.exercise == *exercise && it.number == *number) else { return };
        match event {
            Event::Started { .. } => {}
            Event::Checked { met, unmet, said, shown, trace, .. } => {
                open.checks += 1;
                open.met = met.iter().cloned().collect();
                (open.unmet, open.said) = (unmet.clone(), said.clone());
                open.shown.extend(shown.iter().cloned());
                open.trace.add(trace);
            }
            Event::Done => open.done = open.done.take().or_else(|| Some(time.clone())),
            Event::Hint { level, requirement } => {
                open.hints.insert(requirement.clone(), *level);
            }
            Event::Solution => open.solution = true,
            Event::Reset => open.is_reset = true,
        }
    }
}

impl Open {
    fn new(exercise: &str, number: u32, seed: &Seed, learner: Learner, started: &str) -> Open {
        Open {
            exercise: exercise.into(),
            number,
            seed: seed.clone(),
            learner,
            cgroup: None,
            started: started.into(),
            done: None,
            is_reset: false,
            checks: 0,
            said: Vec::new(),
            met: BTreeSet::new(),
            unmet: Vec::new(),
            hints: BTreeMap::new(),
            solution: false,
            shown: BTreeSet::new(),
            trace: Trace::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: Event, exercise: &str, attempt: u32) -> Logged {
        Logged { event, exercise: exercise.into(), attempt, time: "2026-01-01T00:00:00Z".into() }
    }

    fn started() -> Event {
        let text =
            r#"{"event":"started","seed":"00","student":"ada","class":"","host":"vm","kernel":"6.12"}"#;
        serde_json::from_str(text).unwrap()
    }

    fn checked(unmet: &[&str]) -> Event {
        let unmet = unmet.iter().map(|name| (*name).into()).collect();
        let (met, said, by) = (Vec::new(), Vec::new(), "check".into());
        Event::Checked { met, unmet, said, by, shown: BTreeSet::new(), trace: Trace::default() }
    }

    #[test]
    fn the_last_that_is_not_done_is_open() {
        let mut log = vec![line(started(), "a", 1), line(started(), "b", 1)];
        let open = |log: &[Logged]| State::of(log).open().map(|open| (open.exercise.clone(), open.number));
        assert_eq!(open(&log), Some(("b".into(), 1)));
        log.push(line(Event::Done, "b", 1));
        assert_eq!(open(&log), Some(("a".into(), 1)));
        log.push(line(Event::Reset, "a", 1));
        assert_eq!(open(&log), Some(("b".into(), 1)), "nothing is open: the last that is done");
        log.push(line(started(), "a", 2));
        assert_eq!(open(&log), Some(("a".into(), 2)));
        assert_eq!(State::of(&log).next("a"), 3);
        assert_eq!(open(&[]), None);
    }

    #[test]
    fn a_check_replaces_what_the_one_before_found() {
        let log =
            [line(started(), "a", 1), line(checked(&["x", "y"]), "a", 1), line(checked(&["y"]), "a", 1)];
        let state = State::of(&log);
        assert_eq!((state.attempts[0].checks, state.attempts[0].unmet.clone()), (2, vec!["y".to_string()]));
    }

    #[test]
    fn what_began_never_counts_for_nothing() {
        let log = [line(Event::Done, "a", 1), line(Event::Solution, "a", 1)];
        assert_eq!(State::of(&log), State::default());
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read_or_passed_over(text: String, kind in "(started|checked|done|hint|reset)", number: u32) {
            let _ = serde_json::from_str::<Logged>(&text);
            let line = format!(r#"{{"event":"{kind}","exercise":"a","attempt":{number},"time":"","met":[]}}"#);
            if let Ok(logged) = serde_json::from_str::<Logged>(&line) {
                let _ = State::of(&[logged]).open();
            }
        }
    }
}
