//! What keys do, and what is said of them.

use lesson::render::wrap;

use super::terminal::Pressed;

/// What a key does, line by line.
pub(super) fn list(keys: &[(&str, &str)], width: usize) -> String {
    let line = |(key, does): &(&str, &str)| wrap(does, width, &format!("   {key:8} "), "            ");
    keys.iter().map(line).collect()
}

/// What is said to a key that does nothing; `keys` are those that do.
pub(super) fn unknown(keys: &str) -> String {
    format!("Unknown key. The keys: {keys}.")
}

/// What is shown of a key, since the terminal does not.
pub(super) fn echo(pressed: Pressed) -> String {
    match pressed {
        Pressed::Key(key) if !key.is_control() => key.into(),
        Pressed::Interrupt => "^C".into(),
        _ => String::new(),
    }
}
