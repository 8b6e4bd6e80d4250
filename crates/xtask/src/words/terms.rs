//! Terms, and whether docs/glossary.md has them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use nix::errno::Errno;

use super::fault::{Fault, shown};
use super::prose::{Block, Kind};

/// Where the terms stand.
pub(super) const GLOSSARY: &str = "docs/glossary.md";

/// Terms of the field that need a row where a text has them. A new one is added here.
const FIELD: &[&str] = &[
    "abstract socket",
    "anonymous mount",
    "controlling terminal",
    "copy-up",
    "default route",
    "file descriptor",
    "file handle",
    "firewall",
    "hard link",
    "hostname",
    "kernel thread",
    "lower directory",
    "magic link",
    "mount event",
    "nested namespace",
    "network device",
    "open file description",
    "pinned namespace",
    "process group",
    "procfs",
    "ptrace",
    "real-time signal",
    "root filesystem",
    "routing table",
    "session leader",
    "set-user-ID",
    "shared memory",
    "signal handler",
    "signal mask",
    "socket",
    "sticky bit",
    "subtree",
    "superblock",
    "swap",
    "symbolic link",
    "sysfs",
    "system call",
    "tmpfs",
    "umask",
    "upper directory",
    "whiteout",
];

/// Words that stand in no term: with them, emphasis is stress.
const GRAMMAR: &[&str] = &[
    "a", "all", "any", "be", "by", "can", "from", "if", "in", "not", "of", "on", "that", "the", "this", "to",
    "who",
];

/// Abbreviations without a row: units, placeholders, formats, standards, licences and products, which are no terms of this field.
const KNOWN: &[&str] = &[
    "ASCII", "BRLTTY", "CI", "CPU", "CR", "CRIU", "CVE", "ESC", "GB", "GIFT", "GNOME", "HTML", "JAWS",
    "JSON", "KB", "KVM", "LF", "LLVM", "LXC", "LXD", "MATE", "MB", "MIT", "MPL", "NN", "NVDA", "POSIX",
    "QEMU", "RAM", "RFC", "SVG", "TAP", "TMPDIR", "URL", "USB", "UTC", "UTF", "XFS", "XML",
];

/// The rows of the glossary.
#[derive(Debug)]
pub(super) struct Glossary {
    /// As they are compared.
    terms: BTreeSet<Vec<String>>,
}

impl Glossary {
    /// Reads it.
    ///
    /// # Errors
    /// When it has no rows.
    pub(super) fn of(text: &str) -> Result<Glossary> {
        let lines = text.lines().skip_while(|line| !line.starts_with("| term |")).skip(2);
        let terms = lines.filter_map(|line| line.strip_prefix('|')?.split('|').next());
        let terms: BTreeSet<_> = terms.map(bases).collect();
        ensure!(!terms.is_empty(), "{GLOSSARY} has no table of terms; write it");
        Ok(Glossary { terms })
    }

    fn has(&self, term: &str) -> bool {
        self.terms.contains(&bases(term))
    }

    /// Whether a term has this word, as `PID namespace` has PID.
    fn has_word(&self, word: &str) -> bool {
        self.terms.iter().flatten().any(|it| *it == base(word))
    }
}

/// The terms that have no row: each once, where it stands first.
pub(super) fn missing(blocks: &[&Block], all: &[Block], glossary: &Glossary) -> Vec<Fault> {
    let small: BTreeSet<&str> = all.iter().flat_map(Block::words).flat_map(|(_, word)| parts(word)).collect();
    let field: Vec<_> = FIELD.iter().filter(|it| !glossary.has(it)).map(|it| (bases(it), *it)).collect();
    let mut found = BTreeMap::new();
    for block in blocks.iter().filter(|it| it.kind != Kind::Comment) {
        let mut add = |term: &str, offset: usize, what: String, remedy: &str| {
            found.entry(term.to_lowercase()).or_insert_with(|| Fault {
                file: block.file.clone(),
                line: block.line(offset),
                what,
                remedy: format!("add a row to {GLOSSARY}{remedy}"),
            });
        };
        for (offset, term) in block.emphasised.iter().filter(|(_, term)| introduces(term)) {
            if !glossary.has(term) {
                add(term, *offset, format!("*{term}* is a term without a row"), ", or take the stars away");
            }
        }
        for (offset, word) in block.words() {
            for part in parts(word) {
                let part = part.strip_suffix('s').unwrap_or(part);
                if is_abbreviation(part)
                    && !small.contains(part.to_lowercase().as_str())
                    && !glossary.has_word(part)
                {
                    let context = shown(&block.text[offset..]);
                    let what = format!("{part} is an abbreviation without a row: {context}");
                    add(part, offset, what, ", or write it out");
                }
            }
        }
        if !field.is_empty() {
            let words: Vec<_> = block.words().map(|(offset, word)| (offset, base(word))).collect();
            for (wanted, term) in &field {
                let place = words.windows(wanted.len()).find(|it| it.iter().map(|(_, word)| word).eq(wanted));
                if let Some(place) = place {
                    add(term, place[0].0, format!("'{term}' is a term of the field without a row"), "");
                }
            }
        }
    }
    found.into_values().collect()
}

