//! What all kills of a program and a mode showed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::mode::Mode;
use super::one::Kill;

/// A line of the data: docs/reliability.md is made of them.
#[derive(Debug, Serialize)]
struct Line<'a> {
    program: &'a str,
    mode: &'a str,
    kills: usize,
    left: usize,
    slowest_ms: u128,
}

/// Counts, by program and mode.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<(String, Mode), Counts>);

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    kills: usize,
    left: usize,
    slowest: Duration,
}

impl Counts {
    fn and(self, other: Counts) -> Counts {
        Counts {
            kills: self.kills + other.kills,
            left: self.left + other.left,
            slowest: self.slowest.max(other.slowest),
        }
    }
}

impl Tally {
    pub(super) fn add(&mut self, program: &str, mode: Mode, kill: &Kill) {
        let one = Counts { kills: 1, left: usize::from(!kill.left.is_empty()), slowest: kill.took };
        let counts = self.0.entry((program.into(), mode)).or_default();
        *counts = counts.and(one);
    }

    /// After how many kills something was left.
    pub(super) fn left(&self) -> usize {
        self.0.values().map(|it| it.left).sum()
    }

    /// A line a program: the kills of each mode, what was left, and the slowest to go.
    pub(super) fn table(&self) -> Vec<String> {
        let mut programs: BTreeMap<&str, BTreeMap<Mode, Counts>> = BTreeMap::new();
        for ((program, mode), counts) in &self.0 {
            programs.entry(program).or_default().insert(*mode, *counts);
        }
        let mut lines = vec![row("program", Mode::ALL.map(|mode| mode.word().into()), "left", "slowest")];
        for (program, modes) in programs {
            let all = modes.values().fold(Counts::default(), |sum, it| sum.and(*it));
            let kills = Mode::ALL.map(|mode| modes.get(&mode).map_or(0, |it| it.kills).to_string());
            let slowest = format!("{} ms", all.slowest.as_millis());
            lines.push(row(program, kills, &all.left.to_string(), &slowest));
        }
        lines
    }

    /// A JSON object a program and mode.
    ///
    /// # Errors
    /// None of these types.
    pub(super) fn jsonl(&self) -> Result<String> {
        let mut text = String::new();
        for ((program, mode), counts) in &self.0 {
            let Counts { kills, left, slowest } = *counts;
            let line = Line { program, mode: mode.word(), kills, left, slowest_ms: slowest.as_millis() };
            text += &(serde_json::to_string(&line)? + "\n");
        }
        Ok(text)
    }
}

fn row(program: &str, kills: [String; Mode::ALL.len()], left: &str, slowest: &str) -> String {
    let mut line = format!("{program:24}");
    for (mode, count) in Mode::ALL.iter().zip(kills) {
        let width = mode.word().len();
        line += &format!("  {count:>width$}");
    }
    format!("{line}  {left:>4}  {slowest:>8}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_counted_by_program_and_mode() {
        let kill = |left: &[&str], took| Kill {
            how: String::new(),
            left: left.iter().map(ToString::to_string).collect(),
            took: Duration::from_millis(took),
        };
        let mut tally = Tally::default();
        tally.add("a", Mode::Group, &kill(&[], 20));
        tally.add("a", Mode::Group, &kill(&["x", "y"], 3000));
        tally.add("a", Mode::Parent, &kill(&[], 5));
        assert_eq!(tally.left(), 1);
        assert_eq!(
            tally.jsonl().unwrap(),
            "{\"program\":\"a\",\"mode\":\"parent\",\"kills\":1,\"left\":0,\"slowest_ms\":5}\n\
             {\"program\":\"a\",\"mode\":\"group\",\"kills\":2,\"left\":1,\"slowest_ms\":3000}\n"
        );
        assert_eq!(tally.table().len(), 2);
    }
}
