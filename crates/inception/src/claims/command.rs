//! The command: which claims are shown, and how.

use pages::Target;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use transcript::{Claim, ClaimHead, Expectation};

use anyhow::{Context, Result, ensure};
use clap::Args;
use lesson::render::tone;
use lesson::{Screen, Steps, complain, page, status};
use ns_core::printable;
use owo_colors::OwoColorize;
use serde::Serialize;

use super::coverage::Coverage;
use super::declared::declared;
use super::gift::gift;
use crate::demos::{self, Demo};
use crate::format::Format;
use crate::series::{Jobs, Series};
use crate::stdout::BufferedStdout;
use crate::{run, summary};

/// Which claims, and how.
#[derive(Debug, Args)]
pub(crate) struct Claims {
    /// Numbers or names; none means all
    #[arg(value_name = "NN|NAME|all")]
    demos: Vec<OsString>,

    /// List the claims, and judge none
    #[arg(long)]
    list: bool,

    /// List what the notes say, and which claims judge it
    #[arg(long, conflicts_with_all = ["demos", "list"])]
    coverage: bool,

    /// Write the core questions for Moodle, as GIFT, and judge none (-: standard output)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["list", "coverage", "format"])]
    gift: Option<PathBuf>,

    /// What to write: text for people, jsonl: one JSON object a claim or sentence, or, with --coverage, markdown
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    #[command(flatten)]
    jobs: Jobs,

    #[command(flatten)]
    screen: Screen,
}

/// A claim as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    number: u8,
    experiment: &'a str,
    #[serde(flatten)]
    head: &'a ClaimHead,
    /// `null` where none was asked for, or the experiment broke before.
    verdict: Option<&'a str>,
    /// Whether the verdict is what this kernel was expected to say.
    expected: Option<bool>,
}

impl Claims {
    /// Shows the claims of what was chosen. The exit status is as that of `run`.
    pub(crate) fn run(&self) -> Result<u8> {
        if self.coverage {
            run::provide(&demos::chosen(&[])?)?;
            if let Some(status) = self.page()? {
                return Ok(status);
            }
            let stdout = BufferedStdout::open(&self.screen)?;
            return Coverage::new(&stdout)?.show(self.format, &stdout, self.screen.layout());
        }
        ensure!(
            self.format != Format::Markdown,
            "--format markdown is for --coverage; choose from text, jsonl"
        );
        let chosen = demos::chosen(&self.demos)?;
        run::provide(&chosen)?;
        if let Some(path) = &self.gift {
            return questions(&chosen, path, &BufferedStdout::open(&self.screen)?);
        }
        if let Some(status) = self.page()? {
            return Ok(status);
        }
        let stdout = BufferedStdout::open(&self.screen)?;
        if self.list { self.listed(&chosen, &stdout) } else { self.judged(&chosen, &stdout) }
    }

    /// Shows it through a pager, if people read it. The exit status, if so.
    fn page(&self) -> Result<Option<u8>> {
        if self.format == Format::Text { page(&self.screen) } else { Ok(None) }
    }

    fn judged(&self, chosen: &[&'static Demo], stdout: &BufferedStdout) -> Result<u8> {
        let mut accounts = Vec::new();
        let options = Steps::all().options();
        let mut series = Series::new(chosen, &options, &self.jobs, stdout);
        for demo in chosen {
            let account = series.next(|_, _| Ok(()))?;
            stdout.show(&self.text(demo, account.claims())?)?;
            run::complain_if_broken(&account);
            accounts.push(account);
        }
        Ok(summary::status(&accounts))
    }

    fn listed(&self, chosen: &[&'static Demo], stdout: &BufferedStdout) -> Result<u8> {
        let mut status = status::AS_EXPECTED;
        for demo in chosen {
            match declared(demo, stdout) {
                Ok(claims) => stdout.show(&self.text(demo, &claims)?)?,
                Err(error) if lesson::is_reader_gone(&error) => return Err(error),
                Err(error) => {
                    complain("inception", &error.context(demo.name));
                    status = status::BROKEN;
                }
            }
        }
        Ok(status)
    }

    fn text(&self, demo: &Demo, claims: &[Claim]) -> Result<String> {
        match self.format {
            Format::Text | Format::Markdown => Ok(self.table(demo, claims)),
            Format::Jsonl => {
                let lines = claims.iter().map(|claim| serde_json::to_string(&line(demo, claim)));
                Ok(lines.map(|line| line.map(|line| line + "\n")).collect::<Result<_, _>>()?)
            }
        }
    }

    fn table(&self, demo: &Demo, claims: &[Claim]) -> String {
        let layout = self.screen.layout();
        let row = |claim: &Claim| {
            let Claim { head, .. } = claim;
            let expect = match &head.expect {
                Expectation::Refuted { correction } => format!("refuted; see {correction}"),
                Expectation::Varies { .. } => "varies".into(),
                other => other.to_string(),
            };
            let mut row = vec![
                head.numbers().join("\n"),
                printable(&head.id),
                layout.words(&printable(&head.text)),
                printable(&expect),
            ];
            if !self.list {
                row.push(verdict(claim).map_or_else(String::new, |(word, expected)| {
                    if expected { word.to_string() } else { format!("{word}, NOT AS EXPECTED") }
                }));
            }
            row
        };
        let rows: Vec<_> = claims.iter().map(row).collect();
        let mut heads = vec!["notes", "claim", "sentence", "expected"];
        if !self.list {
            heads.push("verdict");
        }
        let title = layout.wrap(&format!("{}: {}", demo.title(), demo.question), "", "  ");
        let title = title.trim_end().trim_end_matches(':');
        format!("{}\n{}\n", title.style(tone::strong()), layout.table(&heads, &rows))
    }
}

/// Writes the core questions of what was chosen.
fn questions(chosen: &[&'static Demo], path: &Path, stdout: &BufferedStdout) -> Result<u8> {
    let target = Target::open(path)?;
    let mut text = String::new();
    for demo in chosen {
        text += &gift(demo, &declared(demo, stdout).context(demo.name)?);
    }
    target.write(text.as_bytes())?;
    Ok(status::AS_EXPECTED)
}

fn line<'a>(demo: &'a Demo, claim: &'a Claim) -> Line<'a> {
    let verdict = verdict(claim);
    Line {
        number: demo.number,
        experiment: demo.name,
        head: &claim.head,
        verdict: verdict.map(|(word, _)| word),
        expected: verdict.map(|(_, expected)| expected),
    }
}

/// The verdict's word, and whether it was expected.
fn verdict(claim: &Claim) -> Option<(&'static str, bool)> {
    let result = claim.result.as_ref()?;
    Some((result.verdict().word(), result.is_expected()))
}
