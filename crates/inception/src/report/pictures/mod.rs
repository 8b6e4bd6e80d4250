//! Pictures of what was observed: each shows what stands in its table, or in its actors, and nothing else.
//!
//! A picture says in words what it says by colour, and has a title and a description for those who do not see it.

mod bands;
mod cables;
mod canvas;
mod clocks;
mod heat;
mod tree;
mod worlds;

use lesson::render::Shown;
use lesson::{Actor, Picture as Form};
use ns_core::Value;

pub(crate) use canvas::{COLOURS, Picture, style};

/// A table as it is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table<'a> {
    pub(crate) title: &'a str,
    pub(crate) columns: &'a [String],
    pub(crate) rows: &'a [Vec<Value>],
}

/// Draws a table in the form that it asks for; none where it has no rows, or other columns than the form has.
pub(crate) fn table(form: Form, table: Table<'_>, names: &mut Shown) -> Option<Picture> {
    let columns = table.columns.len();
    if table.rows.is_empty() || table.rows.iter().any(|row| row.len() != columns) {
        return None;
    }
    match form {
        Form::Heat(heads) if (1..columns).contains(&heads) => Some(heat::draw(table, heads, names)),
        Form::Tree if columns >= 1 => Some(tree::draw(table, names)),
        Form::Cables if columns == 5 => Some(cables::draw(table, names)),
        Form::Clocks if columns >= 3 => clocks::draw(table, names),
        Form::Bands if columns == 4 => bands::draw(table, names),
        _ => None,
    }
}

/// Draws the processes of a step, in the namespaces that they are in and the experiment is not.
pub(crate) fn worlds(actors: &[Actor], names: &mut Shown) -> Picture {
    worlds::draw(actors, names)
}
