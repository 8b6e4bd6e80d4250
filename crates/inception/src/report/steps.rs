//! An experiment's events as the parts of a page: its steps, and what was seen and judged in each.

use lesson::render::Shown;
use ns_core::printable;
use ns_core::{Fact, Value, View};
use serde::Serialize;
use transcript::{Actor, Arm, Claim, ClaimResult, Event, Run, Verdict};

use super::pictures::{self, Picture, Table};

/// A step; what comes before the first has none.
#[derive(Debug, Default, Serialize)]
pub(super) struct Step {
    number: Option<usize>,
    goal: String,
    calls: Vec<String>,
    by_hand: Vec<String>,
    pub(super) parts: Vec<Part>,
}

/// What happened in a step.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Part {
    Saw {
        facts: Vec<Cell>,
    },
    Actors {
        rows: Vec<Who>,
        #[serde(skip)]
        picture: Picture,
    },
    Table {
        title: String,
        columns: Vec<String>,
        rows: Vec<Vec<String>>,
        #[serde(skip)]
        picture: Option<Picture>,
    },
    Judged {
        claim: Sentence,
        /// What the columns show: `outside`, `inside`.
        views: Vec<&'static str>,
        arms: Vec<Row>,
    },
    Skipped {
        claim: Sentence,
        missing: String,
        remedy: String,
    },
}

/// A claim with what became of it.
#[derive(Debug, Serialize)]
pub(super) struct Sentence {
    id: String,
    text: String,
    numbers: String,
    verdict: &'static str,
    expected: bool,
    expect: String,
    /// Why it is as expected that it is refuted.
    why: Option<String>,
}

/// An arm: a list of facts for each view.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    name: String,
    effect: bool,
    views: Vec<Vec<Cell>>,
}

/// A fact.
#[derive(Debug, Serialize)]
pub(super) struct Cell {
    /// Who saw it, where that is not the experiment itself.
    who: Option<String>,
    what: String,
    value: String,
}

/// An actor.
#[derive(Debug, Serialize)]
pub(super) struct Who {
    label: String,
    pids: String,
    namespaces: String,
}

impl Part {
    /// How it is drawn, if it can be.
    pub(super) fn picture(&self) -> Option<&Picture> {
        match self {
            Part::Actors { picture, .. } => Some(picture),
            Part::Table { picture, .. } => picture.as_ref(),
            _ => None,
        }
    }
}

/// The steps of one experiment. Names for what differs are given in the order in which things stand on the page.
pub(super) fn of(run: &Run, names: Shown) -> Vec<Step> {
    let mut reader = Reader { names, run, step: Step::default(), actors: Vec::new() };
    let mut steps: Vec<Step> = run.steps().map(|events| reader.read(events)).collect();
    steps.retain(|step| step.number.is_some() || !step.parts.is_empty());
    steps
}

struct Reader<'a> {
    names: Shown,
    run: &'a Run,
    /// The one that is read.
    step: Step,
    /// Those that were named one after another.
    actors: Vec<Actor>,
}

