//! A transcript in a file: what `inception run --format jsonl` wrote, one experiment after another.

use std::io::{self, BufRead, BufReader, Read};

use crate::event::Event;
use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::line;
use crate::run::Run;

/// No line that an experiment writes is as long as this.
pub const LONGEST_LINE: usize = 16 << 20;

/// The next line with its end, if it has one; `None` at the end of the input.
///
/// # Errors
/// Those of read(2).
pub fn next_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let length = input.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', &mut line)?;
    Ok((length > 0).then_some(line))
}

/// What experiments said, in the order in which they ran.
#[derive(Debug, Default)]
pub struct Runs {
    /// One for each experiment.
    pub all: Vec<Run>,
}

impl Runs {
    /// Reads a transcript. Each run, as soon as it has begun, has to be let in by `admit`, which also gets those before
    /// it.
    ///
    /// # Errors
    /// In one line that begins with `name`, and the number of the line. That is when the input cannot be read, is
    /// empty, is no transcript or cut short, or when a run is not let in.
    pub fn read(name: &str, input: impl Read, admit: impl Fn(&Run, &Runs) -> Result<()>) -> Result<Runs> {
        let mut input = BufReader::new(input);
        let mut runs = Runs::default();
        let mut number = 0;
        while let Some(line) = next_line(&mut input).with_context(|| format!("cannot read {name}"))? {
            number += 1;
            runs.take(&line, &admit).with_context(|| format!("{name}: line {number}"))?;
        }
        ensure!(number > 0, "{name}: empty, and no transcript");
        if let Some(run) = runs.unfinished() {
            bail!("{name}: line {number}: cut short, '{}' has not ended", run.begin.experiment);
        }
        Ok(runs)
    }

