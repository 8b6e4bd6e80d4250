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
    "AppArmor",
    "capability",
    "cgroup",
    "container",
    "controller",
    "controlling terminal",
    "copy-up",
    "core file",
    "default route",
    "delegation",
    "device node",
    "engine",
    "file descriptor",
    "file handle",
    "firewall",
    "gateway",
    "hard link",
    "hierarchy",
    "hostname",
    "inode",
    "keyring",
    "Landlock",
    "layer",
    "lower directory",
    "magic link",
    "message queue",
    "mount event",
    "mount point",
    "namespace",
    "nested namespace",
    "netlink",
    "network device",
    "open file description",
    "orphan",
    "overlay",
    "page cache",
    "page fault",
    "pidfd",
    "pinned namespace",
    "process group",
    "procfs",
    "ptrace",
    "raw socket",
    "real-time signal",
    "reaper",
    "resource limit",
    "root filesystem",
    "routing table",
    "seccomp",
    "securebits",
    "semaphore",
    "session",
    "session leader",
    "set-user-ID",
    "shared memory",
    "signal handler",
    "signal mask",
    "slice",
    "socket",
    "sticky bit",
    "subordinate ID",
    "subreaper",
    "subtree",
    "superblock",
    "swap",
    "symbolic link",
    "sysfs",
    "system call",
    "tmpfs",
    "umask",
    "Unix socket",
    "upper directory",
    "veth pair",
    "whiteout",
    "working directory",
    "zombie",
];

/// Abbreviations without a row: units, placeholders, formats, standards, licences and products, which are no terms of this field.
const KNOWN: &[&str] = &[
    "ASCII", "BRLTTY", "CI", "CPU", "CPUID", "CR", "CRIU", "CVE", "ESC", "GB", "GIFT", "GNOME", "HTML",
    "JAWS", "JSON", "KB", "KVM", "LF", "LLVM", "LXC", "LXD", "MATE", "MB", "MIT", "MPL", "NFS", "NN", "NVDA",
    "OS", "README", "POSIX", "QEMU", "RAM", "RFC", "SVG", "TAP", "TMPDIR", "URL", "USB", "UTC", "UTF", "UTM",
    "WSL", "XFS", "XML",
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
        let blocks = [Block::of(text, 2)];
        let glossary = Glossary::of(TEXT).unwrap();
        super::missing(&[&blocks[0]], &blocks, &glossary).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_term_without_a_row_is_found() {
        assert!(missing("The NISs here")[0].contains("NIS is an abbreviation without a row"));
        assert!(missing("Its default routes")[0].contains("'default route' is a term of the field"));
    }

    #[test]
    fn what_has_a_row_or_needs_none_is_not() {
        for text in [
            "Peer groups and PIDs",
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
