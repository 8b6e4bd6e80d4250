//! The page: a summary, and each demo with its steps. What it looks like stands in page.html and page.css.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use lesson::render::Shown;
use minijinja::value::Serde;
use minijinja::{Value as Safe, context};
use pages::{COLOURS, bare, coded, lines, picture_style};
use serde::Serialize;

use super::claims::Claim;
use super::steps::{self, Part, Step};
use super::why;
use crate::summary::{Count, Reason, reasons};
use crate::trial::Account;
use transcript::{Begin, ClaimResult, Run};

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
    name: &'static str,
    stem: String,
    title: String,
    question: String,
    setup: String,
    /// What to take home, where this run has shown it.
    in_short: String,
    notes: String,
    man: Vec<ManualPage>,
    sandbox: Option<String>,
    count: Count,
    broken: Option<String>,
    /// Claims that are neither judged nor skipped, because it broke before.
    left: Vec<String>,
    elapsed: Option<String>,
    /// Whether any claim stands on the one screen.
    has_core: bool,
    /// What is folded below the one screen, in a few words.
    more: String,
    steps: Vec<Step>,
    /// What its document says about why.
    why: Option<Safe>,
    /// A picture for each part of each step, where there is one.
    pictures: Vec<Vec<Option<Safe>>>,
}

/// A manual page, and where it can be read.
#[derive(Debug, Serialize)]
struct ManualPage {
    name: String,
    address: Option<String>,
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
        let mut environment = pages::environment()?;
        environment.add_filter("coded", |text: &str| coded(text));
        environment.add_filter("bare", |text: &str| bare(text));
        environment.add_template("page.html", include_str!("page.html")).context("page.html")?;
        let css = [COLOURS, include_str!("page.css"), picture_style()].concat();
        let script = Safe::from_safe_string(include_str!("copy.js").into());
        let context = context! { css => Safe::from_safe_string(css), script, ..Safe::from(Serde(self)) };
        environment.get_template("page.html")?.render(context).context("page.html")
    }
}

impl Demo {
    /// `before` of the same stand on the page already.
    fn of(account: &Account, before: usize, stable: bool) -> Demo {
        let name = account.demo.name;
        let id = if before == 0 { name.to_string() } else { format!("{name}-{}", before + 1) };
        let run = account.run.as_ref();
        let steps = run.map_or_else(Vec::new, |run| steps::of(run, &id, Shown::new(stable)));
        let mut number = 0;
        let mut pictures = Vec::new();
        for step in &steps {
            let mut drawn = Vec::new();
            for part in &step.parts {
                let picture = part.drawn_beside();
                number += usize::from(picture.is_some());
                let svg = picture.map(|picture| picture.inline(&format!("{id}-picture-{number}")));
                drawn.push(svg.map(Safe::from_safe_string));
            }
            pictures.push(drawn);
        }
        let left = account.claims().iter().filter(|claim| claim.result.is_none());
        let begin = run.map(|run| &run.begin);
        let text = |of: fn(&Begin) -> &str| begin.map_or_else(String::new, |it| lines(of(it)));
        let has_core = claims(&steps).any(|claim| claim.core);
        let rows = claims(&steps).map(|claim| (claim.id.clone(), claim.anchor.clone())).collect();
        Demo {
            name,
            stem: account.demo.stem(),
            title: account.demo.title(),
            question: begin.map_or_else(|| account.demo.question.into(), |it| lines(&it.question)),
            setup: text(|it| &it.setup),
            in_short: if is_shown(account) { text(|it| &it.in_short) } else { String::new() },
            notes: text(|it| &it.notes),
            man: begin.map_or_else(Vec::new, |it| it.man.iter().map(|page| ManualPage::of(page)).collect()),
            sandbox: begin.and_then(|it| it.sandbox.sentence(stable)),
            count: Count::of(std::slice::from_ref(account)),
            broken: account.broken.as_deref().map(lines),
            left: left.map(|claim| lines(&claim.head.text)).collect(),
            elapsed: (!stable).then(|| seconds(elapsed(account))),
            has_core,
            more: more(&steps),
            why: why::of(account.demo.doc, account.demo.reference, &rows),
            id,
            steps,
            pictures,
        }
    }
}

impl ManualPage {
    /// Of `unshare(2)` and the like: Debian serves the manual pages of all its packages.
    fn of(name: &str) -> ManualPage {
        let is_word = |word: &str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        let parts = name.strip_suffix(')').and_then(|name| name.split_once('('));
        let known = parts.filter(|(page, section)| is_word(page) && is_word(section));
        let address = known.map(|(page, section)| format!("https://manpages.debian.org/{page}.{section}"));
        ManualPage { name: lines(name), address }
    }
}

fn claims(steps: &[Step]) -> impl Iterator<Item = &Claim> {
    steps.iter().flat_map(|step| &step.parts).filter_map(Part::claim)
}

/// Whether every core claim was asked and came out as expected: what is said in short is said of all of them.
fn is_shown(account: &Account) -> bool {
    let mut core = account.claims().iter().filter(|claim| claim.head.core);
    let fine =
        |claim: &transcript::Claim| matches!(claim.result, Some(ClaimResult::Judged { expected: true, .. }));
    let run = account.run.as_ref();
    account.broken.is_none() && run.is_some_and(|run| !run.begin.sabotage) && core.all(fine)
}

/// What is folded below the one screen.
fn more(steps: &[Step]) -> String {
    let count =
        |is: fn(&Part) -> bool| steps.iter().flat_map(|step| &step.parts).filter(|part| is(part)).count();
    let parts = [
        (steps.len(), "step"),
        (claims(steps).filter(|claim| !claim.core).count(), "further claim"),
        (count(|part| matches!(part, Part::Table { .. })), "table"),
        (count(|part| part.drawn_beside().is_some()), "picture"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let words = parts.map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }));
    words.collect::<Vec<_>>().join(", ")
}

fn seconds(elapsed: Duration) -> String {
    format!("{}.{:03} s", elapsed.as_secs(), elapsed.subsec_millis())
}
