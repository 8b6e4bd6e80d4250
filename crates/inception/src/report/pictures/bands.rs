//! ID maps as bands: which range inside is which range outside.

use lesson::render::Shown;
use ns_core::Value;
use pages::{Anchor, Canvas, Face, LINE, MARGIN, Picture, width};

use super::table::Table;

/// From the one side to the other.
const BETWEEN: i32 = 70;
const GAP: i32 = 8;

/// A line of a map.
struct Band {
    /// First ID and its words: inside, outside.
    sides: [(i64, String); 2],
    count: i64,
}

pub(super) fn draw(table: Table<'_>, names: &mut Shown) -> Option<Picture> {
    let mut maps: Vec<(String, Vec<Band>)> = Vec::new();
    for row in table.rows {
        let count = row[3].as_i64()?;
        let mut side =
            |at: usize| -> Option<(i64, String)> { Some((number(&row[at])?, range(&row[at], count, names))) };
        let band = Band { sides: [side(1)?, side(2)?], count };
        let name = names.value(&row[0]);
        match maps.iter_mut().find(|(known, _)| *known == name) {
            Some((_, bands)) => bands.push(band),
            None => maps.push((name, vec![band])),
        }
    }
    let widest = |side: usize| {
        let bands = maps.iter().flat_map(|(_, bands)| bands);
        let words = bands.map(|band| width(&band.sides[side].1)).max().unwrap_or(0);
        words.max(width(&table.columns[side + 1])) + 18
    };
    let widths = [widest(0), widest(1)];
    let lefts = [MARGIN, MARGIN + widths[0] + BETWEEN];

    let mut canvas = Canvas::new();
    let mut told = Vec::new();
    let mut y = MARGIN;
    for (name, bands) in &maps {
        canvas.words(MARGIN, y + 14, name, Anchor::Start, Face::Strong);
        y += 14 + LINE;
        for side in [0, 1] {
            let middle = lefts[side] + widths[side] / 2;
            canvas.words(middle, y, &table.columns[side + 1], Anchor::Middle, Face::Faint);
        }
        y += 8;
        let mut tops = vec![[0; 2]; bands.len()];
        let mut end = y;
        for side in [0, 1] {
            let mut order: Vec<usize> = (0..bands.len()).collect();
            order.sort_by_key(|at| bands[*at].sides[side].0);
            let mut top = y;
            for at in order {
                tops[at][side] = top;
                top += bands[at].height() + GAP;
            }
            end = end.max(top);
        }
        for (band, [left, right]) in bands.iter().zip(&tops) {
            let (from, to, height) = (lefts[0] + widths[0], lefts[1], band.height());
            let data =
                format!("M{from} {left}L{to} {right}L{to} {}L{from} {}Z", right + height, left + height);
            canvas.path(&data, "band");
            for side in [0, 1] {
                let top = [left, right][side];
                canvas.rectangle(lefts[side], *top, widths[side], height, "range");
                let middle = lefts[side] + widths[side] / 2;
                let words = &band.sides[side].1;
                canvas.words(middle, top + height / 2 + 5, words, Anchor::Middle, Face::Plain);
            }
        }
        let lines: Vec<_> =
            bands.iter().map(|band| format!("{} is {}", band.sides[0].1, band.sides[1].1)).collect();
        told.push(format!("{name}: {}", lines.join(", ")));
        y = end + GAP;
    }
    let (inside, outside) = (&table.columns[1], &table.columns[2]);
    Some(canvas.finish(table.title, format!("Bands from {inside} to {outside}. {}.", told.join("; "))))
}

impl Band {
    /// More IDs are higher, but by their digits: 65536 of them beside one would leave no room for its number.
    fn height(&self) -> i32 {
        24 + 9 * i32::try_from(self.count.max(1).ilog10()).unwrap_or(0)
    }
}

/// An ID, which may be one of this machine, and a name then.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// The IDs of a range. Where the first goes by a name, so does the whole.
fn range(first: &Value, count: i64, names: &mut Shown) -> String {
    let word = names.value(first);
    match (number(first), count) {
        (_, 1) => word,
        (Some(number), _) if number.to_string() == word => {
            format!("{word} … {}", number.saturating_add(count - 1))
        }
        _ => format!("{count} from {word}"),
    }
}
