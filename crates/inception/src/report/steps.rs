//! An experiment's events as the parts of a page: its steps, and what was seen and judged in each.

use lesson::render::Shown;
use ns_core::Value;
use ns_core::printable;
use pages::{Picture, lines};
use serde::Serialize;
use transcript::{Actor, Event, Hand, Picture as Form, Run};
use unicode_width::UnicodeWidthStr;

use super::claims::Claim;
use super::evidence;
use super::pictures::{self, Answer, Table};

/// So wide is the narrowest window for which the page is made, without its margins, in pixels.
const NARROWEST: usize = 336;
/// So wide is a column of text in a table then, and what is left free around a cell.
const ADVANCE: usize = 8;
const AROUND: usize = 9;

/// A step; what comes before the first has none.
#[derive(Debug, Default, Serialize)]
pub(super) struct Step {
    number: Option<usize>,
    title: String,
    calls: Vec<String>,
    by_hand: Vec<Typed>,
    /// The core claims that are judged in it, whose rows stand elsewhere.
    core: Vec<Link>,
    pub(super) parts: Vec<Part>,
}

/// A command to type by hand, and what it prints.
#[derive(Debug, Serialize)]
struct Typed {
    command: String,
    root: bool,
    prints: Vec<String>,
}

/// A place on the page, and what a link to it says.
#[derive(Debug, Serialize)]
struct Link {
    anchor: String,
    label: String,
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
        key: &'static str,
        #[serde(skip)]
        picture: Picture,
    },
    Table {
        title: String,
        columns: Vec<String>,
        rows: Vec<Vec<Entry>>,
        /// So many columns name a row.
        heads: usize,
        /// Whether a narrow window has a block for each row.
        stacks: bool,
        /// What its colours mean, where it is a heat map.
        answers: Vec<Answer>,
        /// What its picture's shapes mean.
        key: Option<&'static str>,
        #[serde(skip)]
        picture: Option<Picture>,
    },
    Claim(Box<Claim>),
}

/// What stands in a table.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    text: String,
    /// As [`Answer::colour`].
    colour: Option<usize>,
}

/// A fact.
#[derive(Debug, Serialize)]
pub(super) struct Cell {
    who: String,
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

    /// How it is drawn, if that shows more than its table does: a heat map is a table whose cells are coloured.
    pub(super) fn drawn_beside(&self) -> Option<&Picture> {
        match self {
            Part::Table { key: None, .. } => None,
            _ => self.picture(),
        }
    }

    /// The claim that is judged or skipped here.
    pub(super) fn claim(&self) -> Option<&Claim> {
        match self {
            Part::Claim(claim) => Some(claim),
            _ => None,
        }
    }
}

/// The steps of one experiment, which stands at `lesson` on the page. Names for what differs are given in the order in
/// which things stand in the events.
pub(super) fn of(run: &Run, lesson: &str, names: Shown) -> Vec<Step> {
    let mut reader = Reader { names, run, lesson, step: Step::default(), actors: Vec::new(), above: None };
    let mut steps: Vec<Step> = run.steps().map(|events| reader.read(events)).collect();
    steps.retain(|step| step.number.is_some() || !step.parts.is_empty());
    steps
}

struct Reader<'a> {
    names: Shown,
    run: &'a Run,
    lesson: &'a str,
    /// The one that is read.
    step: Step,
    /// Those that were named one after another.
    actors: Vec<Actor>,
    /// The names of the arms above the rows of the core claims so far.
    above: Option<[String; 2]>,
}

