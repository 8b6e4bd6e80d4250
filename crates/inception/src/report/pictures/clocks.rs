//! Clocks on a timeline: where each stands outside, and where inside.

use lesson::render::Shown;
use ns_core::Value;
use pages::{Anchor, Canvas, Face, MARGIN, Picture, width};

use super::table::Table;

/// How long the timeline is.
const LENGTH: i32 = 300;
const ROW: i32 = 58;
/// Marks stand clear of the edge.
const CLEAR: i32 = 7;

pub(super) fn draw(table: Table<'_>, names: &mut Shown) -> Option<Picture> {
    let ahead: Vec<i64> = table.rows.iter().map(|row| ahead(&row[1], &row[2])).collect::<Option<_>>()?;
    let (least, most) = (ahead.iter().copied().min()?.min(0), ahead.iter().copied().max()?.max(0));
    let span = most.checked_sub(least)?.max(1);
    let place = |seconds: i64| -> i32 {
        let part = i128::from(seconds - least) * i128::from(LENGTH) / i128::from(span);
        MARGIN + CLEAR + i32::try_from(part).unwrap_or(LENGTH)
    };

    let mut canvas = Canvas::new();
    let legend = MARGIN + 14;
    canvas.circle(MARGIN + CLEAR, legend - 4, 5, "outside");
    canvas.words(MARGIN + CLEAR + 12, legend, &table.columns[1], Anchor::Start, Face::Plain);
    let next = MARGIN + CLEAR + 12 + width(&table.columns[1]) + 26;
    diamond(&mut canvas, next, legend - 4);
    canvas.words(next + 12, legend, &table.columns[2], Anchor::Start, Face::Plain);

    let mut told = Vec::new();
    let mut y = MARGIN + 30;
    for (row, seconds) in table.rows.iter().zip(&ahead) {
        let [clock, outside, inside] = [0, 1, 2].map(|at| names.value(&row[at]));
        let (zero, there) = (place(0), place(*seconds));
        canvas.words(MARGIN, y + 14, &clock, Anchor::Start, Face::Strong);
        let line = y + 28;
        canvas.line((MARGIN + CLEAR, line), (MARGIN + CLEAR + LENGTH, line), "axis");
        if there != zero {
            canvas.line((zero.min(there), line), (zero.max(there), line), "ahead");
        }
        canvas.circle(zero, line, 5, "outside");
        diamond(&mut canvas, there, line);
        let by = by(*seconds);
        canvas.words(MARGIN, line + 18, &format!("{outside} → {inside}"), Anchor::Start, Face::Faint);
        let right = MARGIN + LENGTH + 2 * CLEAR;
        canvas.words(right, y + 14, &by, Anchor::End, Face::Plain);
        told.push(format!("{clock}: {by}"));
        y += ROW;
    }
    let description = format!(
        "A timeline. Each clock has a circle where it stands outside and a diamond where it stands inside. {}.",
        told.join("; ")
    );
    Some(canvas.finish(table.title, description))
}

/// By how many seconds the second reading is ahead. It was taken a moment after the first.
fn ahead(outside: &Value, inside: &Value) -> Option<i64> {
    const SECOND: i64 = 1_000_000_000;
    let difference = inside.as_i64()?.checked_sub(outside.as_i64()?)?;
    Some(difference.checked_add(SECOND / 2)?.div_euclid(SECOND))
}

fn diamond(canvas: &mut Canvas, x: i32, y: i32) {
    canvas.path(&format!("M{x} {}L{} {y}L{x} {}L{} {y}Z", y - 7, x + 7, y + 7, x - 7), "inside");
}

/// `+86400 s`, and in days where it is so many.
fn by(seconds: i64) -> String {
    const DAY: i64 = 86400;
    if seconds == 0 {
        return "the same".into();
    }
    match seconds / DAY {
        days if seconds % DAY == 0 => format!("{seconds:+} s = {days:+} d"),
        _ => format!("{seconds:+} s"),
    }
}
