//! The map as a picture: boxes in boxes. A box is a user or PID namespace, and a row in it a set of namespaces that it owns.
//!
//! A chip is a namespace, with its kind in words. One with a dashed border has no process.

use map::words::{because, limits, members, summary};
use map::{Forest, Group, Map, Namespace};
use ns_core::{Kind, printable};
use pages::{Anchor, Canvas, Face, LINE, MARGIN, Picture, width};

use crate::outline::{Frame, Row, frames, strangers};

/// What is left free inside of a box.
const PAD: i32 = 10;
/// From one box to the next, and from one chip to the next.
const GAP: i32 = 8;
const BETWEEN: i32 = 5;
/// From one row to the next.
const ROW: i32 = LINE + 7;
/// A line of words is cut after so many characters.
const LONGEST: usize = 110;

/// The picture of a map, or of what was chosen from it, as the text of an SVG file: `shown` namespaces.
pub(crate) fn svg(map: &Map, forest: &Forest<'_>, shown: usize) -> String {
    draw(map, forest, shown).standalone_with(include_str!("picture.css"))
}

fn draw(map: &Map, forest: &Forest<'_>, shown: usize) -> Picture {
    let mut drawing = Drawing { canvas: Canvas::new(), y: MARGIN };
    let summary = summary(map, shown);
    drawing.words(MARGIN, &[("Namespaces: ", Face::Strong), (&summary, Face::Plain)]);
    drawing.words(MARGIN, &[("A chip is a namespace; with a dashed border it has no process.", Face::Faint)]);
    for (kind, title) in [(Kind::User, "User namespaces, and what each owns"), (Kind::Pid, "PID namespaces")]
    {
        let (roots, hidden) = frames(forest, kind);
        if !roots.is_empty() {
            drawing.y += GAP;
            drawing.words(MARGIN, &[(title, Face::Strong)]);
            drawing.frames(&roots, MARGIN, hidden);
        }
        if kind == Kind::User {
            drawing.strangers(forest);
        }
    }
    let description = format!("Namespaces as boxes in boxes: {summary}.");
    drawing.canvas.finish("The namespaces of a machine", description)
}

struct Drawing {
    canvas: Canvas,
    /// Where the next line begins.
    y: i32,
}

impl Drawing {
    /// A line of words, in several faces. Gives where it ends.
    fn words(&mut self, x: i32, parts: &[(&str, Face)]) -> i32 {
        let mut right = x;
        for (text, face) in parts {
            self.canvas.words(right, self.y + 13, text, Anchor::Start, *face);
            right += width(text);
        }
        self.y += ROW;
        right
    }