impl Reader<'_> {
    /// A step, from its events.
    fn read(&mut self, events: &[Event]) -> Step {
        events.iter().for_each(|event| self.take(event));
        self.end_actors();
        let mut step = std::mem::take(&mut self.step);
        let core = step.parts.iter().filter_map(Part::claim).filter(|claim| claim.core);
        let link = |claim: &Claim| Link { anchor: claim.anchor.clone(), label: claim.label.clone() };
        step.core = core.map(link).collect();
        step
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
                let calls = all(calls);
                let typed = |hand: &Hand| Typed {
                    command: lines(&hand.command),
                    root: hand.about.root,
                    prints: hand.about.prints.iter().flatten().map(|line| lines(line)).collect(),
                };
                let by_hand = by_hand.typed.iter().map(typed).collect();
                let (number, title) = (Some(*number), lines(title));
                self.step = Step { number, title, calls, by_hand, ..Step::default() };
            }
            Event::Saw(fact) => {
                let cell = Cell {
                    who: evidence::who(fact),
                    what: printable(&fact.what),
                    value: self.names.value(&fact.value),
                };
                let parts = &mut self.step.parts;
                match parts.last_mut() {
                    Some(Part::Saw { facts }) => facts.push(cell),
                    _ => parts.push(Part::Saw { facts: vec![cell] }),
                }
            }
            Event::Table(transcript::Table { title, columns, rows, picture }) => {
                self.table(title, columns, rows, *picture);
            }
            Event::Judged { claim, control, treatment, rows, .. } => {
                if let Some(claim) = Claim::of(self.run, claim, self.lesson) {
                    let mut claim = claim.judged(rows, [control, treatment], &mut self.names);
                    if claim.core && !claim.rows.is_empty() {
                        claim.heads = self.above.as_ref() != Some(&claim.arms);
                        self.above = Some(claim.arms.clone());
                    }
                    self.step.parts.push(Part::Claim(Box::new(claim)));
                }
            }
            Event::Skipped { claim, missing, remedy } => {
                if let Some(claim) = Claim::of(self.run, claim, self.lesson) {
                    self.step.parts.push(Part::Claim(Box::new(claim.skipped(missing, remedy))));
                }
            }
            Event::Begin { .. } | Event::Actor(_) | Event::End { .. } => {}
        }
    }

    fn table(&mut self, title: &str, columns: &[String], rows: &[Vec<Value>], form: Option<Form>) {
        let cells: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|value| self.names.value(value)).collect()).collect();
        let columns: Vec<String> = columns.iter().map(|column| printable(column)).collect();
        let table = Table { title, columns: &columns, rows };
        let picture = form.and_then(|form| pictures::draw(form, table, &mut self.names));
        let (heads, answers) = match form {
            Some(Form::Heat(heads)) if picture.is_some() => (heads, pictures::answers(&cells, heads)),
            _ => (1, Vec::new()),
        };
        let stacks = !fits(&columns, &cells);
        let entry = |(at, text): (usize, String)| {
            let answer = answers.iter().find(|answer| at >= heads && answer.word == text);
            Entry { colour: answer.and_then(|answer| answer.colour), text }
        };
        let rows = cells.into_iter().map(|row| row.into_iter().enumerate().map(entry).collect()).collect();
        let key = form.filter(|_| picture.is_some()).and_then(pictures::key);
        let title = lines(title);
        self.step.parts.push(Part::Table { title, columns, rows, heads, stacks, answers, key, picture });
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
        self.step.parts.push(Part::Actors { rows, key: pictures::KEY_TO_NAMESPACES, picture });
    }
}

/// Whether a table can stand in the narrowest window with no word cut in two.
fn fits(columns: &[String], rows: &[Vec<String>]) -> bool {
    let longest = |text: &String| text.split_whitespace().map(UnicodeWidthStr::width).max().unwrap_or(0);
    let column = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).chain(columns.get(at));
        cells.map(longest).max().unwrap_or(0) * ADVANCE + AROUND
    };
    (0..columns.len()).map(column).sum::<usize>() <= NARROWEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_stacks_where_its_words_have_no_room() {
        let words = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let columns = words(&["signal", "from outside"]);
        assert!(fits(&columns, &[words(&["SIGTERM", "it is dropped, and kill() succeeds"])]));
        assert!(!fits(&columns, &[words(&["SIGTERM", "/sys/fs/cgroup/unified/a/b/c/cgroup.procs"])]));
    }
}
