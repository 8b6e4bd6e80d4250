//! The command: read everything, and say what is wrong.

use anyhow::{Result, ensure};
use lesson::Help;

use super::corpus;
use super::difficulty::Frequencies;
use super::fault::{Fault, shown};
use super::forbidden::{self, TABLE};
use super::prose::{self, Block};
use super::sentence;
use super::terms::{self, GLOSSARY, Glossary};
use crate::console::Console;
use crate::project::Project;

/// A sentence of more words is a fault. docs/STYLE.md asks writers for at most 20.
const LONGEST: usize = 30;

pub(crate) const HELP: Help = Help {
    name: "cargo xtask words",
    about: "faults in the words, sentences and terms of what a person reads",
    examples: &[
        ("cargo xtask words", "everything"),
        ("cargo xtask words docs/05-cgroup-limits.md", "one document"),
        ("cargo xtask words crates/uts-demo --kind length", "an experiment's long sentences"),
        ("cargo xtask words README.md --hardest 5", "where to begin"),
        ("cargo xtask words README.md docs --count", "words per document"),
    ],
    after: "A fault is:\n\
\x20 words   a word that the table of docs/STYLE.md forbids\n\
\x20 length  a sentence of more than 30 words; code counts as one word\n\
\x20 terms   a term without a row in docs/glossary.md\n\
\n\
Read are documents, and of programs and scripts the comments and what they\n\
say. Code, quotations, tests, and what cargo xtask writes into documents are\n\
not. A term is an abbreviation in capitals, or what a list of the\n\
field has (FIELD in terms.rs). Comments need no rows.\n\
\n\
The difficulty of a sentence is the number of its words. A clause after the\n\
first adds 4, a comma 1, and a word that all texts have thrice at most adds 2.\n\
\n\
Exit status: 0 no fault, 1 a fault, 2 misused.",
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Words,
    Length,
    Terms,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Words {
    /// Files and folders [default: all]
    #[arg(value_name = "PATH")]
    paths: Vec<String>,

    /// Look for faults of this kind alone
    #[arg(long)]
    kind: Option<Kind>,

    /// Show the N hardest sentences instead, with their difficulty
    #[arg(long, value_name = "N")]
    hardest: Option<usize>,

    /// Show the words of each file instead: those of its sentences, and all
    #[arg(long, conflicts_with = "hardest")]
    count: bool,
}

impl Words {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        let all = corpus::read(project)?;
        let blocks: Vec<_> = all.iter().filter(|block| self.chooses(&block.file)).collect();
        for path in &self.paths {
            let is_read = |block: &&Block| is_below(&block.file, path);
            ensure!(blocks.iter().any(is_read), "'{path}' has no text that is read; name a file or a folder");
        }
        if self.count {
            return count(project, &blocks, console);
        }
        if let Some(most) = self.hardest {
            return hardest(&all, &blocks, most, console);
        }
        let faults = self.faults(project, &all, &blocks)?;
        for fault in &faults {
            console.say(fault)?;
        }
        if faults.is_empty() {
            console.say(format!("{} texts: no fault", blocks.len()))?;
            return Ok(0);
        }
        console.complain(format!("faults: {}", faults.len()));
        Ok(1)
    }

    fn chooses(&self, file: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|path| is_below(file, path))
    }

    fn looks_for(&self, kind: Kind) -> bool {
        self.kind.is_none_or(|it| it == kind)
    }

    fn faults(&self, project: &Project, all: &[Block], blocks: &[&Block]) -> Result<Vec<Fault>> {
        let mut faults = Vec::new();
        if self.looks_for(Kind::Words) {
            let rows = forbidden::rows(&project.read(TABLE)?)?;
            faults.extend(blocks.iter().flat_map(|block| forbidden::faults(block, &rows)));
        }
        if self.looks_for(Kind::Length) {
            faults.extend(blocks.iter().flat_map(|block| too_long(block)));
        }
        if self.looks_for(Kind::Terms) {
            let glossary = Glossary::of(&project.read(GLOSSARY)?)?;
            faults.extend(terms::missing(blocks, all, &glossary));
        }
        faults.sort();
        faults.dedup();
        Ok(faults)
    }
}

/// Whether a file is that path, or is in that folder.
fn is_below(file: &str, path: &str) -> bool {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    path == "." || file == path || file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
}

fn too_long(block: &Block) -> Vec<Fault> {
    let long = sentence::of(block).into_iter().filter(|it| it.words > LONGEST);
    long.map(|it| Fault {
        file: block.file.clone(),
        line: block.line(it.range.start),
        what: format!("{} words: {}", it.words, shown(&block.text[it.range])),
        remedy: "make two sentences of it".into(),
    })
    .collect()
}

fn hardest(all: &[Block], blocks: &[&Block], most: usize, console: &mut Console<'_>) -> Result<u8> {
    let frequencies = Frequencies::of(all);
    let mut sentences = Vec::new();
    for block in blocks {
        for sentence in sentence::of(block) {
            sentences.push((frequencies.difficulty(block, &sentence), block, sentence));
        }
    }
    sentences.sort_by_key(|(difficulty, ..)| std::cmp::Reverse(*difficulty));
    for (difficulty, block, sentence) in sentences.into_iter().take(most) {
        let text = block.text[sentence.range.clone()].split_whitespace().collect::<Vec<_>>().join(" ");
        console.say(format!("{}:{}: {difficulty}: {text}", block.file, block.line(sentence.range.start)))?;
    }
    Ok(0)
}

