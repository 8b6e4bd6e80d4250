//! A tree of cgroups: each in its box, with its members and its limits.

use lesson::render::Shown;
use ns_core::Value;
use pages::{Anchor, Canvas, Face, LINE, MARGIN, Picture, width};

use super::table::Table;

const INDENT: i32 = 26;
const GAP: i32 = 10;
const PAD: i32 = 9;

pub(super) fn draw(table: Table<'_>, names: &mut Shown) -> Picture {
    let mut canvas = Canvas::new();
    let mut told = Vec::new();
    // Where the box of each path so far hangs its children.
    let mut stems: Vec<(String, i32, i32)> = Vec::new();
    let mut y = MARGIN;
    for row in table.rows {
        let path = names.value(&row[0]);
        let depth = i32::try_from(path.matches('/').count()).unwrap_or(0);
        let name = path.rsplit('/').next().unwrap_or(&path).to_string();
        let lines: Vec<(String, Vec<String>)> = table.columns[1..]
            .iter()
            .zip(&row[1..])
            .map(|(column, value)| (column.clone(), each(value, names)))
            .filter(|(_, values)| !values.is_empty())
            .collect();
        let x = MARGIN + depth * INDENT;
        let first = lines.iter().map(|(column, _)| width(column)).max().unwrap_or(0);
        let wide = |values: &[String]| values.iter().map(|value| width(value) + 12).sum::<i32>();
        let widest = lines.iter().map(|(_, values)| first + 10 + wide(values)).max().unwrap_or(0);
        let box_width = widest.max(width(&name)) + 2 * PAD;
        let height = 26 + i32::try_from(lines.len()).unwrap_or(0) * (LINE + 4);

        if let Some((_, stem, bottom)) =
            stems.iter().rev().find(|(above, ..)| path.rsplit_once('/').is_some_and(|(it, _)| it == above))
        {
            canvas.line((*stem, *bottom), (*stem, y + 13), "stem");
            canvas.line((*stem, y + 13), (x, y + 13), "stem");
        }
        canvas.rectangle(x, y, box_width, height, "group");
        canvas.words(x + PAD, y + 18, &name, Anchor::Start, Face::Strong);
        let mut line = y + 18 + LINE + 4;
        for (column, values) in &lines {
            canvas.words(x + PAD, line, column, Anchor::Start, Face::Faint);
            let mut left = x + PAD + first + 10;
            for value in values {
                canvas.rectangle(left - 4, line - 13, width(value) + 8, LINE, "pill");
                canvas.words(left, line, value, Anchor::Start, Face::Plain);
                left += width(value) + 12;
            }
            line += LINE + 4;
        }
        let said: Vec<_> =
            lines.iter().map(|(column, values)| format!("{column} {}", values.join(" "))).collect();
        told.push(if said.is_empty() { path.clone() } else { format!("{path}: {}", said.join(", ")) });
        stems.push((path, x + 12, y + height));
        y += height + GAP;
    }
    canvas.finish(table.title, format!("A tree of cgroups. {}.", told.join("; ")))
}

/// The values of a list one by one; nothing for an empty one, or for no words.
fn each(value: &Value, names: &mut Shown) -> Vec<String> {
    let words: Vec<_> = match value {
        Value::List(values) => values.iter().map(|value| names.value(value)).collect(),
        value => vec![names.value(value)],
    };
    words.into_iter().filter(|word| !word.is_empty()).collect()
}
