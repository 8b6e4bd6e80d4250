//! Processes inside the namespaces that they are in and the experiment is not.
//!
//! A frame is drawn around the members of a namespace. Namespaces with the same members share a frame, but for PID
//! namespaces, of which one lies in the other. Where frames would cross, the namespace is named at its members.

use std::collections::BTreeSet;

use lesson::render::Shown;
use ns_core::{NsId, Value};
use pages::{Anchor, Canvas, Face, LINE, MARGIN, Picture, width};
use transcript::Actor;

/// What its shapes mean.
pub(crate) const KEY: &str = "A blue frame is one or more namespaces, around the processes in them. The dashed frame is where the experiment runs.";

const PAD: i32 = 10;
const GAP: i32 = 8;
/// So many namespaces are named in a line.
const ABREAST: usize = 2;

/// Namespaces with the same members.
#[derive(Debug)]
struct Frame {
    namespaces: Vec<NsId>,
    members: BTreeSet<usize>,
}

/// What of a drawing lies beside each other: a process by its place, or a frame by its.
#[derive(Debug, Clone, Copy)]
enum Part {
    Process(usize),
    Frame(usize),
}

struct Drawing<'a> {
    actors: &'a [Actor],
    frames: Vec<Frame>,
    /// Those whose frames would cross another.
    crossing: Vec<(NsId, BTreeSet<usize>)>,
    names: &'a mut Shown,
    canvas: Canvas,
}

pub(crate) fn draw(actors: &[Actor], names: &mut Shown) -> Picture {
    let (frames, crossing) = frames(actors);
    let description = description(actors, names);
    let mut drawing = Drawing { actors, frames, crossing, names, canvas: Canvas::new() };
    let everyone: BTreeSet<usize> = (0..actors.len()).collect();
    let size = drawing.size(None, &everyone);
    drawing.frame(None, &everyone, (MARGIN, MARGIN), size.0);
    drawing.canvas.finish("Processes and their namespaces", description)
}

fn frames(actors: &[Actor]) -> (Vec<Frame>, Vec<(NsId, BTreeSet<usize>)>) {
    let mut members: Vec<(NsId, BTreeSet<usize>, usize)> = Vec::new();
    for (at, actor) in actors.iter().enumerate() {
        // A process is in the PID namespaces above its own, too. Those come first, so that they lie around it.
        let above = actor.pid_namespaces.iter().enumerate().map(|(depth, id)| (*id, depth));
        for (id, depth) in above.chain(actor.elsewhere.iter().map(|id| (*id, 0))) {
            match members.iter_mut().find(|(known, ..)| *known == id) {
                Some((_, who, _)) => drop(who.insert(at)),
                None => members.push((id, BTreeSet::from([at]), depth)),
            }
        }
    }
    members.sort_by_key(|(id, who, depth)| {
        (std::cmp::Reverse(who.len()), *depth, id.kind, who.first().copied())
    });
    let (mut frames, mut crossing): (Vec<Frame>, Vec<_>) = (Vec::new(), Vec::new());
    for (id, who, _) in members {
        let fits = |frame: &Frame| {
            who.is_subset(&frame.members) || frame.members.is_subset(&who) || who.is_disjoint(&frame.members)
        };
        let same = |frame: &&mut Frame| {
            frame.members == who && frame.namespaces.iter().all(|other| other.kind != id.kind)
        };
        if !frames.iter().all(fits) {
            crossing.push((id, who));
        } else if let Some(frame) = frames.iter_mut().find(same) {
            frame.namespaces.push(id);
        } else {
            frames.push(Frame { namespaces: vec![id], members: who });
        }
    }
    frames.iter_mut().for_each(|frame| frame.namespaces.sort_by_key(|id| id.kind));
    (frames, crossing)
}

