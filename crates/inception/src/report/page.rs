//! The page: a summary, and each demo with its steps. What it looks like stands in page.html and page.css.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use lesson::render::Shown;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value as Safe, context};
use serde::Serialize;

use super::pictures;
use super::steps::{self, Step, lines};
use crate::summary::{Count, Reason, reasons};
use crate::trial::Account;
use transcript::Run;

/// What the template shows.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    /// The kernels, of which there is one but where transcripts were put together.
    kernels: Vec<String>,
    users: Vec<String>,
    sabotage: bool,
    count: Count,
    broken: usize,
    elapsed: Option<String>,
    demos: Vec<Demo>,
    skips: Vec<Reason>,
}

#[derive(Debug, Serialize)]
struct Demo {
    /// A word that no other on the page has.
    id: String,
    title: String,
    question: String,
    notes: String,
    man: Vec<String>,
    sandbox: Option<String>,
    count: Count,
    broken: Option<String>,
    /// Claims that are neither judged nor skipped, because it broke before.
    left: Vec<String>,
    elapsed: Option<String>,
    steps: Vec<Step>,
    /// A picture for each part of each step, where there is one.
    pictures: Vec<Vec<Option<Safe>>>,
}

/// Whether factors were left out.
pub(super) fn is_sabotaged(accounts: &[Account]) -> bool {
    runs(accounts).any(|run| run.begin.sabotage)
}

/// Those that have begun.
fn runs(accounts: &[Account]) -> impl Iterator<Item = &Run> {
    accounts.iter().filter_map(|account| account.run.as_ref())
}

/// By the experiment's own clock.
fn elapsed(account: &Account) -> Duration {
    let end = account.run.as_ref().and_then(|run| run.end.as_ref());
    end.map_or(Duration::ZERO, |end| end.elapsed)
}

impl Page {
    /// The page of all that was said. `stable` as in [`Shown::new`].
    pub(super) fn of(accounts: &[Account], stable: bool) -> Page {
        let (mut kernels, mut users) = (BTreeSet::new(), BTreeSet::new());
        for begin in runs(accounts).map(|run| &run.begin) {
            let on = if begin.machine.is_empty() {
                String::new()
            } else {
                format!(" on {}", lines(&begin.machine))
            };
            kernels.insert(if stable { "<kernel>".into() } else { format!("{}{on}", lines(&begin.kernel)) });
            users.insert(match begin.sandbox.uid {
                _ if stable => "<uid>".into(),
                0 => "root".to_string(),
                uid => format!("user {uid}, not root"),
            });
        }
        let mut demos: Vec<Demo> = Vec::new();
        for account in accounts {
            let before = demos.iter().filter(|demo| demo.title == account.demo.title()).count();
            demos.push(Demo::of(account, before, stable));
        }
        Page {
            kernels: kernels.into_iter().collect(),
            users: users.into_iter().collect(),
            sabotage: is_sabotaged(accounts),
            count: Count::of(accounts),
            broken: accounts.iter().filter(|account| account.broken.is_some()).count(),
            elapsed: (!stable).then(|| seconds(accounts.iter().map(elapsed).sum())),
            demos,
            skips: reasons(accounts),
        }
    }

    /// The page in HTML.
    ///
    /// # Errors
    /// When the template is at fault.
    pub(super) fn html(&self) -> Result<String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
        environment.set_syntax(syntax.build()?);
        environment.add_template("page.html", include_str!("page.html")).context("page.html")?;
        let css = [pictures::COLOURS, include_str!("page.css"), pictures::style()].concat();
        let context = context! { css => Safe::from_safe_string(css), ..Safe::from(Serde(self)) };
        environment.get_template("page.html")?.render(context).context("page.html")
    }
}

impl Demo {
    /// `before` of the same stand on the page already.
    fn of(account: &Account, before: usize, stable: bool) -> Demo {
        let name = account.demo.name;
        let id = if before == 0 { name.to_string() } else { format!("{name}-{}", before + 1) };
        let run = account.run.as_ref();
        let steps = run.map_or_else(Vec::new, |run| steps::of(run, Shown::new(stable)));
        let mut number = 0;
        let mut pictures = Vec::new();
        for step in &steps {
            let mut drawn = Vec::new();
            for part in &step.parts {
                number += usize::from(part.picture().is_some());
                let svg = part.picture().map(|picture| picture.inline(&format!("{id}-picture-{number}")));
                drawn.push(svg.map(Safe::from_safe_string));
            }
            pictures.push(drawn);
        }
        let left = account.claims().iter().filter(|claim| claim.result.is_none());
        let begin = run.map(|run| &run.begin);
        Demo {
            id,
            title: account.demo.title(),
            question: begin.map_or_else(|| account.demo.question.into(), |it| lines(&it.question)),
            notes: begin.map_or_else(String::new, |it| lines(&it.notes)),
            man: begin.map_or_else(Vec::new, |it| it.man.iter().map(|page| lines(page)).collect()),
            sandbox: begin.and_then(|it| it.sandbox.sentence(stable)),
            count: Count::of(std::slice::from_ref(account)),
            broken: account.broken.as_deref().map(lines),
            left: left.map(|claim| lines(&claim.head.text)).collect(),
            elapsed: (!stable).then(|| seconds(elapsed(account))),
            steps,
            pictures,
        }
    }
}

fn seconds(elapsed: Duration) -> String {
    format!("{}.{:03} s", elapsed.as_secs(), elapsed.subsec_millis())
}
