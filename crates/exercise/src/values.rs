//! What differs from learner to learner, and the texts that it stands in.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::seed::Seed;
use crate::words::WORDS;

/// How a value is drawn.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "write \"word\", { from = 1, to = 9 } or { one_of = [\"a\", \"b\"] }")]
pub enum Draw {
    /// One of 128 words.
    Word(Word),
    /// A whole number.
    Number(Range),
    /// One of these.
    OneOf(Choice),
}

/// `"word"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// The only word for it.
    Word,
}

/// `{ from = 20000, to = 29999 }`: both ends may be drawn.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    from: i64,
    to: i64,
}

/// `{ one_of = ["vanilla", "lemon"] }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    one_of: Vec<String>,
}

impl Draw {
    /// Why nothing can be drawn, if nothing can.
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Draw::Number(Range { from, to }) if from > to => {
                Some(format!("from {from} is more than to {to}"))
            }
            Draw::OneOf(Choice { one_of }) if one_of.is_empty() => Some("one_of has no entry".into()),
            _ => None,
        }
    }

    /// The value of `seed` that is called `name`.
    fn draw(&self, name: &str, seed: &Seed) -> String {
        match self {
            Draw::Word(Word::Word) => WORDS[seed.below(name, WORDS.len() as u64) as usize].into(),
            Draw::Number(Range { from, to }) => {
                let width = to.saturating_sub(*from).max(0) as u64;
                from.saturating_add_unsigned(seed.below(name, width.saturating_add(1))).to_string()
            }
            Draw::OneOf(Choice { one_of }) => {
                one_of.get(seed.below(name, one_of.len() as u64) as usize).cloned().unwrap_or_default()
            }
        }
    }
}

/// What stands for each `{name}` of an attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<String, String>);

impl Values {
    /// Those that `seed` gives, beside the `known`. No two words are the same.
    pub(crate) fn draw(draws: &BTreeMap<String, Draw>, seed: &Seed, known: &[(&str, String)]) -> Values {
        let mut values: BTreeMap<String, String> =
            known.iter().map(|(name, value)| ((*name).to_string(), value.clone())).collect();
        for (name, draw) in draws {
            let mut value = draw.draw(name, seed);
            if matches!(draw, Draw::Word(_)) {
                let first = WORDS.iter().position(|word| *word == value).unwrap_or(0);
                let mut next = WORDS.iter().cycle().skip(first).take(WORDS.len());
                let is_free = |word: &&&str| !values.values().any(|other| other == **word);
                value = next.find(is_free).map_or(value, |word| (*word).into());
            }
            values.insert(name.clone(), value);
        }
        Values(values)
    }

    /// What stands for a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// `text` with its values. What is no `{name}` stays as it is, and `${name}` too, which is a shell's.
    ///
    /// # Errors
    /// The first name that stands for nothing.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            filled += before;
            match name(from).filter(|_| !before.ends_with('$')) {
                Some(name) => {
                    filled += self.get(name).ok_or_else(|| name.to_string())?;
                    rest = &from[name.len() + 2..];
                }
                None => {
                    filled.push('{');
                    rest = &from[1..];
                }
            }
        }
        Ok(filled + rest)
    }
}

/// The name at the beginning of `{name}…`.
fn name(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('{')?.split_once('}')?;
    is_name(name).then_some(name)
}

/// Whether a value may be called so.
pub(crate) fn is_name(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    word.starts_with(|first: char| first.is_ascii_lowercase()) && word.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> Values {
        Values(BTreeMap::from([("name".into(), "fox".into()), ("port".into(), "20001".into())]))
    }

    #[test]
    fn a_name_in_braces_is_a_value_and_the_rest_stays() {
        let fill = |text| values().fill(text);
        assert_eq!(fill("nc -l {port} # {name}"), Ok("nc -l 20001 # fox".into()));
        for same in ["${name}", "awk '{print $1}'", "find -exec echo {} +", "{a,b}", "{", "}{", "{Name}"] {
            assert_eq!(fill(same), Ok(same.into()));
        }
        assert_eq!(fill("{name} {nmae}"), Err("nmae".into()));
    }

    #[test]
    fn two_words_are_never_the_same() {
        let draws: BTreeMap<_, _> =
            (0..100).map(|at| (format!("name{at}"), Draw::Word(Word::Word))).collect();
        let drawn = Values::draw(&draws, &Seed::of("ada", "", "x", 1), &[]);
        let mut words: Vec<_> = drawn.iter().map(|(_, word)| word).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 100);
    }

    proptest! {
        #[test]
        fn a_number_is_in_its_range(student: String, from: i64, to: i64) {
            let (from, to) = (from.min(to), from.max(to));
            let drawn = Draw::Number(Range { from, to }).draw("n", &Seed::of(&student, "", "x", 1));
            let drawn: i64 = drawn.parse().unwrap();
            prop_assert!(from <= drawn && drawn <= to);
        }

        #[test]
        fn any_text_is_filled_or_refused(text: String) {
            let _ = values().fill(&text);
        }
    }
}
