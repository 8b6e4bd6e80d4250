//! What the environment says that a terminal can show: locale(7), and TERM in environ(7).

/// Whether the terminal can do no more than to show one line after another.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Whether text is encoded as UTF-8 by what `variable` gives of the environment: of LC_ALL, LC_CTYPE and LANG the first
/// that is set and not empty decides. Where none is, nobody has chosen an encoding, and UTF-8 is what terminals have.
pub(crate) fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let chosen =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
    let Some(chosen) = chosen else { return true };
    let chosen = chosen.to_ascii_lowercase();
    // Without what follows the @, as in ca_ES.utf8@valencia.
    let encoding =
        chosen.split('@').next().and_then(|it| it.split_once('.')).map_or("", |(_, encoding)| encoding);
    matches!(encoding, "utf-8" | "utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> bool {
        is_utf8(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into()))
    }

    #[test]
    fn the_first_that_is_set_decides() {
        assert!(of(&[("LANG", "de_DE.UTF-8")]));
        assert!(of(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(of(&[("LANG", "ca_ES.UTF-8@valencia")]));
        assert!(!of(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        assert!(!of(&[("LC_CTYPE", "de_DE.ISO-8859-1"), ("LANG", "de_DE.UTF-8")]));
        assert!(!of(&[("LANG", "POSIX")]));
    }

    #[test]
    fn where_none_is_set_nothing_speaks_against_it() {
        assert!(of(&[]));
    }
}
