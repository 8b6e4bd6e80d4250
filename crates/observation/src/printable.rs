//! Texts that are safe to show.

/// The text on one line, with all escaped that a terminal obeys instead of showing it, or that hides or reorders what
/// stands beside it ([`is_deceptive`]). A hostname, a process's name or a path may hold any of it.
///
/// An escape is that of a Rust literal: `\n`, `\u{1b}`, `\u{202e}`. All else stays as it is, a backslash too.
pub fn printable(text: &str) -> String {
    // Most texts are such, and one look at each byte says so.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_deceptive(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Whether a character does something else than to show itself.
///
/// These are the control characters (C0, DEL, C1), and the separators of lines and paragraphs. These are those that
/// change the direction of what follows (Unicode Standard Annex #9, "Explicit Directional Formatting"). And these are
/// those that no terminal shows: zero-width and invisible characters, tags, the byte order mark. The two joiners,
/// U+200C and U+200D, are none of them: scripts and emoji are written with them.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(printable("a\x1b[2Jb\n\r\t\u{7f}\u{9b}"), r"a\u{1b}[2Jb\n\r\t\u{7f}\u{9b}");
    }

    #[test]
    fn what_turns_the_direction_is_escaped() {
        for c in
            "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}"
                .chars()
        {
            assert_eq!(printable(&format!("a{c}b")), format!("a\\u{{{:x}}}b", c as u32));
        }
    }

    #[test]
    fn what_is_not_to_be_seen_is_escaped() {
        for c in ['\u{ad}', '\u{200b}', '\u{2028}', '\u{2060}', '\u{feff}', '\u{e0041}'] {
            assert_eq!(printable(&format!("a{c}b")), format!("a\\u{{{:x}}}b", c as u32));
        }
    }

    #[test]
    fn letters_of_any_script_stay() {
        let text = "café 호스트 שלום مرحبا e\u{301} …│ \\ 'x' \"y\" 👩\u{200d}🔬 \u{fffd}";
        assert_eq!(printable(text), text);
    }

    #[test]
    fn of_all_characters_nothing_deceptive_is_left() {
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let shown = printable(&c.to_string());
            assert!(!shown.chars().any(is_deceptive), "{c:?}: {shown:?}");
            assert_eq!(printable(&shown), shown, "{c:?}: what is escaped stays so");
        }
    }
}
