//! `inception exercise export`: the attempt log as a hand-in.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use clap::Args;
use exercise::{Event, Logged};
use lesson::{Screen, status};
use ns_core::printable;
use pages::Target;

use super::desk::Desk;
use crate::handin::{Attempt, HandIn, Hint, SCHEMA, State, Work};
use crate::stdout::BufferedStdout;

/// Whose attempts to hand in, and where to.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The file to write (-: standard output)
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Whose attempts, if several students use this account [default: who began the last]
    #[arg(long, value_name = "NAME")]
    student: Option<String>,

    #[command(flatten)]
    screen: Screen,
}

impl Export {
    /// Writes it, and says what is in it.
    pub(crate) fn run(&self) -> Result<u8> {
        let stdout = BufferedStdout::open(&self.screen)?;
        let target = Target::open(&self.output)?;
        let logged = Desk::open()?.store.logged()?;
        let date = DateTime::<Utc>::from(SystemTime::now());
        let hand_in = hand_in(&logged, self.student.as_deref(), date)?;
        let is_file = matches!(target, Target::File(_));
        target.write((serde_json::to_string_pretty(&hand_in)? + "\n").as_bytes())?;
        if is_file {
            stdout.show(&said(&hand_in, &self.output.display().to_string()))?;
        }
        Ok(status::AS_EXPECTED)
    }
}

fn said(it: &HandIn, path: &str) -> String {
    let is_done = |work: &&Work| work.attempts.iter().any(|attempt| attempt.done.is_some());
    let class = if it.class.is_empty() { String::new() } else { format!(", class {}", printable(&it.class)) };
    format!(
        "inception: written: {} ({}{class}: {} of {} exercises done)\n",
        printable(path),
        printable(&it.student),
        it.exercises.iter().filter(is_done).count(),
        it.exercises.len()
    )
}

/// The attempts of one student in one class: of those who began the last attempt, or the last of `student`.
///
/// # Errors
/// In one line, when there is none.
fn hand_in(logged: &[Logged], student: Option<&str>, date: DateTime<Utc>) -> Result<HandIn> {
    let last = logged.iter().rev().find_map(|line| match &line.event {
        Event::Started { student: of, class, host, kernel, .. } if student.is_none_or(|it| it == of) => {
            Some((of, class, host, kernel))
        }
        _ => None,
    });
    let nobody = || match student {
        Some(student) => format!("no attempt of '{}'; leave --student out", printable(student)),
        None => "no exercise was begun; inception exercise list shows them, and start NAME begins one".into(),
    };
    let (student, class, host, kernel) = last.with_context(nobody)?;
    let mut it = HandIn {
        schema: SCHEMA.into(),
        student: student.clone(),
        class: class.clone(),
        host: host.clone(),
        kernel: kernel.clone(),
        date,
        exercises: Vec::new(),
    };
    for line in logged {
        it.take(line)?;
    }
    Ok(it)
}

impl HandIn {
    /// Takes a line of the log, if it is about an attempt of this student in this class.
    fn take(&mut self, line: &Logged) -> Result<()> {
        let Logged { event, exercise, attempt: number, time } = line;
        let time = DateTime::parse_from_rfc3339(time)
            .with_context(|| {
                format!("the log has no time for {exercise}: '{}'; remove that line", printable(time))
            })?
            .to_utc();
        if let Event::Started { seed, student, class, .. } = event {
            if *student == self.student && *class == self.class {
                self.work(exercise).attempts.push(Attempt::begun(*number, seed.to_string(), time));
            }
            return Ok(());
        }
        let attempts = self.exercises.iter_mut().filter(|work| work.exercise == *exercise);
        let mut of_number = attempts.flat_map(|work| &mut work.attempts).filter(|it| it.attempt == *number);
        if let Some(attempt) = of_number.next_back() {
            attempt.take(event, time);
        }
        Ok(())
    }

    fn work(&mut self, exercise: &str) -> &mut Work {
        let at = self.exercises.iter().position(|work| work.exercise == exercise).unwrap_or_else(|| {
            self.exercises.push(Work { exercise: exercise.into(), attempts: Vec::new() });
            self.exercises.len() - 1
        });
        &mut self.exercises[at]
    }
}

impl Attempt {
    fn begun(attempt: u32, seed: String, started: DateTime<Utc>) -> Attempt {
        Attempt { attempt, seed, started, done: None, hints: Vec::new(), solution: None, states: Vec::new() }
    }

    fn take(&mut self, event: &Event, time: DateTime<Utc>) {
        match event {
            Event::Checked { met, unmet, said, .. } => {
                self.states.push(State { time, met: met.clone(), unmet: unmet.clone(), said: said.clone() });
            }
            Event::Done => self.done = self.done.or(Some(time)),
            Event::Hint { level, requirement } => {
                self.hints.push(Hint { time, requirement: requirement.clone(), level: u32::from(*level) });
            }
            Event::Solution => self.solution = self.solution.or(Some(time)),
            Event::Started { .. } | Event::Reset => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[&str]) -> Vec<Logged> {
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn started(student: &str, class: &str, attempt: u32) -> String {
        format!(
            r#"{{"event":"started","exercise":"pid-1","attempt":{attempt},"seed":"9f","student":"{student}","class":"{class}","host":"vm","kernel":"6.12","time":"2026-11-01T10:00:00Z"}}"#
        )
    }

    fn event(event: &str, more: &str, minute: u32) -> String {
        format!(
            r#"{{"event":"{event}","exercise":"pid-1","attempt":1,"time":"2026-11-01T10:{minute:02}:00Z"{more}}}"#
        )
    }

    #[test]
    fn a_hand_in_has_what_the_log_says_of_its_student() {
        let lines = [
            started("ada", "2026a", 1),
            event("checked", r#","met":[],"unmet":["init"],"said":["no"],"by":"check""#, 1),
            event("hint", r#","level":1,"requirement":"init""#, 2),
            event("solution", "", 3),
            event("done", "", 4),
            event("done", "", 5),
        ];
        let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let others = [started("bob", "2026a", 1), started("ada", "", 2)];
        let date = "2026-11-02T00:00:00Z".parse().unwrap();
        let it = hand_in(&log(&lines), None, date).unwrap();
        assert_eq!((it.student.as_str(), it.class.as_str(), it.host.as_str()), ("ada", "2026a", "vm"));
        let [Work { attempts, .. }] = it.exercises.as_slice() else { panic!("{it:?}") };
        assert_eq!((attempts[0].states.len(), attempts[0].hints.len()), (1, 1));
        assert_eq!(attempts[0].done.unwrap().to_rfc3339(), "2026-11-01T10:04:00+00:00");
        assert!(attempts[0].solution.is_some());
        // An attempt of another student, or in another class, is in another hand-in.
        lines.splice(0..0, others.iter().map(String::as_str));
        let again = hand_in(&log(&lines), Some("ada"), date).unwrap();
        assert_eq!(again, it);
    }

    #[test]
    fn nothing_to_hand_in_is_said_with_a_remedy() {
        let date = "2026-11-02T00:00:00Z".parse().unwrap();
        let said = |student| hand_in(&log(&[]), student, date).unwrap_err().to_string();
        assert!(said(None).starts_with("no exercise was begun; inception exercise list"));
        assert_eq!(said(Some("eve")), "no attempt of 'eve'; leave --student out");
    }
}
