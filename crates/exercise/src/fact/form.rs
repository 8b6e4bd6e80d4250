//! How a fact is written: a form, and whether words are of it.

use ns_core::Kind;

use super::arguments::Arguments;

/// The controllers of cgroups(7), of both versions.
const CONTROLLERS: [&str; 15] = [
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "io",
    "memory",
    "misc",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
    "rdma",
];

/// A word of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// It stands as it is.
    Fixed(&'static str),
    /// One of these.
    Choice(&'static str),
    /// A kind of namespace.
    Kind,
    /// An absolute path, which may hold blanks.
    Path,
    /// A key of System V IPC, or `any`.
    Key,
    /// A controller of cgroups.
    Controller,
    /// Any word. Here is what it is called.
    Any(&'static str),
}

/// Why words are not of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// How near they came: 0 if not even the first word is the form's. A word that is none of the form's is nearer than one
    /// that is too much.
    pub(super) closeness: usize,
    /// What is wrong, and the remedy.
    pub(super) why: String,
}

/// How many words of `form` stand as they are: of two forms that take the same words, the one with more is meant.
pub(super) fn fixed_words(form: &'static str) -> usize {
    words_of(form).filter(|word| matches!(word, Word::Fixed(_))).count()
}

/// The word that a form begins with.
pub(super) fn first_word(form: &'static str) -> &'static str {
    form.split(' ').next().unwrap_or_default()
}

/// The variable words of a form.
pub(super) fn variable_words(form: &'static str) -> impl Iterator<Item = &'static str> {
    form.split(' ').filter(|word| !matches!(Word::of(word), Word::Fixed(_)))
}

/// A form with its variable words filled in, as a file has it.
pub(super) fn filled(form: &'static str, arguments: &Arguments) -> String {
    let mut given = arguments.words().iter();
    let filled = form.split(' ').map(|word| match Word::of(word) {
        Word::Fixed(word) => word.into(),
        _ => given.next().map_or_else(|| word.into(), |it| ns_core::printable(it)),
    });
    filled.collect::<Vec<String>>().join(" ")
}

/// What `words` have in the place of the variable words of `form`.
///
/// # Errors
/// Where they differ from the form.
pub(super) fn match_words(form: &'static str, words: &str) -> Result<Arguments, Mismatch> {
    let of_form: Vec<Word> = words_of(form).collect();
    let mut given: Vec<&str> = words.split_whitespace().collect();
    let mut arguments = Vec::new();
    for (matched, word) in of_form.iter().enumerate() {
        let mismatch = |why| Mismatch { closeness: 2 * matched, why };
        // A path takes all but what follows it in the form.
        let after = of_form.len() - matched - 1;
        let length = if *word == Word::Path { given.len().saturating_sub(after).max(1) } else { 1 };
        if given.is_empty() {
            return Err(mismatch(format!("{} is missing: {form}", word.called())));
        }
        let rest = given.split_off(length.min(given.len()));
        let text = given.join(" ");
        word.check(&text).map_err(|why| mismatch(format!("{why}: {form}")))?;
        if !matches!(word, Word::Fixed(_)) {
            arguments.push(text);
        }
        given = rest;
    }
    match given.first() {
        None => Ok(Arguments::new(arguments)),
        Some(extra) => {
            Err(Mismatch { closeness: 2 * of_form.len() - 1, why: format!("'{extra}' is too much: {form}") })
        }
    }
}

fn words_of(form: &'static str) -> impl Iterator<Item = Word> {
    form.split(' ').map(Word::of)
}

impl Word {
    fn of(word: &'static str) -> Word {
        match word {
            "KIND" => Word::Kind,
            "PATH" => Word::Path,
            "KEY|any" => Word::Key,
            "CONTROLLER" => Word::Controller,
            _ if word.contains('|') => Word::Choice(word),
            _ if word.chars().all(|c| c.is_ascii_uppercase()) => Word::Any(word),
            _ => Word::Fixed(word),
        }
    }

    fn called(self) -> &'static str {
        match self {
            Word::Fixed(word) | Word::Choice(word) | Word::Any(word) => word,
            Word::Kind => "KIND",
            Word::Path => "PATH",
            Word::Key => "KEY",
            Word::Controller => "CONTROLLER",
        }
    }

    /// # Errors
    /// What there is instead of `text`.
    fn check(self, text: &str) -> Result<(), String> {
        match self {
            Word::Fixed(word) if text == word => Ok(()),
            Word::Fixed(word) => Err(format!("'{text}' stands where {word} is meant")),
            Word::Choice(words) => one_of(text, words.split('|')),
            Word::Kind => one_of(text, Kind::ALL.into_iter().map(Kind::link)),
            Word::Path if text.starts_with('/') => Ok(()),
            Word::Path => Err(format!("'{text}' is no path that begins with /")),
            Word::Key if text == "any" || key(text).is_some() => Ok(()),
            Word::Key => Err(format!("'{text}' is no key; give a number such as 42 or 0x2a, or any")),
            Word::Controller => one_of(text, CONTROLLERS.into_iter()),
            Word::Any(_) => Ok(()),
        }
    }
}

/// A key of System V IPC: a number, or one in hexadecimal as ipcs(1) shows it.
pub(super) fn key(text: &str) -> Option<i32> {
    match text.strip_prefix("0x") {
        // As ipcs(1), which shows a negative key by its 32 bits.
        Some(digits) => u32::from_str_radix(digits, 16).ok().map(|bits| bits as i32),
        None => text.parse().ok(),
    }
}

fn one_of(text: &str, words: impl Iterator<Item = &'static str> + Clone) -> Result<(), String> {
    if words.clone().any(|word| word == text) {
        return Ok(());
    }
    let near = nearest(text, words.clone()).unwrap_or_default();
    let all: Vec<_> = words.collect();
    Err(format!("'{text}' is none of {}; the nearest is {near}", all.join(", ")))
}

/// The one of `words` that is most like `text`.
pub(super) fn nearest(text: &str, words: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    words.min_by_key(|word| strsim::damerau_levenshtein(word, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(form: &'static str, words: &str) -> Result<Vec<String>, String> {
        match_words(form, words).map(|it| it.words().to_vec()).map_err(|it| it.why)
    }

    #[test]
    fn a_path_may_hold_blanks_and_the_word_after_it() {
        for (words, path) in [
            ("mount /a options", "/a"),
            ("mount /a b  options options", "/a b options"),
            ("mount /a options options", "/a options"),
        ] {
            assert_eq!(arguments("mount PATH options", words), Ok(vec![path.to_string()]));
        }
    }

    #[test]
    fn a_refusal_says_what_there_is() {
        for (form, words, why) in [
            ("namespace KIND", "namespace", "KIND is missing: namespace KIND"),
            ("namespace KIND", "namespace uts pid", "'pid' is too much: namespace KIND"),
            ("mount PATH", "mount proc", "'proc' is no path that begins with /: mount PATH"),
            ("mount PATH options", "mount /a", "options is missing: mount PATH options"),
            (
                "listens tcp|udp",
                "listens tpc",
                "'tpc' is none of tcp, udp; the nearest is tcp: listens tcp|udp",
            ),
            ("shm KEY|any", "shm x", "'x' is no key; give a number such as 42 or 0x2a, or any: shm KEY|any"),
        ] {
            assert_eq!(arguments(form, words), Err(why.to_string()));
        }
    }

    #[test]
    fn a_key_is_read_as_ipcs_shows_it() {
        assert_eq!(key("0x2a"), Some(42));
        assert_eq!(key("0xffffffff"), Some(-1));
        assert_eq!(key("-1"), Some(-1));
        assert_eq!(key("0x1ffffffff"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_words_can_make_it_panic(words: String, near in "(mount|options|/a| |é|KIND)*") {
            for form in ["mount PATH options", "namespace KIND", "held KIND PATH", "shm KEY|any", "listens tcp|udp"] {
                let _ = (match_words(form, &words), match_words(form, &near));
            }
        }
    }
}