    /// Reads what can be understood of a transcript, and what is wrong with the rest: a line each, with the number of
    /// the line in the transcript. Of each run the first fault alone is named, since others follow from it. A run
    /// without its end was cut short.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn recover(input: impl Read) -> io::Result<(Runs, Vec<String>)> {
        let mut input = BufReader::new(input);
        let (mut runs, mut faults) = (Runs::default(), Vec::new());
        let (mut number, mut is_faulty) = (0, false);
        while let Some(line) = next_line(&mut input)? {
            number += 1;
            let begun = runs.all.len();
            let taken = runs.take(&line, |_, _| Ok(()));
            if let (Err(why), false) = (&taken, is_faulty) {
                faults.push(format!("line {number}: {why:#}"));
            }
            is_faulty = runs.all.len() == begun && (is_faulty || taken.is_err());
        }
        if let (Some(run), false) = (runs.unfinished(), is_faulty) {
            faults.push(format!("line {number}: cut short, '{}' has not ended", run.begin.experiment));
        }
        Ok((runs, faults))
    }

    fn take(&mut self, line: &[u8], admit: impl Fn(&Run, &Runs) -> Result<()>) -> Result<()> {
        let event = line::event(line)
            .map_err(|why| if line.ends_with(b"\n") { anyhow!(why) } else { anyhow!("cut short, {why}") })?;
        if matches!(event, Event::Begin { .. }) {
            let unfinished = self.unfinished().map(|run| run.begin.experiment.clone());
            let run = Run::begin(event)?;
            if unfinished.is_none() {
                admit(&run, self)?;
            }
            // Whoever goes on after the fault goes on with this run.
            self.all.push(run);
            return match unfinished {
                Some(unfinished) => Err(anyhow!("cut short before it, '{unfinished}' has not ended")),
                None => Ok(()),
            };
        }
        let run = self.all.last_mut().context("a transcript begins with 'begin'")?;
        run.take(event)?;
        if run.end.is_some() { run.all_settled() } else { Ok(()) }
    }

    fn unfinished(&self) -> Option<&Run> {
        self.all.last().filter(|run| run.end.is_none())
    }

    /// The run of an experiment, by its name.
    pub fn of(&self, experiment: &str) -> Option<&Run> {
        self.all.iter().find(|run| run.begin.experiment == experiment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUDGED: &str = r#"{"event":"judged","claim":"a","verdict":"holds","expected":true,"control":{"effect":false,"facts":[]},"treatment":{"effect":true,"facts":[]}}"#;
    const END: &str = r#"{"event":"end","tally":{"holds":1,"refuted":0,"inconclusive":0,"skipped":0,"unexpected":0},"broken":null,"status":0,"elapsed":1}"#;

    fn begin(experiment: &str) -> String {
        format!(
            r#"{{"event":"begin","schema":2,"experiment":"{experiment}","question":"?","notes":"","man":[],"kernel":"6.12","sabotage":false,"sandbox":{{"namespaces":[],"uid":0}},"claims":[{{"id":"a","text":"A.","factor":"","expect":"holds","notes":[],"more":[]}}]}}"#
        )
    }

    /// How many claims of `x` and of `y` are settled, and what is wrong, in a transcript of these lines.
    fn recovered(lines: &[&str]) -> ([usize; 2], Vec<String>) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let (runs, faults) = Runs::recover(text.as_bytes()).unwrap();
        let settled = |name| {
            runs.of(name).map_or(0, |run| run.claims.iter().filter(|claim| claim.result.is_some()).count())
        };
        (["x", "y"].map(settled), faults)
    }

    #[test]
    fn what_follows_a_fault_is_read_all_the_same() {
        let (x, y) = (begin("x"), begin("y"));
        let whole = [y.as_str(), JUDGED, END];
        let after = |lines: &[&str]| recovered(&[lines, &whole].concat());
        assert_eq!(after(&[&x, JUDGED, END]), ([1, 1], vec![]));
        let short = "line 3: cut short before it, 'x' has not ended";
        assert_eq!(after(&[&x, JUDGED]), ([1, 1], vec![short.into()]));
        let (settled, faults) = after(&[&x, "{", END]);
        assert_eq!((settled, faults.len()), ([0, 1], 1), "{faults:?}");
        assert!(faults[0].starts_with("line 2: no event ("), "{faults:?}");
        let unsettled = END.replace("\"holds\":1", "\"holds\":0");
        assert_eq!(after(&[&x, &unsettled]), ([0, 1], vec!["line 2: it has not settled 'a'".into()]));
    }

    #[test]
    fn what_comes_before_a_fault_is_kept() {
        let x = begin("x");
        let short = "line 2: cut short, 'x' has not ended";
        assert_eq!(recovered(&[&x, JUDGED]), ([1, 0], vec![short.into()]));
        assert_eq!(recovered(&[JUDGED]), ([0, 0], vec!["line 1: a transcript begins with 'begin'".into()]));
        assert_eq!(recovered(&[]), ([0, 0], vec![]));
    }

    proptest::proptest! {
        #[test]
        fn a_damaged_transcript_is_told_and_not_believed(
            bytes: Vec<u8>,
            line in 0_usize..6,
            at: usize,
            byte: u8,
            cut: usize,
        ) {
            let (x, y) = (begin("x"), begin("y"));
            let lines = [x.as_str(), JUDGED, END, &y, JUDGED, END];
            let whole: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let mut changed: Vec<Vec<u8>> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
            let length = changed[line].len();
            changed[line][at % length] = byte;
            let changed = changed.join(&b'\n');
            let cut = &whole.as_bytes()[..cut % whole.len()];
            for text in [&bytes[..], &changed, cut] {
                let (runs, faults) = Runs::recover(text).unwrap();
                match Runs::read("file", text, |_, _| Ok(())) {
                    Ok(read) => proptest::prop_assert_eq!((read.all.len(), faults), (runs.all.len(), vec![])),
                    Err(why) => {
                        let why = format!("{why:#}");
                        proptest::prop_assert!(why.starts_with("file: "), "{}", why);
                        proptest::prop_assert!(text.is_empty() || !faults.is_empty(), "{}", why);
                        proptest::prop_assert!(why.len() < 1000, "{}", why);
                    }
                }
            }
            // What was cut off within a run is never taken for the whole.
            let is_whole = cut.trim_ascii_end().ends_with(END.as_bytes());
            proptest::prop_assert_eq!(Runs::read("file", cut, |_, _| Ok(())).is_ok(), is_whole);
        }
    }
}