impl Reader<'_> {
    /// A step, from its events.
    fn read(&mut self, events: &[Event]) -> Step {
        events.iter().for_each(|event| self.take(event));
        self.end_actors();
        std::mem::take(&mut self.step)
    }

    fn take(&mut self, event: &Event) {
        if let Event::Actor(actor) = event {
            self.actors.push(actor.clone());
            return;
        }
        self.end_actors();
        match event {
            Event::Step { number, title, calls, by_hand, .. } => {
                self.names.begin_step();
                let all = |texts: &[String]| texts.iter().map(|text| lines(text)).collect();
                let (calls, by_hand) = (all(calls), all(by_hand));
                self.step =
                    Step { number: Some(*number), goal: lines(title), calls, by_hand, parts: Vec::new() };
            }
            Event::Saw(fact) => {
                let cell = self.cell(fact);
                let parts = &mut self.step.parts;
                match parts.last_mut() {
                    Some(Part::Saw { facts }) => facts.push(cell),
                    _ => parts.push(Part::Saw { facts: vec![cell] }),
                }
            }
            Event::Table { title, columns, rows, picture } => {
                let cells: Vec<Vec<String>> = rows
                    .iter()
                    .map(|row| row.iter().map(|value| self.names.value(value)).collect())
                    .collect();
                let heads: Vec<String> = columns.iter().map(|column| printable(column)).collect();
                let table = Table { title, columns: &heads, rows };
                let picture = picture.and_then(|form| pictures::draw(form, table, &mut self.names));
                let title = lines(title);
                self.step.parts.push(Part::Table { title, columns: heads, rows: cells, picture });
            }
            Event::Judged { claim, control, treatment, .. } => {
                if let Some(claim) = self.run.claim(claim) {
                    self.judged(claim, [control, treatment]);
                }
            }
            Event::Skipped { claim, missing, remedy } => {
                if let Some(claim) = self.run.claim(claim) {
                    let claim = self.sentence(claim);
                    let (missing, remedy) = (lines(missing), lines(remedy));
                    self.step.parts.push(Part::Skipped { claim, missing, remedy });
                }
            }
            Event::Begin { .. } | Event::Actor(_) | Event::End { .. } => {}
        }
    }

    /// Actors that were named together are drawn together.
    fn end_actors(&mut self) {
        if self.actors.is_empty() {
            return;
        }
        let actors = std::mem::take(&mut self.actors);
        let mut rows = Vec::new();
        for actor in &actors {
            let mut all = |values: Vec<Value>| {
                values.iter().map(|value| self.names.value(value)).collect::<Vec<_>>().join(" ")
            };
            let pids = all(actor.pids.iter().map(|pid| Value::Pid(*pid)).collect());
            let namespaces = all(actor.elsewhere.iter().map(|id| Value::Namespace(*id)).collect());
            rows.push(Who { label: printable(&actor.label), pids, namespaces });
        }
        let picture = pictures::draw_namespaces(&actors, &mut self.names);
        self.step.parts.push(Part::Actors { rows, picture });
    }

    fn judged(&mut self, claim: &Claim, arms: [&Arm; 2]) {
        let factor = &claim.head.factor;
        let claim = self.sentence(claim);
        let name = |word: &str| {
            if factor.is_empty() { word.to_string() } else { format!("{word} {}", lines(factor)) }
        };
        let names = [name("without"), name("with")];
        let has = |view: View| arms.iter().any(|arm| arm.facts.iter().any(|fact| fact.view == view));
        let views: Vec<View> = [View::Outside, View::Inside].into_iter().filter(|view| has(*view)).collect();
        let mut rows = Vec::new();
        for (name, arm) in names.into_iter().zip(arms) {
            let mut cells = Vec::new();
            for view in &views {
                let facts = arm.facts.iter().filter(|fact| fact.view == *view);
                cells.push(facts.map(|fact| self.cell(fact)).collect());
            }
            rows.push(Row { name, effect: arm.effect, views: cells });
        }
        let word = |view: &View| if *view == View::Outside { "outside" } else { "inside" };
        let views = views.iter().map(word).collect();
        self.step.parts.push(Part::Judged { claim, views, arms: rows });
    }

    fn sentence(&self, Claim { head, result, .. }: &Claim) -> Sentence {
        let verdict = result.as_ref().map(ClaimResult::verdict);
        let expected = result.as_ref().is_none_or(ClaimResult::is_expected);
        let is_refuted = expected && verdict == Some(Verdict::Refuted);
        let heads = self.run.claims.iter().map(|claim| &claim.head);
        let why = is_refuted.then(|| head.why_refuted(heads)).flatten();
        Sentence {
            id: printable(&head.id),
            text: lines(&head.text),
            numbers: head.numbers().join(" "),
            verdict: verdict.map_or("", Verdict::word),
            expected,
            expect: lines(&head.expect.to_string()),
            why: why.map(|why| lines(&why)),
        }
    }

    fn cell(&mut self, fact: &Fact) -> Cell {
        let who = (fact.who != "outside").then(|| printable(&fact.who));
        Cell { who, what: printable(&fact.what), value: self.names.value(&fact.value) }
    }
}

/// Text whose line breaks stay; other control characters are shown and not obeyed.
pub(super) fn lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}
