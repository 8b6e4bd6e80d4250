//! A word, and beside it what there is to say.

use owo_colors::Style;

use super::layout::Layout;
use super::style::styled;

/// What stands left of a line that goes on.
pub(super) const INDENT: &str = "         ";

/// `word` in its style, and beside it `text`, in lines of at most `width` columns.
pub(super) fn item(word: &str, text: &str, style: Style, width: usize) -> String {
    beside(word, text, style, Layout { width, plain: false }, INDENT.len())
}

/// `word` in its style, and `indent` columns from the left the lines of `text`.
pub fn beside(word: &str, text: &str, style: Style, layout: Layout, indent: usize) -> String {
    let first = format!("{word:<0$} ", indent.saturating_sub(1));
    let set = layout.wrap(text, &first, &" ".repeat(indent));
    let rest = set.strip_prefix(word).unwrap_or(&set);
    format!("{}{rest}", styled(word, style))
}
