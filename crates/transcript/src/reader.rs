//! What one experiment writes, read as it comes.

use crate::event::Event;
use anyhow::{Result, anyhow};

use crate::line;
use crate::run::Run;

/// Reads the lines of one experiment, one after another.
#[derive(Debug, Default)]
pub struct Reader {
    lines: usize,
    run: Option<Run>,
}

impl Reader {
    /// Takes the next line, and gives the event in it.
    ///
    /// # Errors
    /// When there is none in it, or one that contradicts what was said before.
    pub fn take(&mut self, line: &[u8]) -> Result<Event> {
        self.lines += 1;
        let event = line::event(line).map_err(|why| anyhow!("its line {} is {why}", self.lines))?;
        match &mut self.run {
            Some(run) => run.take(event.clone())?,
            None => self.run = Some(Run::begin(event.clone())?),
        }
        Ok(event)
    }

    /// What was said so far; `None` until it begins.
    pub fn run(&self) -> Option<&Run> {
        self.run.as_ref()
    }

    /// What was said. There is nothing more to come.
    pub fn into_run(self) -> Option<Run> {
        self.run
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = r#"{"event":"begin","schema":2,"experiment":"x","question":"?","notes":"","man":[],"kernel":"6.12","sabotage":false,"sandbox":{"namespaces":[],"uid":0},"claims":[{"id":"a","text":"A.","factor":"","expect":"holds","notes":[],"more":[]}]}"#;
    const STEP: &str = r#"{"event":"step","number":1,"title":"G.","calls":[],"by_hand":[]}"#;
    const JUDGED: &str = r#"{"event":"judged","claim":"a","verdict":"holds","expected":true,"control":{"effect":false,"facts":[]},"treatment":{"effect":true,"facts":[]}}"#;
    const END: &str = r#"{"event":"end","tally":{"holds":1,"refuted":0,"inconclusive":0,"skipped":0,"unexpected":0},"broken":null,"status":0,"elapsed":1}"#;

    fn fault(lines: &[&str]) -> String {
        let mut reader = Reader::default();
        let faults: Vec<_> = lines.iter().filter_map(|line| reader.take(line.as_bytes()).err()).collect();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_whole_transcript_is_taken() {
        assert_eq!(fault(&[BEGIN, JUDGED, END]), "");
    }

    #[test]
    fn a_transcript_may_not_contradict_itself() {
        assert_eq!(fault(&[JUDGED]), "it does not begin with 'begin'");
        assert_eq!(fault(&[BEGIN, BEGIN]), "it begins twice");
        assert_eq!(fault(&[BEGIN, JUDGED, JUDGED]), "it settles 'a' twice");
        assert_eq!(fault(&[BEGIN, END]), "its last count of the verdicts is wrong");
        assert_eq!(fault(&[BEGIN, JUDGED, END, JUDGED]), "it goes on after its end");
        let other = JUDGED.replace(r#""claim":"a""#, r#""claim":"b""#);
        assert_eq!(fault(&[BEGIN, &other]), "it settles 'b', which it has not declared");
        let later = BEGIN.replace(r#""schema":2"#, r#""schema":3"#);
        assert_eq!(
            fault(&[&later]),
            "its line 1 is an event of version 3, and this program reads 2: take both from one build"
        );
    }

    #[test]
    fn a_line_that_is_no_event_is_shown() {
        assert_eq!(
            fault(&["\u{1b}[2Jhello"]),
            "its line 1 is no event (expected value at line 1 column 1): \\u{1b}[2Jhello"
        );
    }

    #[test]
    fn a_claim_knows_its_step_and_a_step_its_events() {
        let mut reader = Reader::default();
        let lines = [BEGIN, STEP, JUDGED, &STEP.replace(r#""number":1"#, r#""number":2"#), END];
        lines.iter().for_each(|line| drop(reader.take(line.as_bytes()).unwrap()));
        let run = reader.run().unwrap();
        assert_eq!((run.claim("a").unwrap().step, run.step()), (Some(1), Some(2)));
        assert_eq!(run.steps().map(<[Event]>::len).collect::<Vec<_>>(), [1, 2, 2]);
    }
}