/// Whether what is emphasised is a term: two or three words, none of which is of [`GRAMMAR`]. One word is stressed, and
/// `*Not judged:*` leads to what follows.
fn introduces(term: &str) -> bool {
    let words: Vec<_> = term.split_whitespace().map(str::to_lowercase).collect();
    (2..=3).contains(&words.len())
        && words.iter().all(|it| it.ends_with(char::is_alphanumeric) && !GRAMMAR.contains(&it.as_str()))
}

/// Two to six capitals; longer ones are no abbreviations. What errno(3) and signal(7) have is named there.
fn is_abbreviation(word: &str) -> bool {
    let is_signal = word.starts_with("SIG") && word.len() > 5;
    let is_known = KNOWN.contains(&word) || is_signal || is_errno(word);
    (2..=6).contains(&word.len()) && word.bytes().all(|it| it.is_ascii_uppercase()) && !is_known
}

fn is_errno(word: &str) -> bool {
    (1..=133).any(|number| format!("{:?}", Errno::from_raw(number)) == word)
        || ["EWOULDBLOCK", "EOPNOTSUPP", "ENOTSUP"].contains(&word)
}

/// The parts of what a hyphen or a slash joins; not those of a constant, an option, a file or a path.
fn parts(word: &str) -> impl Iterator<Item = &str> {
    let word = word.trim_matches(|it: char| !it.is_alphanumeric() && !matches!(it, '_' | '$' | '-' | '/'));
    let is_name = word.contains(['_', '$', '=', '.']) || word.starts_with(['-', '/']);
    word.split(|it: char| !it.is_alphanumeric()).filter(move |part| !is_name && !part.is_empty())
}

fn bases(text: &str) -> Vec<String> {
    text.split_whitespace().map(base).collect()
}

/// A word as it is compared: small, without a plural.
fn base(word: &str) -> String {
    let word = word.trim_matches(|it: char| !it.is_alphanumeric()).to_lowercase();
    let word = word.strip_suffix("'s").or(word.strip_suffix("’s")).unwrap_or(&word);
    if let Some(stem) = word.strip_suffix("ies").filter(|it| it.len() > 1) {
        return format!("{stem}y");
    }
    if ["sses", "xes", "ches"].iter().any(|end| word.ends_with(end)) {
        return word[..word.len() - 2].into();
    }
    word.strip_suffix('s').filter(|it| it.len() > 2 && !it.ends_with('s')).unwrap_or(word).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "| term | meaning | page |\n|---|---|---|\n| peer group | x | y |\n| PID namespace | x | y |\n";

    fn missing(text: &str) -> Vec<String> {
        let mut block = Block::of(text, 2);
        block.emphasised = text
            .match_indices('*')
            .step_by(2)
            .map(|(at, _)| (at, text[at + 1..].split('*').next().unwrap_or_default().to_string()))
            .collect();
        let blocks = [block];
        let glossary = Glossary::of(TEXT).unwrap();
        super::missing(&[&blocks[0]], &blocks, &glossary).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_term_without_a_row_is_found() {
        assert_eq!(
            missing("A *leaf node* is."),
            [
                ":2: *leaf node* is a term without a row; add a row to docs/glossary.md, or take the stars away"
            ]
        );
        assert!(missing("The NISs here")[0].contains("NIS is an abbreviation without a row"));
        assert!(missing("Its default routes")[0].contains("'default route' is a term of the field"));
    }

    #[test]
    fn what_has_a_row_or_needs_none_is_not() {
        for text in [
            "*Peer groups* and PIDs",
            "EPERM and SIGTERM",
            "NAME, a name",
            "O_PATH, `NIS`",
            "*Seen:* x",
            "*who reads*",
        ] {
            assert_eq!(missing(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn plurals_are_one_word_with_their_singulars() {
        for (word, expected) in [
            ("Processes", "process"),
            ("ID's", "id"),
            ("capabilities", "capability"),
            ("this", "thi"),
            ("PIDs", "pid"),
            ("access", "access"),
            ("mounts,", "mount"),
        ] {
            assert_eq!(base(word), expected);
        }
    }
}
