//! Text as it stands on a page.

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, Output, State, Value as Safe};
use ns_core::printable;

/// What pages are made with: whatever is put into one is escaped, unless it is HTML of ours.
///
/// # Errors
/// None for this syntax.
pub fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    environment.set_syntax(syntax.build()?);
    environment.set_formatter(write);
    Ok(environment)
}

/// Text whose line breaks stay; other control characters are shown and not obeyed.
pub fn lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Text as HTML, between tags or in an attribute that stands in double quotes.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html += "&amp;",
            '<' => html += "&lt;",
            '>' => html += "&gt;",
            '"' => html += "&quot;",
            c => html.push(c),
        }
    }
    html
}

/// Writes what stands in a template: HTML as it is, all else [`escaped`].
fn write(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Safe) -> Result<(), Error> {
    let text = value.to_string();
    out.write_str(&if value.is_safe() { text } else { escaped(&text) }).map_err(Error::from)
}

/// Text as HTML in which what stands between backticks is set as code. A backtick that has no partner stays.
pub fn coded(text: &str) -> Safe {
    let mut html = String::new();
    let mut rest = text;
    while let Some((before, code, after)) = between_backticks(rest) {
        html += &format!("{}<code>{}</code>", escaped(before), escaped(code));
        rest = after;
    }
    html += &escaped(rest);
    Safe::from_safe_string(html)
}

/// Text in which backticks set nothing apart, for where no element can stand.
pub fn bare(text: &str) -> String {
    text.replace('`', "")
}

/// What stands before the first code, the code, and what comes after it.
fn between_backticks(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('`')?;
    let (code, after) = rest.split_once('`')?;
    Some((before, code, after))
}

/// A word for an address on the page: letters, digits and hyphens.
pub fn anchor(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_backticks_is_code() {
        let html = |text| coded(text).to_string();
        assert_eq!(html("Run `a < b`, then `c`."), "Run <code>a &lt; b</code>, then <code>c</code>.");
        assert_eq!(html("one ` <alone>"), "one ` &lt;alone&gt;");
        assert_eq!(html(""), "");
        assert_eq!(html("\"&\" it's /"), "&quot;&amp;&quot; it's /");
        assert_eq!(bare("a `b` c"), "a b c");
    }
}
