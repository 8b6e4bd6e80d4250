//! What the class has before it: the text of the run so far, in leaves between which it may pause, set anew when the
//! terminal's width changes.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::rc::Rc;

use anyhow::{Context, Result};
use lesson::render::{Layout, Renderer, Text, beside, tone};
use owo_colors::OwoColorize;
use pages::write_now;
use transcript::Event;

use super::leaf::{Block, height, screens};
use super::options::Options;
use super::terminal::CLEAR;

/// Moves to the first column and clears what is right of it: ECMA-48, EL.
const CLEAR_LINE: &str = "\r\x1b[K";

/// Shows events, and those of before again.
pub(super) struct Page<'a> {
    options: &'a Options,
    width: usize,
    text: Text<Sheet>,
    sheet: Sheet,
    leaves: Vec<Leaf>,
    /// How many of the leaves were shown.
    shown: usize,
    /// What is shown: which leaf, and which of its screens.
    at: Option<(usize, usize)>,
    /// How many lines stand on the screen.
    used: Cell<usize>,
    /// How many of them were shown since a key was waited for.
    fresh: Cell<usize>,
    recording: Option<Box<dyn Renderer>>,
}

/// What is shown between two pauses, unless it is taller than the screen.
#[derive(Debug)]
struct Leaf {
    step: usize,
    part: Part,
    events: Vec<Event>,
    blocks: Vec<Block>,
}

/// Where a leaf stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label {
    /// The step's number; 0 before the first.
    pub(super) step: usize,
    pub(super) part: Part,
    /// Which of how many screens.
    pub(super) screen: (usize, usize),
}

/// Which part of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What it is going to do.
    Announced,
    /// A claim, and how many there are.
    Claim(usize, usize),
    /// What is shown beside its claims.
    Rest,
    /// The end of all.
    End,
}

/// What was set and is not shown yet.
#[derive(Debug, Clone, Default)]
struct Sheet(Rc<RefCell<Vec<u8>>>);

