//! Words in a sentence.

/// Words as a sentence lists them: `a, b and c`.
pub fn series(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_reads_like_one() {
        let said = |words: &[&str]| series(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(said(&["a"]), "a");
        assert_eq!(said(&["a", "b", "c"]), "a, b and c");
    }
}
