//! `inception claims`: every claim with its verdict, and what of the notes it answers.

mod coverage;
mod errata;
mod notes;
mod verdicts;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use lesson::render::grid;
use lesson::{ClaimHead, Screen, complain, status};
use ns_core::End;
use ns_core::fact::printable;
use owo_colors::{OwoColorize, Style};
use serde::Serialize;

use crate::demos::{self, Demo};
use crate::format::Format;
use crate::outbox::{self, Outbox};
use crate::program::{self, Running};
use crate::trial::{self, Fate, Settled};
use crate::{run, summary};
use coverage::Coverage;
use verdicts::Verdicts;

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

    /// What to write: text for people, jsonl: one JSON object a claim or sentence, or, with --coverage, markdown
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// With --coverage --format markdown: the document with the verdicts, docs/kernels.md
    #[arg(long, value_name = "FILE", requires = "coverage")]
    kernels: Option<PathBuf>,

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
            let verdicts = self.kernels.as_deref().map(Verdicts::read).transpose()?.unwrap_or_default();
            let outbox = Outbox::open(&self.screen)?;
            run::require_any(&demos::chosen(&[])?)?;
            return Coverage::new(&outbox)?.show(self.format, &verdicts, &outbox, self.screen.columns());
        }
        ensure!(
            self.format != Format::Markdown,
            "--format markdown is for --coverage; choose from text, jsonl"
        );
        let chosen = demos::chosen(&self.demos)?;
        run::require_any(&chosen)?;
        let outbox = Outbox::open(&self.screen)?;
        if self.list { self.listed(&chosen, &outbox) } else { self.judged(&chosen, &outbox) }
    }

    fn judged(&self, chosen: &[&'static Demo], outbox: &Outbox) -> Result<u8> {
        let mut accounts = Vec::new();
        for demo in chosen {
            let account = trial::run(demo, &[], outbox, |_, _| Ok(()))?;
            outbox.show(&self.text(demo, &account.claims)?)?;
            run::complain_if_broken(&account);
            accounts.push(account);
        }
        Ok(summary::status(&accounts))
    }

    fn listed(&self, chosen: &[&'static Demo], outbox: &Outbox) -> Result<u8> {
        let mut status = status::AS_EXPECTED;
        for demo in chosen {
            match declared(demo, outbox) {
                Ok(claims) => outbox.show(&self.text(demo, &claims)?)?,
                Err(error) if outbox::is_reader_gone(&error) => return Err(error),
                Err(error) => {
                    complain("inception", &error.context(demo.name));
                    status = status::BROKEN;
                }
            }
        }
        Ok(status)
    }

    fn text(&self, demo: &Demo, claims: &[Settled]) -> Result<String> {
        match self.format {
            Format::Text | Format::Markdown => Ok(self.table(demo, claims)),
            Format::Jsonl => {
                let lines = claims.iter().map(|claim| serde_json::to_string(&line(demo, claim)));
                Ok(lines.map(|line| line.map(|line| line + "\n")).collect::<Result<_, _>>()?)
            }
        }
    }

    fn table(&self, demo: &Demo, claims: &[Settled]) -> String {
        let row = |claim: &Settled| {
            let Settled { head, .. } = claim;
            let expect = match (&head.correction, head.expect.split_once(':')) {
                (Some(correction), _) => format!("{}; see {correction}", head.expect),
                (None, Some((varies, _))) => varies.to_string(),
                (None, None) => head.expect.clone(),
            };
            let mut row = vec![
                head.numbers().join("\n"),
                printable(&head.id),
                printable(&head.text),
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
        let width = self.screen.columns();
        let title = lesson::render::wrap(&format!("{}: {}", demo.title(), demo.question), width, "", "  ");
        let title = title.trim_end().trim_end_matches(':');
        format!("{}\n{}\n", title.style(Style::new().bold()), grid(&heads, &rows, width))
    }
}

fn line<'a>(demo: &'a Demo, claim: &'a Settled) -> Line<'a> {
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
fn verdict(claim: &Settled) -> Option<(&'static str, bool)> {
    match claim.fate.as_ref()? {
        Fate::Judged { verdict, expected } => Some((verdict.word(), *expected)),
        Fate::Skipped { .. } => Some((lesson::Verdict::Skipped.word(), true)),
    }
}

/// The claims that an experiment declares, without a run of it.
fn declared(demo: &Demo, outbox: &Outbox) -> Result<Vec<Settled>> {
    let program = program::find(demo.name).ok_or_else(|| program::not_found(&[demo.name]))?;
    let mut running = Running::start(&program, &["--list-claims", "--format", "jsonl"])?;
    let mut claims = Vec::new();
    while let Some(line) = running.line(outbox)? {
        let head = serde_json::from_slice(&line)
            .with_context(|| format!("its line {} is no claim", claims.len() + 1))?;
        claims.push(Settled { head, fate: None });
    }
    match running.end()? {
        End::Exited(0) => {}
        end => bail!("--list-claims: {end}"),
    }
    ensure!(!claims.is_empty(), "it declares no claim");
    Ok(claims)
}
