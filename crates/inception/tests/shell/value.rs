//! Comparing what is said of a command with what it printed.
//!
//! Character by character, but for the values that the page declares to differ from run to run. Such a value is a
//! sample, and stands for any of its kind; where the same sample stands twice, the same was printed twice.

use std::collections::BTreeMap;

/// What a sample stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A process ID. Two samples are two processes.
    Pid,
    /// The number of a namespace. Two samples are two namespaces.
    Inode,
    /// Digits, a point in them or not.
    Number,
    /// A word without blanks, quotes and brackets, such as a hostname.
    Name,
    /// From a slash to the next blank.
    Path,
    /// Whatever stands there, at least one character.
    Words,
    /// The same. Two samples that are called alike but for their last letter, `<pid A>` and `<pid B>`, are two.
    Lettered,
}

impl Kind {
    pub(crate) fn called(word: &str) -> Option<Kind> {
        let kinds = [
            ("pid", Kind::Pid),
            ("inode", Kind::Inode),
            ("number", Kind::Number),
            ("name", Kind::Name),
            ("path", Kind::Path),
            ("words", Kind::Words),
        ];
        kinds.into_iter().find(|(name, _)| *name == word).map(|(_, kind)| kind)
    }

    fn accepts(self, text: &str) -> bool {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match self {
            Kind::Pid => digits(text) && text.len() <= 7,
            Kind::Inode => digits(text) && text.len() == 10,
            Kind::Number => {
                text.split_once('.').map_or(digits(text), |(whole, part)| digits(whole) && digits(part))
            }
            Kind::Name => !text.is_empty() && !text.contains([' ', '\t', '\'', '"', '(', ')', '[', ']', '/']),
            Kind::Path => text.starts_with('/') && !text.contains([' ', '\t']),
            Kind::Words | Kind::Lettered => !text.trim().is_empty(),
        }
    }

    fn distinct(self, one: &str, other: &str) -> bool {
        match self {
            Kind::Pid | Kind::Inode => true,
            Kind::Lettered => {
                one.rsplit_once(' ').map(|(word, _)| word) == other.rsplit_once(' ').map(|(word, _)| word)
            }
            _ => false,
        }
    }
}

/// Where a sample stands in a line: not inside a longer word or number.
pub(crate) fn find(line: &str, value: &str) -> Option<usize> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(value).map(|(at, _)| at).find(|&at| {
        let before = line[..at].chars().next_back();
        let after = line[at + value.len()..].chars().next();
        let first = value.chars().next().is_some_and(word);
        let last = value.chars().next_back().is_some_and(word);
        let inside = (first && before.is_some_and(word)) || (last && after.is_some_and(word));
        !inside
    })
}

/// What the samples turned out to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found(BTreeMap<String, (Kind, String)>);

impl Found {
    fn with(&self, sample: &str, kind: Kind, text: &str) -> Option<Found> {
        if let Some((_, before)) = self.0.get(sample) {
            return (before == text).then(|| self.clone());
        }
        let taken = self
            .0
            .iter()
            .any(|(known, (other, value))| *other == kind && value == text && kind.distinct(known, sample));
        (!taken && kind.accepts(text)).then(|| {
            let mut found = self.clone();
            found.0.insert(sample.into(), (kind, text.into()));
            found
        })
    }
}

/// How the lines of a block are to be read.
pub(crate) struct Reading<'a> {
    pub(crate) values: &'a BTreeMap<String, Kind>,
    pub(crate) columns: bool,
    /// Whether it is abridged: `…` in a line is any text, a line `…` any lines. An errno's name is its message, and alone
    /// on a line any line that has it. `<word>` is a sample of any text, `<word A>` and `<word B>` are two.
    pub(crate) abridged: bool,
}

#[derive(Debug)]
enum Piece {
    /// Any text, or none.
    Any,
    /// An errno, by its name or by its message.
    Errno(String, String),
    Same(char),
    Sample(String, Kind),
    /// Blanks, at least so many.
    Blanks(usize),
}

/// A line that stands for any number of lines.
pub(crate) const LEFT_OUT: &str = "[…]";
/// The same where what is said is abridged, and any text in a line.
const ABRIDGED: &str = "…";

