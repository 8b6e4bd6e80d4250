//! The command: makes the checks, and shows what came of them.

use anyhow::Result;
use clap::Args;
use lesson::render::{Layout, tone, wrap};
use lesson::{Format, Screen, status};
use ns_core::printable;
use owo_colors::OwoColorize;

use super::check::{Check, Group, State};
use super::{cgroups, kernel, limits, namespaces, tools};
use crate::stdout::BufferedStdout;

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

impl Doctor {
    /// Makes all checks. What is missing is no failure of ours.
    pub(crate) fn run(&self) -> Result<u8> {
        let stdout = BufferedStdout::open(&self.screen)?;
        let layout = self.screen.layout();
        let mut made = Vec::new();
        // Each group is shown before the next is asked.
        let groups: [fn() -> Group; 9] = [
            kernel::switches,
            kernel::fences,
            namespaces::kinds,
            kernel::capabilities,
            cgroups::places,
            limits::limits,
            tools::programs,
            tools::manual_pages,
            tools::experiments,
        ];
        for group in groups {
            let Group { name, checks } = group();
            let text = match self.format {
                Format::Text => section(name, &checks, layout, made.is_empty()),
                Format::Jsonl => {
                    let lines = checks.iter().map(serde_json::to_string);
                    lines.map(|line| line.map(|line| line + "\n")).collect::<Result<_, _>>()?
                }
            };
            stdout.show(&text)?;
            made.extend(checks);
        }
        // It was started to try where cgroups can be made.
        ns_core::cleanup::finish()?;
        if self.format == Format::Text {
            let line = wrap(&last_line(&made), layout.width, "", "  ");
            stdout.show(&format!("\n{}\n", line.trim_end().style(tone::strong())))?;
        }
        Ok(status::AS_EXPECTED)
    }
}

fn section(name: &str, checks: &[Check], layout: Layout, first: bool) -> String {
    let mut text = format!("{}{}\n", if first { "" } else { "\n" }, name.style(tone::heading()));
    let longest = checks.iter().map(|check| check.check.chars().count()).max().unwrap_or(0);
    for (at, Check { check, state, found, remedy, .. }) in checks.iter().enumerate() {
        let (word, style) = match state {
            State::Ok => ("ok", tone::good()),
            State::Missing => ("missing", tone::note()),
            State::Unknown => ("unknown", tone::bad()),
        };
        let (check, found) = (printable(check), printable(found));
        let (line, rest) = if layout.plain || layout.width < SIDE_BY_SIDE {
            (format!("{check}: {found}"), STATE)
        } else {
            (format!("{check:longest$}  {found}"), STATE + longest + 2)
        };
        let rest = " ".repeat(rest);
        let set = layout.wrap(&line, &format!("{word:STATE$}"), &rest);
        text += &format!("{}{}", word.style(style), set.strip_prefix(word).unwrap_or(&set));
        // What several in a row need stands below the last of them.
        let needs_it = |check: &&Check| check.remedy == *remedy;
        if let (Some(remedy), false) = (remedy, checks.get(at + 1).as_ref().is_some_and(needs_it)) {
            let many = checks[..at].last().as_ref().is_some_and(needs_it);
            let line = format!("to get {}: {}", if many { "them" } else { "it" }, printable(remedy));
            text += &layout.wrap(&line, &rest, &rest);
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
    use ns_core::probe::Unmet;

    fn group() -> Group {
        let mut group = Group::new("Programs");
        group.add("unshare", "/usr/bin/unshare", Ok(None));
        group.add("ip", "", Ok(Some(Unmet::new("the program ip", "apt-get install iproute2"))));
        for name in ["lsns", "nsenter"] {
            let missing = Unmet::new(format!("the program {name}"), "apt-get install util-linux");
            group.add(name, "", Ok(Some(missing)));
        }
        group.add("man", "", Err(ns_core::Error::Input("the\u{1b} probe broke".into())));
        group
    }

    fn plain(width: usize) -> String {
        set(Layout { width, plain: false })
    }

    fn set(layout: Layout) -> String {
        anstream::adapter::strip_str(&section("Programs", &group().checks, layout, true)).to_string()
    }

    #[test]
    fn in_plain_text_nothing_stands_in_columns() {
        let text = set(Layout { width: 80, plain: true });
        assert!(text.contains("\nok       unshare: /usr/bin/unshare\n"), "{text}");
        assert!(text.contains("\nmissing  ip: the program ip\n         to get it: apt-get"), "{text}");
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
