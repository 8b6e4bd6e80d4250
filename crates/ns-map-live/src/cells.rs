//! Text in a given number of columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The text in exactly `width` columns: filled with blanks, or cut, which a sign at its end says.
pub(crate) fn cell(text: &str, width: usize) -> String {
    let cut = cut(text, width);
    let blanks = width.saturating_sub(cut.width());
    cut + &" ".repeat(blanks)
}

/// The text in at most `width` columns.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.into();
    }
    let mut room = width.saturating_sub(1);
    let fits = |c: &char| {
        let wide = c.width().unwrap_or(0);
        let fits = wide <= room;
        room = room.saturating_sub(wide);
        fits
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    if width > 0 {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_as_wide_as_it_is_to_be() {
        for (text, width, is) in [
            ("abc", 5, "abc  "),
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("漢字漢字", 5, "漢字…"),
            ("漢字漢字", 4, "漢… "),
            ("abc", 1, "…"),
            ("abc", 0, ""),
        ] {
            assert_eq!(cell(text, width), is, "{text} in {width}");
        }
    }
}
