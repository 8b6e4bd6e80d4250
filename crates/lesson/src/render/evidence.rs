//! What a claim rests on: both arms, seen from outside and inside.

use ns_core::View;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Padding, Style as Borders};
use unicode_width::UnicodeWidthStr;

use super::layout::Layout;
use super::lines::{fill, wrap};
use super::style::{styled, styled_lines};
use super::tone;

/// What stands left of it.
pub(super) const INDENT: usize = 9;
/// Below this many columns, outside and inside are stacked.
const SIDE_BY_SIDE: usize = 64;

/// What an arm shows.
pub(super) struct Shows {
    /// What it is.
    pub(super) name: String,
    /// Facts as lines of text.
    pub(super) facts: Vec<(View, String)>,
}

impl Shows {
    fn of(&self, view: View) -> impl Iterator<Item = &String> {
        self.facts.iter().filter(move |(seen, _)| *seen == view).map(|(_, line)| line)
    }
}

/// Outside and inside side by side, the arms below each other; stacked where that is too wide, and in plain text.
pub(super) fn draw(arms: &[Shows], Layout { width, plain }: Layout) -> String {
    let seen = |view: &View| arms.iter().any(|arm| arm.of(*view).next().is_some());
    let views: Vec<View> = [View::Outside, View::Inside].into_iter().filter(seen).collect();
    if views.is_empty() {
        return String::new();
    }
    if plain || width < SIDE_BY_SIDE {
        stacked(arms, &views, width)
    } else {
        side_by_side(arms, &views, width)
    }
}

/// What stands left of a claim's lines: less where outside and inside are stacked.
pub(super) fn indent(width: usize) -> String {
    " ".repeat(if width < SIDE_BY_SIDE { 2 } else { INDENT })
}

fn stacked(arms: &[Shows], views: &[View], width: usize) -> String {
    let mut text = String::new();
    for arm in arms {
        text += &styled_lines(&wrap(&arm.name, width, "  ", "  "), tone::faint());
        for view in views {
            for line in arm.of(*view) {
                text += &wrap(&format!("{:7} {line}", word(*view)), width, "    ", "            ");
            }
        }
    }
    text
}

fn side_by_side(arms: &[Shows], views: &[View], width: usize) -> String {
    let room = width - INDENT;
    let widest = |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| text.width()).max().unwrap_or(0);
    // Each column but the first has a bar and two blanks around it.
    let first = widest(&mut arms.iter().map(|arm| &arm.name)).min(room / 3);
    let wanted: Vec<_> = views
        .iter()
        .map(|view| widest(&mut arms.iter().flat_map(|arm| arm.of(*view))).max(word(*view).width()))
        .collect();
    let widths = share(room - first - 3 * views.len(), &wanted);
    let mut table = Builder::default();
    table.push_record([""].into_iter().chain(views.iter().map(|view| word(*view))));
    for arm in arms {
        let cell = |(view, width): (&View, &usize)| {
            arm.of(*view).map(|line| set(line, *width)).collect::<Vec<_>>().join("\n")
        };
        table.push_record([set(&arm.name, first)].into_iter().chain(views.iter().zip(&widths).map(cell)));
    }
    let mut table = table.build();
    table.with(Borders::empty().vertical('│')).with(Padding::new(0, 0, 0, 0));
    table.modify(Columns::new(1..), Padding::new(1, 1, 0, 0));
    table.modify(Columns::first(), Padding::new(0, 1, 0, 0));
    let mut text = String::new();
    for (at, line) in table.to_string().lines().enumerate() {
        let line = format!("{}{}", indent(width), line.trim_end());
        text += &if at == 0 { styled(&line, tone::faint()) } else { line };
        text.push('\n');
    }
    text
}

/// A line in a column.
fn set(line: &str, width: usize) -> String {
    fill(&ns_core::printable(line), width, if width > 12 { "  " } else { "" })
}

/// Divides `room` columns: who wants less than an equal share gets that, and the others share what is left.
fn share(room: usize, wanted: &[usize]) -> Vec<usize> {
    let equal = room / wanted.len().max(1);
    let modest: usize = wanted.iter().filter(|want| **want <= equal).sum();
    let greedy = wanted.iter().filter(|want| **want > equal).count().max(1);
    wanted
        .iter()
        .map(|want| if *want <= equal { *want } else { (*want).min((room - modest) / greedy) })
        .collect()
}

const fn word(view: View) -> &'static str {
    match view {
        View::Outside => "outside",
        View::Inside => "inside",
    }
}