    fn frames(&mut self, frames: &[Frame<'_>], x: i32, hidden: usize) {
        for frame in frames {
            self.frame(frame, x);
            self.y += GAP;
        }
        self.hidden(x, hidden);
    }

    fn hidden(&mut self, x: i32, hidden: usize) {
        if hidden > 0 {
            let text = format!("and {hidden} more: ns-map --list has all");
            self.words(x, &[(&text, Face::Faint)]);
        }
    }

    fn frame(&mut self, frame: &Frame<'_>, x: i32) {
        let (wide, high) = size_of_frame(frame);
        let class = if frame.namespace.members == 0 { "namespace held" } else { "namespace" };
        self.canvas.rectangle(x, self.y, wide, high, class);
        self.y += PAD / 2;
        let [name, rest, alike] = title(frame);
        let left = x + PAD;
        self.words(left, &[(&name, Face::Strong), (&rest, Face::Plain), (&alike, Face::Strong)]);
        for row in &frame.rows {
            self.row(row, left);
        }
        self.frames(&frame.frames, left, frame.hidden);
        self.y += PAD / 2;
    }

    fn row(&mut self, row: &Row<'_>, x: i32) {
        let mut left = x;
        for namespace in &row.group.namespaces {
            left = self.chip(namespace, left);
        }
        let [name, rest, alike] = row_words(row);
        self.words(left + GAP, &[(&name, Face::Strong), (&rest, Face::Plain), (&alike, Face::Strong)]);
    }

    /// A namespace. Gives where the next may begin.
    fn chip(&mut self, namespace: &Namespace, x: i32) -> i32 {
        let kind = namespace.id.kind;
        let wide = chip_width(kind);
        let held = if namespace.members == 0 { "held" } else { "whole" };
        self.canvas.rectangle(x, self.y, wide, LINE + 2, &format!("chip {} {held}", colour(kind)));
        self.canvas.words(x + wide / 2, self.y + 13, kind.link(), Anchor::Middle, Face::Plain);
        x + wide + BETWEEN
    }

    fn strangers(&mut self, forest: &Forest<'_>) {
        let (rows, hidden) = strangers(forest);
        if rows.is_empty() {
            return;
        }
        self.y += GAP;
        self.words(MARGIN, &[("Owner not readable", Face::Strong)]);
        rows.iter().for_each(|row| self.row(row, MARGIN + PAD));
        self.hidden(MARGIN + PAD, hidden);
    }
}

/// How wide and high a box is.
fn size_of_frame(frame: &Frame<'_>) -> (i32, i32) {
    let title: i32 = title(frame).iter().map(|part| width(part)).sum();
    let rows = frame.rows.iter().map(row_width);
    let sizes: Vec<(i32, i32)> = frame.frames.iter().map(size_of_frame).collect();
    let inner = rows.chain(sizes.iter().map(|(wide, _)| *wide)).max().unwrap_or(0);
    let lines = 1 + i32::try_from(frame.rows.len()).unwrap_or(0) + i32::from(frame.hidden > 0);
    let below: i32 = sizes.iter().map(|(_, high)| high + GAP).sum();
    (title.max(inner) + 2 * PAD, lines * ROW + below + PAD)
}

fn row_width(row: &Row<'_>) -> i32 {
    let chips: i32 = row.group.namespaces.iter().map(|it| chip_width(it.id.kind) + BETWEEN).sum();
    chips + GAP + row_words(row).iter().map(|part| width(part)).sum::<i32>()
}

fn chip_width(kind: Kind) -> i32 {
    width(kind.link()) + 12
}

fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Net => "a0",
        Kind::Mnt => "a1",
        Kind::Pid => "a2",
        Kind::Uts => "a3",
        Kind::Ipc => "a4",
        Kind::Cgroup => "a5",
        Kind::Time | Kind::User => "pill",
    }
}

/// What stands at the top of a box: its name, who is in it, how many are like it.
fn title(frame: &Frame<'_>) -> [String; 3] {
    let namespace = frame.namespace;
    let group = Group { namespaces: vec![namespace] };
    let mut rest = format!("  {}", members(namespace));
    for words in because(&group, 2) {
        rest += &format!("; {words}");
    }
    [namespace.id.to_string(), cut(&rest), alike(frame.alike)]
}

/// What stands beside the chips of a row: the first process, how many there are, how many sets are like it.
fn row_words(row: &Row<'_>) -> [String; 3] {
    let group = &row.group;
    let (name, mut rest) = match group.first() {
        Some(first) => {
            let count = group.count();
            let count = if count == "1" { String::new() } else { format!(", {count} processes") };
            (printable(&first.command), format!(" ({}) of {}{count}", first.pid, printable(&first.user)))
        }
        None => (String::new(), "no process".into()),
    };
    for words in because(group, 2) {
        rest += &format!("; {words}");
    }
    let cgroup = group.namespaces.iter().find_map(|namespace| namespace.cgroup.as_ref());
    let limits = cgroup.map(limits).unwrap_or_default();
    if !limits.is_empty() {
        rest += &format!("; {limits}");
    }
    [name, cut(&rest), alike(row.alike)]
}

fn alike(others: usize) -> String {
    if others == 0 { String::new() } else { format!("  and {others} more like it") }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.into();
    }
    text.chars().take(LONGEST).collect::<String>() + "…"
}
