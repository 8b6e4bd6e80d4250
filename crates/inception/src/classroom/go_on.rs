//! How a class that was left is gone on with.

use super::options::Options;
use crate::demos::Demo;

/// The command that goes on with the experiment `left` at the step `next`, if there is one, and then with the `others`.
/// None where nothing is left to do.
pub(super) fn command(
    program: &str,
    options: &Options,
    left: Option<(&Demo, usize)>,
    others: &[&Demo],
) -> Option<String> {
    let run = |demos: &[&Demo], steps: Vec<String>| {
        let mut words = vec![quoted(program), "run".into()];
        words.extend(demos.iter().map(|demo| format!("{:02}", demo.number)));
        words.extend(options.again().iter().map(|word| quoted(word)));
        words.extend(steps);
        words.join(" ")
    };
    let first = left.map(|(demo, next)| run(&[demo], options.steps.left(next)));
    let rest = (!others.is_empty()).then(|| run(others, options.steps.options()));
    let commands: Vec<_> = first.into_iter().chain(rest).collect();
    (!commands.is_empty()).then(|| commands.join(" && "))
}

/// A word that a shell takes as it stands.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_read_more_into_it() {
        assert_eq!(quoted("--student=Ann"), "--student=Ann");
        assert_eq!(quoted("--student=Ann O'Hara"), r"'--student=Ann O'\''Hara'");
    }
}