impl<'a> Page<'a> {
    pub(super) fn new(options: &'a Options) -> Result<Page<'a>> {
        let (width, sheet) = (options.screen.columns(), Sheet::default());
        let text = text(options, sheet.clone());
        let recording = match &options.record {
            Some(path) => {
                let cast = lesson::cast(path, width, options.look.stable, options.look.verbose)?;
                Some(Box::new(cast) as Box<dyn Renderer>)
            }
            None => None,
        };
        let (leaves, shown, at) = (Vec::new(), 0, None);
        let (used, fresh) = (Cell::new(0), Cell::new(0));
        Ok(Page { options, width, text, sheet, leaves, shown, at, used, fresh, recording })
    }

    /// Shows what happened, with no pause to come.
    pub(super) fn show(&mut self, part: Part, events: Vec<Event>) -> Result<()> {
        self.fit()?;
        let Some(step) = events.iter().map(|event| self.step_of(event)).max() else { return Ok(()) };
        let (mut text, mut blocks) = (String::new(), Vec::new());
        for event in &events {
            let set = self.set(event)?;
            self.record(event)?;
            blocks.push(Block::of(event, &set));
            text += &set;
        }
        self.leaves.push(Leaf { step, part, events, blocks });
        self.shown = self.leaves.len();
        self.say(&text)
    }

    /// Turns to what is to be looked at until a key is pressed. What has just been said stays, though, where there is
    /// not room for both: then [`Page::forward`] shows it. False if there is nothing to see.
    pub(super) fn turn_to(&mut self, part: Part, events: Vec<Event>) -> Result<bool> {
        self.fit()?;
        for event in &events {
            self.record(event)?;
        }
        let step = events.iter().map(|event| self.step_of(event)).max().unwrap_or_default();
        let blocks = self.set_leaf(&events)?;
        self.leaves.push(Leaf { step, part, events, blocks });
        let Some(first) = self.screens(self.leaves.len() - 1).into_iter().next() else { return Ok(false) };
        if !self.has_said() || self.has_room_below_said(height(&first, self.width)) {
            self.forward()?;
        }
        Ok(true)
    }

    /// Whether something was said since a key was waited for. An echo is no text.
    fn has_said(&self) -> bool {
        self.fresh.get() > 1
    }

    /// Whether so many lines, and an empty one, have room below what has just been said.
    fn has_room_below_said(&self, count: usize) -> bool {
        self.fresh.get() + 1 + count <= self.room()
    }

    /// Shows the screen after the one that is shown. False if it is the last.
    pub(super) fn forward(&mut self) -> Result<bool> {
        self.fit()?;
        let after = match self.at {
            Some((leaf, screen)) if screen + 1 < self.screens(leaf).len() => Some((leaf, screen + 1)),
            at => {
                let first = at.map_or(0, |(leaf, _)| leaf + 1);
                (first..self.leaves.len()).find(|leaf| !self.screens(*leaf).is_empty()).map(|leaf| (leaf, 0))
            }
        };
        let Some((leaf, screen)) = after else { return Ok(false) };
        let is_new = leaf >= self.shown;
        self.put(leaf, screen, is_new && screen == 0)?;
        Ok(true)
    }

    /// Shows the screen before the one that is shown. False if it is the first.
    pub(super) fn back(&mut self) -> Result<bool> {
        self.fit()?;
        let (leaf, screen) = self.at.unwrap_or((self.leaves.len(), 0));
        let before = match screen.checked_sub(1) {
            Some(screen) => Some((leaf, screen)),
            None => (0..leaf).rev().find_map(|leaf| Some((leaf, self.screens(leaf).len().checked_sub(1)?))),
        };
        let Some((leaf, screen)) = before else { return Ok(false) };
        self.put(leaf, screen, false)?;
        Ok(true)
    }

    /// Shows what is shown once more, if there is anything.
    pub(super) fn again(&mut self) -> Result<bool> {
        self.fit()?;
        let Some((leaf, screen)) = self.at else { return self.back() };
        self.put(leaf, screen, false)?;
        Ok(true)
    }

    /// What is shown, to come back to by [`Page::come_back`].
    pub(super) fn place(&self) -> Option<(usize, usize)> {
        self.at
    }

    /// Goes on from a place, as if nothing else had been shown since.
    pub(super) fn come_back(&mut self, place: Option<(usize, usize)>) {
        self.at = place;
    }

    /// Where what is shown stands.
    pub(super) fn label(&self) -> Option<Label> {
        let (at, screen) = self.at?;
        let Leaf { step, part, .. } = self.leaves.get(at)?;
        Some(Label { step: *step, part: *part, screen: (screen + 1, self.screens(at).len()) })
    }

    /// Whether all was shown, and it was the end.
    pub(super) fn is_over(&self) -> bool {
        self.label().is_some_and(|it| it.part == Part::End && it.screen.0 == it.screen.1)
    }

    /// The step that is shown, 0 before the first, and the claims of it whose verdicts were shown.
    pub(super) fn judged(&self) -> (usize, Vec<&str>) {
        let step = self.label().map_or_else(|| self.step(), |label| label.step);
        let events = self.leaves[..self.shown].iter().filter(|leaf| leaf.step == step);
        let judged = events.flat_map(|leaf| &leaf.events).filter_map(|event| match event {
            Event::Judged { claim, .. } => Some(claim.as_str()),
            _ => None,
        });
        (step, judged.collect())
    }

    /// Whether the verdict on a claim was shown.
    pub(super) fn has_shown(&self, id: &str) -> bool {
        let events = self.leaves[..self.shown].iter().flat_map(|leaf| &leaf.events);
        events.into_iter().any(|event| matches!(event, Event::Judged { claim, .. } if claim == id))
    }

    /// Whether the step that is shown was shown whole.
    pub(super) fn is_done(&self) -> bool {
        self.label().is_some_and(|Label { part, screen: (screen, screens), .. }| {
            screen == screens && matches!(part, Part::Claim(at, of) if at == of) || part == Part::Rest
        })
    }

    /// Shows styled text. What does not end with its line is taken for a prompt.
    pub(super) fn say(&self, text: &str) -> Result<()> {
        let mut out = self.options.screen.stdout()?;
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write the output")?;
        let lines: Vec<String> = text.lines().map(ToString::to_string).collect();
        let is_prompt = !text.is_empty() && !text.ends_with('\n');
        let count = height(&lines, self.width) - usize::from(is_prompt);
        self.used.set(self.used.get() + count);
        self.fresh.set(if is_prompt { 0 } else { self.fresh.get() + count });
        Ok(())
    }

    /// Takes a prompt away that was answered by a key, of which `echo` is to be seen.
    pub(super) fn answered(&self, echo: &str) -> Result<()> {
        if echo.is_empty() { self.retract() } else { self.say(&format!("{echo}\n")) }
    }

    /// Takes a prompt away that is to be shown once more.
    pub(super) fn retract(&self) -> Result<()> {
        if self.options.screen.can_clear() { self.control(CLEAR_LINE) } else { self.say("\n") }
    }

    /// To be called when others have written to the screen: what comes next needs one of its own.
    pub(super) fn is_disturbed(&self) {
        self.used.set(self.room());
    }

    /// Shows a remark: lines of ours between the experiment's.
    pub(super) fn remark(&self, text: &str) -> Result<()> {
        self.say(&self.layout().wrap(text, "   ", "   "))
    }

    pub(super) fn columns(&self) -> usize {
        self.options.screen.columns()
    }

    /// How many lines there are for what is shown at once, above the line with the keys.
    pub(super) fn room(&self) -> usize {
        let below = if self.options.screen.can_clear() { 1 } else { 2 };
        self.options.screen.rows().map_or(usize::MAX, |rows| rows - below)
    }

    pub(super) fn layout(&self) -> Layout {
        self.options.screen.layout()
    }

    /// The screens of a leaf.
    fn screens(&self, leaf: usize) -> Vec<Vec<String>> {
        self.leaves.get(leaf).map_or_else(Vec::new, |leaf| screens(&leaf.blocks, self.room(), self.width))
    }

    /// Shows a screen of a leaf: `below` what stands there already, if there is room, and else on a screen of its own.
    fn put(&mut self, leaf: usize, screen: usize, below: bool) -> Result<()> {
        (self.at, self.shown) = (Some((leaf, screen)), self.shown.max(leaf + 1));
        let Some(lines) = self.screens(leaf).into_iter().nth(screen) else { return Ok(()) };
        let Leaf { part, events, .. } = &self.leaves[leaf];
        let is_announced = *part == Part::Announced;
        // After its questions a step is announced together with what it has shown.
        let is_titled = screen == 0 && events.iter().any(|event| matches!(event, Event::Step { .. }));
        let (count, room) = (height(&lines, self.width), self.room());
        let mut text = lines.join("\n") + "\n";
        // What has just been said stays, and what stood before it scrolls away.
        let is_kept = self.has_said() && self.has_room_below_said(count);
        if below && !is_announced && (is_kept || self.used.get() + 1 + count <= room) {
            text.insert(0, '\n');
        } else {
            if self.options.screen.can_clear() {
                self.control(CLEAR)?;
                self.used.set(0);
            }
            if let Some(title) = self.title(leaf).filter(|_| !is_announced && !is_titled && count + 2 <= room)
            {
                text = format!("{title}\n\n{text}");
            }
        }
        self.say(&text)
    }

    /// The title of a leaf's step, in a line.
    fn title(&self, leaf: usize) -> Option<String> {
        let step = self.leaves.get(leaf)?.step;
        let title = self.leaves.iter().flat_map(|leaf| &leaf.events).find_map(|event| match event {
            Event::Step { number, title, .. } if *number == step => Some(format!("{number}. {title}")),
            _ => None,
        })?;
        let Layout { width, plain } = self.layout();
        let set = Layout { width: width - 2, plain }.wrap(&title, "", "");
        let (first, rest) = set.trim_end().split_once('\n').unwrap_or((set.trim_end(), ""));
        let more = if rest.is_empty() { String::new() } else { self.layout().words(" …") };
        Some(format!("{first}{more}").style(tone::heading()).to_string())
    }

    /// Past what strips styles: it knows whether there is a terminal that obeys.
    fn control(&self, sequence: &str) -> Result<()> {
        write_now(sequence.as_bytes())
    }

    /// The text of an event, given all before it.
    fn set(&mut self, event: &Event) -> Result<String> {
        self.text.show(event).context("cannot set the text")?;
        Ok(String::from_utf8_lossy(&self.sheet.0.take()).into_owned())
    }

    /// The text of a leaf's events. What was skipped is said at once, and not in the end alone.
    fn set_leaf(&mut self, events: &[Event]) -> Result<Vec<Block>> {
        let is_end = matches!(events.last(), Some(Event::End { .. }));
        let mut told = Vec::new();
        let mut blocks = Vec::new();
        for event in events {
            let mut text = self.set(event)?;
            if let Event::Skipped { missing, remedy, .. } = event {
                if !is_end && !told.contains(&missing) {
                    told.push(missing);
                    let line = format!("{missing}; {remedy}");
                    text = beside("SKIPPED", line.trim_end_matches("; "), tone::note(), self.layout(), 9);
                }
            }
            blocks.push(Block::of(event, &text));
        }
        Ok(blocks)
    }

    fn record(&mut self, event: &Event) -> Result<()> {
        let Some(recording) = &mut self.recording else { return Ok(()) };
        recording.show(event).context("cannot write the recording")
    }

    /// The step that an event belongs to.
    fn step_of(&self, event: &Event) -> usize {
        if let Event::Step { number, .. } = event { *number } else { self.step() }
    }

    /// The number of the last step that was turned to; 0 before the first.
    pub(super) fn step(&self) -> usize {
        self.leaves.last().map_or(0, |leaf| leaf.step)
    }

    /// Sets all in the width that the terminal has now.
    fn fit(&mut self) -> Result<()> {
        if self.options.screen.columns() == self.width {
            return Ok(());
        }
        self.width = self.options.screen.columns();
        // From the beginning, since a text may refer to what stands before it.
        self.text = text(self.options, self.sheet.clone());
        let mut leaves = std::mem::take(&mut self.leaves);
        for leaf in &mut leaves {
            leaf.blocks = self.set_leaf(&leaf.events)?;
        }
        self.leaves = leaves;
        Ok(())
    }
}

/// What sets text on a sheet.
fn text(options: &Options, sheet: Sheet) -> Text<Sheet> {
    let Layout { width, plain } = options.screen.layout();
    Text::new(sheet, width, options.look.stable, options.look.verbose).plain(plain)
}

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
