//! Text in a document of Markdown.

use ns_core::printable;

/// Text that Markdown shows as it is.
pub(crate) fn marked_up(text: &str) -> String {
    let text = printable(text);
    let mut out = String::new();
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_in_a_word = before.is_alphanumeric() && rest.peek().is_some_and(|c| c.is_alphanumeric());
        if r"\|`*[]<>&~".contains(c) || (c == '_' && !is_in_a_word) {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}