impl Reading<'_> {
    /// What the samples are if `said` agrees with `printed`.
    pub(crate) fn agree(&self, said: &[String], printed: &[&str], found: &Found) -> Option<Found> {
        let Some((first, rest)) = said.split_first() else {
            return printed.is_empty().then(|| found.clone());
        };
        if first == LEFT_OUT || (self.abridged && first == ABRIDGED) {
            return (0..=printed.len()).find_map(|skipped| self.agree(rest, &printed[skipped..], found));
        }
        let (line, lines) = printed.split_first()?;
        let found = fits(&self.pieces(first.trim_end()), line.trim_end(), found)?;
        self.agree(rest, lines, &found)
    }

    fn pieces(&self, line: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < line.len() {
            let rest = &line[at..];
            // The longest, so that a sample inside another does not hide it.
            let sample = self
                .values
                .iter()
                .filter(|(value, _)| find_at(line, value, at))
                .max_by_key(|(value, _)| value.len());
            let errno = errno_at(line, at).filter(|_| self.abridged);
            let word = word_at(rest).filter(|_| self.abridged);
            if self.abridged && rest.starts_with(ABRIDGED) {
                pieces.push(Piece::Any);
                at += ABRIDGED.len();
            } else if let Some((name, message)) = errno {
                at += name.len();
                let alone = name == line;
                pieces.extend(alone.then_some(Piece::Any));
                pieces.push(Piece::Errno(name, message));
                pieces.extend(alone.then_some(Piece::Any));
            } else if let Some((word, kind)) = word {
                at += word.len();
                pieces.push(Piece::Sample(word.into(), kind));
            } else if let Some((value, kind)) = sample {
                pieces.push(Piece::Sample(value.clone(), *kind));
                at += value.len();
            } else if self.columns && rest.starts_with(' ') {
                pieces.push(Piece::Blanks(usize::from(at > 0)));
                at += rest.len() - rest.trim_start_matches(' ').len();
            } else {
                let c = rest.chars().next().expect("the line goes on");
                pieces.push(Piece::Same(c));
                at += c.len_utf8();
            }
        }
        // A column's first value may have blanks before it or none.
        if self.columns && !matches!(pieces.first(), Some(Piece::Blanks(_))) {
            pieces.insert(0, Piece::Blanks(0));
        }
        pieces
    }
}

fn find_at(line: &str, value: &str, at: usize) -> bool {
    // Seen with the character before it, which may make it part of a word.
    let from = line[..at].chars().next_back().map_or(at, |before| at - before.len_utf8());
    line[at..].starts_with(value) && find(&line[from..], value) == Some(at - from)
}

/// A sample that begins there: `<word>`, or with a letter behind it.
fn word_at(rest: &str) -> Option<(&str, Kind)> {
    let (word, _) = rest.strip_prefix('<')?.split_once('>')?;
    let (plain, kind) = match word.rsplit_once(' ') {
        Some((plain, letter)) if letter.len() == 1 && letter.bytes().all(|b| b.is_ascii_uppercase()) => {
            (plain, Kind::Lettered)
        }
        _ => (word, Kind::Words),
    };
    let is_word = !plain.is_empty() && plain.chars().all(|c| c.is_ascii_lowercase() || c == ' ');
    is_word.then(|| (&rest[..word.len() + 2], kind))
}

/// The errno whose name stands there as a word, and its message.
fn errno_at(line: &str, at: usize) -> Option<(String, String)> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if line[..at].chars().next_back().is_some_and(word) {
        return None;
    }
    let name: String = line[at..].chars().take_while(|c| word(*c)).collect();
    let named = |code: &i32| format!("{:?}", nix::errno::Errno::from_raw(*code)) == name;
    let code = (1..134).find(named).filter(|_| name.starts_with('E'))?;
    let message = std::io::Error::from_raw_os_error(code).to_string();
    Some((name, message.split(" (os error").next().unwrap_or_default().to_string()))
}

fn fits(pieces: &[Piece], text: &str, found: &Found) -> Option<Found> {
    let Some((first, rest)) = pieces.split_first() else {
        return text.is_empty().then(|| found.clone());
    };
    match first {
        Piece::Same(c) => fits(rest, text.strip_prefix(*c)?, found),
        Piece::Any => {
            let mut starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            starts.find_map(|at| fits(rest, &text[at..], found))
        }
        Piece::Errno(name, message) => {
            let after = text.strip_prefix(message.as_str()).or_else(|| text.strip_prefix(name.as_str()))?;
            fits(rest, after, found)
        }
        Piece::Blanks(least) => {
            let after = text.trim_start_matches(' ');
            (text.len() - after.len() >= *least).then(|| fits(rest, after, found))?
        }
        Piece::Sample(sample, kind) => {
            let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
            let ends: Vec<usize> = ends.collect();
            ends.into_iter()
                .rev()
                .find_map(|end| fits(rest, &text[end..], &found.with(sample, *kind, &text[..end])?))
        }
    }
}