impl Drawing<'_> {
    /// What lies directly in a frame: processes, and the largest frames within it.
    fn parts(&self, outer: Option<usize>, members: &BTreeSet<usize>) -> Vec<Part> {
        let mut left = members.clone();
        let mut parts: Vec<(usize, Part)> = Vec::new();
        for (at, frame) in self.frames.iter().enumerate().skip(outer.map_or(0, |outer| outer + 1)) {
            if frame.members.is_subset(&left) {
                left.retain(|member| !frame.members.contains(member));
                parts.extend(frame.members.first().map(|first| (*first, Part::Frame(at))));
            }
        }
        parts.extend(left.into_iter().map(|at| (at, Part::Process(at))));
        parts.sort_by_key(|(first, _)| *first);
        parts.into_iter().map(|(_, part)| part).collect()
    }

    fn title(&mut self, outer: Option<usize>) -> Vec<String> {
        let Some(at) = outer else { return vec!["where the experiment runs".into()] };
        let ids = self.frames[at].namespaces.clone();
        let words: Vec<_> = ids.into_iter().map(|id| self.names.value(&Value::Namespace(id))).collect();
        words.chunks(ABREAST).map(|line| line.join("  ")).collect()
    }

    fn lines(&mut self, at: usize) -> Vec<String> {
        let actor = &self.actors[at];
        let pids: Vec<_> = actor.pids.iter().map(|pid| self.names.value(&Value::Pid(*pid))).collect();
        let mut lines = vec![match pids.as_slice() {
            [] => "no PID here".into(),
            [only] => format!("PID {only}"),
            [first, inside @ ..] => format!("PID {first}, inside {}", inside.join(", then ")),
        }];
        let ids: Vec<_> =
            self.crossing.iter().filter(|(_, who)| who.contains(&at)).map(|(id, _)| *id).collect();
        lines.extend(ids.into_iter().map(|id| format!("in {}", self.names.value(&Value::Namespace(id)))));
        lines
    }

    fn process_size(&mut self, at: usize) -> (i32, i32) {
        let lines = self.lines(at);
        let words = lines.iter().chain([&self.actors[at].label]).map(|text| width(text)).max();
        let count = i32::try_from(lines.len()).unwrap_or(0);
        (words.unwrap_or(0) + 2 * PAD + 16, 26 + count * LINE)
    }

    fn size(&mut self, outer: Option<usize>, members: &BTreeSet<usize>) -> (i32, i32) {
        let title = self.title(outer);
        let mut wide = title.iter().map(|line| width(line)).max().unwrap_or(0);
        let mut high = PAD + LINE * i32::try_from(title.len()).unwrap_or(0);
        for part in self.parts(outer, members) {
            let (part_width, part_height) = match part {
                Part::Process(at) => self.process_size(at),
                Part::Frame(at) => self.size(Some(at), &self.frames[at].members.clone()),
            };
            wide = wide.max(part_width);
            high += part_height + GAP;
        }
        (wide + 2 * PAD, high + PAD - GAP / 2)
    }

    fn frame(
        &mut self,
        outer: Option<usize>,
        members: &BTreeSet<usize>,
        (x, y): (i32, i32),
        wide: i32,
    ) -> i32 {
        let (_, high) = self.size(outer, members);
        self.canvas.rectangle(x, y, wide, high, if outer.is_some() { "namespace" } else { "sandbox" });
        let mut line = y + LINE;
        for words in self.title(outer) {
            self.canvas.words(x + PAD, line, &words, Anchor::Start, Face::Faint);
            line += LINE;
        }
        let mut top = line - LINE + PAD;
        for part in self.parts(outer, members) {
            top += GAP
                + match part {
                    Part::Process(at) => self.process(at, (x + PAD, top), wide - 2 * PAD),
                    Part::Frame(at) => {
                        let members = self.frames[at].members.clone();
                        self.frame(Some(at), &members, (x + PAD, top), wide - 2 * PAD)
                    }
                };
        }
        high
    }

    fn process(&mut self, at: usize, (x, y): (i32, i32), wide: i32) -> i32 {
        let (_, high) = self.process_size(at);
        self.canvas.rectangle(x, y, wide, high, "process");
        self.canvas.circle(x + PAD + 3, y + 13, 5, "dot");
        let left = x + PAD + 16;
        let mut line = y + 18;
        self.canvas.words(left, line, &self.actors[at].label, Anchor::Start, Face::Strong);
        for words in self.lines(at) {
            line += LINE;
            self.canvas.words(left, line, &words, Anchor::Start, Face::Plain);
        }
        high
    }
}

fn description(actors: &[Actor], names: &mut Shown) -> String {
    let mut told = Vec::new();
    for actor in actors {
        let pids: Vec<_> = actor.pids.iter().map(|pid| names.value(&Value::Pid(*pid))).collect();
        let ids: Vec<_> = actor.elsewhere.iter().map(|id| names.value(&Value::Namespace(*id))).collect();
        let place =
            if ids.is_empty() { "in no other namespace".into() } else { format!("in {}", ids.join(" ")) };
        told.push(format!("{}, PID {}, {place}", actor.label, pids.join(" then ")));
    }
    format!("Each frame is drawn around the members of its namespaces. {}.", told.join("; "))
}
