//! The page: a summary, and each demo with its steps. What it looks like stands in page.html and page.css.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use lesson::Event;
use lesson::render::Shown;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value as Safe, context};
use serde::Serialize;

use super::pictures;
use super::steps::{self, Step, lines};
use super::told::Told;
use crate::summary::{Count, Reason, reasons};
use crate::trial::Account;

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
    stage: Option<String>,
    count: Count,
    broken: Option<String>,
    /// Claims that are neither judged nor skipped, because it broke before.
    left: Vec<String>,
    elapsed: Option<String>,
    steps: Vec<Step>,
    /// A picture for each part of each step, where there is one.
    pictures: Vec<Vec<Option<Safe>>>,
}

/// Whether causes were left out.
pub(super) fn is_sabotaged(told: &Told) -> bool {
    let sabotaged = |event: &Event| matches!(event, Event::Begin { sabotage: true, .. });
    told.each().any(|(_, events)| events.iter().any(sabotaged))
}

impl Page {
    /// The page of all that was told. `stable` as in [`Shown::new`].
    pub(super) fn of(told: &Told, stable: bool) -> Page {
        let (mut kernels, mut users) = (BTreeSet::new(), BTreeSet::new());
        let mut demos: Vec<Demo> = Vec::new();
        let mut total = 0;
        for (account, events) in told.each() {
            if let Some(Event::Begin { kernel, machine, stage, .. }) = events.first() {
                let on = if machine.is_empty() { String::new() } else { format!(" on {}", lines(machine)) };
                kernels.insert(if stable { "<kernel>".into() } else { format!("{}{on}", lines(kernel)) });
                users.insert(match stage.uid {
                    _ if stable => "<uid>".into(),
                    0 => "root".to_string(),
                    uid => format!("user {uid}, not root"),
                });
            }
            let nanoseconds = match events.last() {
                Some(Event::End { elapsed, .. }) => *elapsed,
                _ => 0,
            };
            total += nanoseconds;
            let seconds = (!stable).then(|| seconds(nanoseconds));
            let before = demos.iter().filter(|demo| demo.title == account.demo.title()).count();
            demos.push(Demo::of(account, events, seconds, before, stable));
        }
        Page {
            kernels: kernels.into_iter().collect(),
            users: users.into_iter().collect(),
            sabotage: is_sabotaged(told),
            count: Count::of(&told.accounts),
            broken: told.accounts.iter().filter(|account| account.broken.is_some()).count(),
            elapsed: (!stable).then(|| seconds(total)),
            demos,
            skips: reasons(&told.accounts),
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
    fn of(account: &Account, events: &[Event], elapsed: Option<String>, before: usize, stable: bool) -> Demo {
        let name = account.demo.name;
        let id = if before == 0 { name.to_string() } else { format!("{name}-{}", before + 1) };
        let steps = steps::of(events, Shown::new(stable));
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
        let left = account.claims.iter().filter(|claim| claim.fate.is_none());
        let (mut question, mut source, mut pages) =
            (account.demo.question.to_string(), String::new(), Vec::new());
        let mut sentence = None;
        if let Some(Event::Begin { question: asked, notes, man, stage, .. }) = events.first() {
            (question, source, pages) =
                (lines(asked), lines(notes), man.iter().map(|page| lines(page)).collect());
            sentence = stage.sentence(stable);
        }
        Demo {
            id,
            title: account.demo.title(),
            question,
            notes: source,
            man: pages,
            stage: sentence,
            count: Count::of(std::slice::from_ref(account)),
            broken: account.broken.as_deref().map(lines),
            left: left.map(|claim| lines(&claim.head.text)).collect(),
            elapsed,
            steps,
            pictures,
        }
    }
}

fn seconds(nanoseconds: u64) -> String {
    format!("{}.{:03} s", nanoseconds / 1_000_000_000, nanoseconds / 1_000_000 % 1000)
}