fn count(project: &Project, blocks: &[&Block], console: &mut Console<'_>) -> Result<u8> {
    let (mut prose, mut all) = (0, 0);
    for block in blocks.chunk_by(|one, next| one.file == next.file) {
        let file = &block[0].file;
        let words = block.iter().flat_map(|it| it.words()).filter(|(_, word)| prose::counts(word)).count();
        let every = project.read(file)?.split_whitespace().count();
        console.say(format!("{words:7} {every:7} {file}"))?;
        (prose, all) = (prose + words, all + every);
    }
    console.say(format!("{prose:7} {all:7} together"))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const STYLE: &str = "| not | write | looked for |\n|---|---|---|\n| world | namespace | |\n";
    const TERMS: &str = "| term | meaning | page |\n|---|---|---|\n| mount | Something. | mount(2) |\n";

    /// What is said of a project with these files, and the exit status.
    fn said(files: &[(&str, &str)], words: &Words) -> (Vec<String>, u8) {
        let folder = tempfile::tempdir().unwrap();
        let project = Project { root: folder.path().into(), target: folder.path().join("target") };
        for (file, text) in
            [("docs/STYLE.md", STYLE), ("docs/glossary.md", TERMS), ("docs/a.md", "A mount.\n")]
                .iter()
                .chain(files)
        {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut out = Vec::new();
        let mut console = Console::new("words", &mut out, std::io::sink());
        let status = words.run(&project, &mut console).unwrap();
        drop(console);
        (String::from_utf8(out).unwrap().lines().map(String::from).collect(), status)
    }

    fn plain() -> Words {
        Words { paths: Vec::new(), kind: None, hardest: None, count: false }
    }

    #[test]
    fn each_kind_of_fault_is_noticed_in_each_kind_of_file() {
        assert_eq!(said(&[], &plain()).1, 0);
        let long = "word ".repeat(31);
        let faults: &[(&str, String, &str)] = &[
            ("README.md", "# A world\n".into(), "README.md:1: 'world' in"),
            ("README.md", format!("\n{long}\n"), "README.md:2: 31 words: "),
            ("README.md", "An NIS name\n".into(), "README.md:1: NIS is an abbreviation"),
            ("README.md", "Its signal mask\n".into(), "README.md:1: 'signal mask' is a term"),
            ("crates/x/src/lib.rs", "\n// Another world.\n".into(), "crates/x/src/lib.rs:2: 'world' in"),
            ("crates/x/src/lib.rs", format!("//! {long}\n"), "crates/x/src/lib.rs:1: 31 words"),
            (
                "crates/x/src/lib.rs",
                format!("const A: &str = \"{long}\";\n"),
                "crates/x/src/lib.rs:1: 31 words",
            ),
            (
                "crates/x/src/lib.rs",
                "const A: &str = \"another NIS name\";\n".into(),
                ": NIS is an abbreviation",
            ),
            ("scripts/x", "#!/usr/bin/env bash\n# Of this world.\n".into(), "scripts/x:2: 'world' in"),
        ];
        for (file, text, expected) in faults {
            let (said, status) = said(&[(file, text)], &plain());
            assert!(status == 1 && said.len() == 1 && said[0].contains(expected), "{expected}: {said:?}");
        }
    }

    #[test]
    fn paths_and_kinds_restrict_what_is_looked_for() {
        let files = [
            ("README.md", "A world, and an NIS name\n"),
            ("demos/05-x.sh", "#!/usr/bin/env bash\n# Of a world.\n"),
        ];
        let of = |paths: &[&str], kind| {
            let words = Words { paths: paths.iter().map(ToString::to_string).collect(), kind, ..plain() };
            said(&files, &words).0.iter().filter(|it| it.contains("; ")).count()
        };
        assert_eq!(of(&[], None), 3);
        assert_eq!(of(&[], Some(Kind::Terms)), 1);
        assert_eq!(of(&["demos/"], None), 1);
        assert_eq!(of(&["./demos/05-x.sh"], Some(Kind::Words)), 1);
        let elsewhere = Words { paths: vec!["nowhere".into()], ..plain() };
        let project = Project { root: "/nonexistent".into(), target: "/nonexistent".into() };
        assert!(
            elsewhere.run(&project, &mut Console::new("words", std::io::sink(), std::io::sink())).is_err()
        );
    }

    #[test]
    fn sentences_are_ranked_and_words_counted() {
        let files = [("README.md", "One two. One two, three four.\n")];
        let readme = || vec!["README.md".to_string()];
        let (ranked, _) = said(&files, &Words { paths: readme(), hardest: Some(1), ..plain() });
        assert_eq!(ranked, ["README.md:1: 13: One two, three four."]);
        let (counted, _) = said(&files, &Words { paths: readme(), count: true, ..plain() });
        assert_eq!(counted, ["      6       6 README.md", "      6       6 together"]);
    }
}
