//! `inception doctor`: what this machine can be asked, and how to get what it lacks.

mod cgroups;
mod kernel;
mod namespaces;
mod tools;

use anyhow::Result;
use clap::Args;
use lesson::render::wrap;
use lesson::{Format, Screen, status};
use ns_core::fact::printable;
use ns_core::probe::Missing;
use owo_colors::{OwoColorize, Style};
use serde::Serialize;

use crate::outbox::Outbox;

pub(crate) use kernel::as_a_child_of_ours;

/// Below this many columns, nothing stands beside a check's name.
const SIDE_BY_SIDE: usize = 60;
/// The column of the states: the longest, and two blanks.
const STATE: usize = 9;

/// How to report.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// What to write: text for people, or jsonl: one JSON object a check
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    #[command(flatten)]
    screen: Screen,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Missing,
    /// The check itself failed, which says nothing about the machine.
    Unknown,
}

/// A question to this machine, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    group: &'static str,
    check: String,
    state: State,
    found: String,
    remedy: Option<String>,
}

/// Checks that belong together.
struct Group {
    name: &'static str,
    checks: Vec<Check>,
}

impl Group {
    fn new(name: &'static str) -> Group {
        Group { name, checks: Vec::new() }
    }

    /// Adds a check. `found` is told when nothing is missing.
    fn add(
        &mut self,
        check: impl Into<String>,
        found: impl Into<String>,
        missing: ns_core::Result<Option<Missing>>,
    ) {
        let (state, found, remedy) = match missing {
            Ok(None) => (State::Ok, found.into(), None),
            Ok(Some(Missing { what, remedy })) => (State::Missing, what, Some(remedy)),
            Err(error) => (State::Unknown, error.to_string(), None),
        };
        self.checks.push(Check { group: self.name, check: check.into(), state, found, remedy });
    }
}

impl Doctor {
    /// Makes all checks. What is missing is no failure of ours.
    pub(crate) fn run(&self) -> Result<u8> {
        let outbox = Outbox::open(&self.screen)?;
        let width = self.screen.columns();
        let mut made = Vec::new();
        // Each group is shown before the next is asked.
        let groups: [fn() -> Group; 8] = [
            kernel::switches,
            kernel::fences,
            namespaces::kinds,
            kernel::capabilities,
            cgroups::places,
            tools::programs,
            tools::manual_pages,
            tools::experiments,
        ];
        for group in groups {
            let Group { name, checks } = group();
            let text = match self.format {
                Format::Text => section(name, &checks, width, made.is_empty()),
                Format::Jsonl => {
                    let lines = checks.iter().map(serde_json::to_string);
                    lines.map(|line| line.map(|line| line + "\n")).collect::<Result<_, _>>()?
                }
            };
            outbox.show(&text)?;
            made.extend(checks);
        }
        // It was started to try where cgroups can be made.
        ns_core::janitor::finish()?;
        if self.format == Format::Text {
            let line = wrap(&last_line(&made), width, "", "  ");
            outbox.show(&format!("\n{}\n", line.trim_end().style(Style::new().bold())))?;
        }
        Ok(status::AS_EXPECTED)
    }
}

fn section(name: &str, checks: &[Check], width: usize, first: bool) -> String {
    let mut text = format!("{}{}\n", if first { "" } else { "\n" }, name.style(Style::new().cyan().bold()));
    let longest = checks.iter().map(|check| check.check.chars().count()).max().unwrap_or(0);
    for (at, Check { check, state, found, remedy, .. }) in checks.iter().enumerate() {
        let (word, style) = match state {
            State::Ok => ("ok", Style::new().green()),
            State::Missing => ("missing", Style::new().yellow().bold()),
            State::Unknown => ("unknown", Style::new().magenta().bold()),
        };
        let (check, found) = (printable(check), printable(found));
        let (line, rest) = if width < SIDE_BY_SIDE {
            (format!("{check}: {found}"), STATE)
        } else {
            (format!("{check:longest$}  {found}"), STATE + longest + 2)
        };
        let rest = " ".repeat(rest);
        let set = wrap(&line, width, &format!("{word:STATE$}"), &rest);
        text += &format!("{}{}", word.style(style), set.strip_prefix(word).unwrap_or(&set));
        // What several in a row need stands below the last of them.
        let needs_it = |check: &&Check| check.remedy == *remedy;
        if let (Some(remedy), false) = (remedy, checks.get(at + 1).as_ref().is_some_and(needs_it)) {
            let many = checks[..at].last().as_ref().is_some_and(needs_it);
            let line = format!("to get {}: {}", if many { "them" } else { "it" }, printable(remedy));
            text += &wrap(&line, width, &rest, &rest);
        }
    }
    text
}

fn last_line(checks: &[Check]) -> String {
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    let mut line = format!("{} of {} ok", count(State::Ok), checks.len());
    for (state, word) in [(State::Missing, "missing"), (State::Unknown, "unknown")] {
        if count(state) > 0 {
            line += &format!(", {} {word}", count(state));
        }
    }
    if count(State::Missing) > 0 {
        line += ". Claims that need what is missing are skipped.";
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Group {
        let mut group = Group::new("Programs");
        group.add("unshare", "/usr/bin/unshare", Ok(None));
        group.add("ip", "", Ok(Some(Missing::new("the program ip", "apt-get install iproute2"))));
        for name in ["lsns", "nsenter"] {
            let missing = Missing::new(format!("the program {name}"), "apt-get install util-linux");
            group.add(name, "", Ok(Some(missing)));
        }
        group.add("man", "", Err(ns_core::Error::Input("the\u{1b} probe broke".into())));
        group
    }

    fn plain(width: usize) -> String {
        anstream::adapter::strip_str(&section("Programs", &group().checks, width, true)).to_string()
    }

    #[test]
    fn what_is_missing_says_how_to_get_it() {
        let expected = "\
Programs
ok       unshare  /usr/bin/unshare
missing  ip       the program ip
                  to get it: apt-get install iproute2
missing  lsns     the program lsns
missing  nsenter  the program nsenter
                  to get them: apt-get install util-linux
unknown  man      the\\u{1b} probe broke
";
        assert_eq!(plain(80), expected);
        assert_eq!(
            last_line(&group().checks),
            "1 of 5 ok, 3 missing, 1 unknown. Claims that need what is missing are skipped."
        );
    }

    #[test]
    fn it_fits_from_20_columns_up() {
        for width in 20..=400 {
            assert!(
                plain(width).lines().all(|line| line.chars().count() <= width),
                "{width}:\n{}",
                plain(width)
            );
        }
    }
}
