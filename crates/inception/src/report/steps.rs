//! An experiment's events as the parts of a page: its steps, and what was seen and judged in each.

use lesson::render::Shown;
use lesson::{Actor, Arm, ClaimHead, Event, Verdict};
use ns_core::fact::printable;
use ns_core::{Fact, Value, View};
use serde::Serialize;

use super::pictures::{self, Picture};

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
pub(super) fn of(events: &[Event], names: Shown) -> Vec<Step> {
    let mut reader = Reader { names, claims: Vec::new(), steps: vec![Step::default()], actors: Vec::new() };
    events.iter().for_each(|event| reader.take(event));
    reader.end_actors();
    let mut steps = reader.steps;
    steps.retain(|step| step.number.is_some() || !step.parts.is_empty());
    steps
}

struct Reader {
    names: Shown,
    claims: Vec<ClaimHead>,
    steps: Vec<Step>,
    /// Those that were named one after another.
    actors: Vec<Actor>,
}

impl Reader {
    fn take(&mut self, event: &Event) {
        if let Event::Actor(actor) = event {
            self.actors.push(actor.clone());
            return;
        }
        self.end_actors();
        match event {
            Event::Begin { claims, .. } => self.claims.clone_from(claims),
            Event::Step { number, goal, calls, by_hand } => {
                let all = |texts: &[String]| texts.iter().map(|text| lines(text)).collect();
                let (calls, by_hand) = (all(calls), all(by_hand));
                let number = Some(*number);
                self.steps.push(Step { number, goal: lines(goal), calls, by_hand, parts: Vec::new() });
            }
            Event::Saw(fact) => {
                let cell = self.cell(fact);
                let parts = self.parts();
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
                let table = pictures::Table { title, columns: &heads, rows };
                let picture = picture.and_then(|form| pictures::table(form, table, &mut self.names));
                let title = lines(title);
                self.parts().push(Part::Table { title, columns: heads, rows: cells, picture });
            }
            Event::Judged { claim, verdict, expected, without, with } => {
                self.judged(claim, *verdict, *expected, [without, with]);
            }
            Event::Skipped { claim, missing, remedy } => {
                let claim = self.sentence(claim, Verdict::Skipped, true);
                let (missing, remedy) = (lines(missing), lines(remedy));
                self.parts().push(Part::Skipped { claim, missing, remedy });
            }
            Event::Actor(_) | Event::End { .. } => {}
        }
    }

    fn parts(&mut self) -> &mut Vec<Part> {
        if self.steps.is_empty() {
            self.steps.push(Step::default());
        }
        let last = self.steps.len() - 1;
        &mut self.steps[last].parts
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
        let picture = pictures::worlds(&actors, &mut self.names);
        self.parts().push(Part::Actors { rows, picture });
    }

    fn judged(&mut self, id: &str, verdict: Verdict, expected: bool, arms: [&Arm; 2]) {
        let claim = self.sentence(id, verdict, expected);
        let cause = self.claims.iter().find(|claim| claim.id == id).map_or("", |claim| &claim.cause);
        let name = |word: &str| {
            if cause.is_empty() { word.to_string() } else { format!("{word} {}", lines(cause)) }
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
        self.parts().push(Part::Judged { claim, views, arms: rows });
    }

    fn sentence(&self, id: &str, verdict: Verdict, expected: bool) -> Sentence {
        let head = self.claims.iter().find(|claim| claim.id == id);
        let why = head.filter(|_| expected && verdict == Verdict::Refuted);
        Sentence {
            id: printable(id),
            text: head.map_or_else(String::new, |head| lines(&head.text)),
            numbers: head.map(|head| head.numbers().join(" ")).unwrap_or_default(),
            verdict: verdict.word(),
            expected,
            expect: head.map_or_else(String::new, |head| lines(&head.expect)),
            why: why.and_then(|head| head.why_refuted(&self.claims)).map(|why| lines(&why)),
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
