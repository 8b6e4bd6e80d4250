//! Which picture a table becomes.

use lesson::render::Shown;
use pages::Picture;
use transcript::Picture as Form;

use super::table::Table;
use super::{bands, clocks, heat, links, tree};

/// Draws a table in the form that it asks for; none where it has no rows, or other columns than the form has.
pub(crate) fn draw(form: Form, table: Table<'_>, names: &mut Shown) -> Option<Picture> {
    let columns = table.columns.len();
    if table.rows.is_empty() || table.rows.iter().any(|row| row.len() != columns) {
        return None;
    }
    match form {
        Form::Heat(heads) if (1..columns).contains(&heads) => Some(heat::draw(table, heads, names)),
        Form::Tree if columns >= 1 => Some(tree::draw(table, names)),
        Form::Links if columns == 5 => Some(links::draw(table, names)),
        Form::Clocks if columns >= 3 => clocks::draw(table, names),
        Form::Bands if columns == 4 => bands::draw(table, names),
        _ => None,
    }
}

/// What the shapes and colours of a form mean, in a sentence; none where the table itself is coloured.
pub(crate) const fn key(form: Form) -> Option<&'static str> {
    match form {
        Form::Heat(_) => None,
        Form::Tree => Some("A box is a cgroup; a line leads to each cgroup below it."),
        Form::Links => Some(
            "A frame is a network namespace, a box a device, an amber box a bridge. A thick line is a veth pair, a thin one leads from a bridge to its port.",
        ),
        Form::Clocks => Some(
            "A circle is the clock outside, a diamond the clock inside, and the thick line how far it is ahead.",
        ),
        Form::Bands => Some("A band leads from IDs inside to the IDs outside that they are."),
    }
}
