//! `cargo xtask pairs`: does each experiment's crate have its demo and its document, and do they agree?

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use lesson::Help;
use transcript::ClaimHead;

use crate::check::Seen;
use crate::console::Console;
use crate::project::{self, Numbered, Project};

pub(crate) const HELP: Help = Help {
    name: "cargo xtask pairs",
    about: "does each experiment's crate have its demo and its document, and do they agree?",
    examples: &[
        ("cargo xtask pairs", "a line a fault, with its remedy"),
        ("cargo xtask pairs uts-demo", "what is wrong with one experiment"),
    ],
    after: "For each experiment (a crate that depends on lesson):\n\
\x20 - demos/NN-NAME.sh and docs/NN-NAME.md stand under the same number, which\n\
\x20   is no other's;\n\
\x20 - the demo may be executed, and ends with `finish NAME`;\n\
\x20 - the document's first line is the experiment's question, and the demo's\n\
\x20   help says the same;\n\
\x20 - every claim stands in docs/reference/NN-NAME.md word for word;\n\
\x20 - both documents have their parts, in their order; the idea fits one\n\
\x20   screen, the whole has at most 1,500 words, each step of the screen has\n\
\x20   a heading, and there are two things to try;\n\
\x20 - README.md leads to program, demo and document.\n\
The claims are asked of the programs, which are built first where they are\n\
not.\n\
\n\
Exit status: 0 they agree, 1 they do not, 2 misused.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct Pairs {
    /// The experiments [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

impl Pairs {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        let all = project.experiments()?;
        for name in &self.names {
            ensure!(all.contains(name), "there is no experiment '{name}'; try --help");
        }
        let chosen: Vec<_> =
            if self.names.is_empty() { all.iter().collect() } else { self.names.iter().collect() };
        let packages: Vec<_> = chosen.iter().flat_map(|name| ["-p", name.as_str()]).collect();
        project.build(&packages)?;

        let mut faults = Vec::new();
        for name in &chosen {
            let (seen, mut found) = Seen::of(project, name)?;
            faults.append(&mut found);
            if let Some(seen) = seen {
                faults.extend(Said::by(project, name, &seen.demo)?.faults(&seen));
            }
        }
        // The other way round: a file without its experiment, and a number with two.
        if self.names.is_empty() {
            for (folder, ending) in [("demos", ".sh"), ("docs", ".md")] {
                faults.extend(strays(folder, &project.numbered(folder, ending)?, &all));
            }
        }
        for fault in &faults {
            console.say(fault)?;
        }
        if !faults.is_empty() {
            console.complain(format!("faults: {}", faults.len()));
            return Ok(1);
        }
        console.say(format!("{} experiments: crate, demo, document and claims agree", chosen.len()))?;
        Ok(0)
    }
}

/// What an experiment and its demo say of themselves.
#[derive(Debug)]
struct Said {
    name: String,
    question: String,
    sentences: Vec<String>,
    /// The first line of the demo's help.
    walk: String,
}

impl Said {
    fn by(project: &Project, name: &str, demo: &str) -> Result<Said> {
        let first = |text: String| text.lines().next().unwrap_or_default().to_string();
        let help = first(project.ask(name, &["--help"])?.0);
        let question = help.strip_prefix(&format!("{name}: ")).unwrap_or(&help).to_string();
        let (claims, status) = project.ask(name, &["--list-claims", "--format", "jsonl"])?;
        ensure!(status == 0, "{name} --list-claims exited {status}");
        let sentence = |line| serde_json::from_str::<ClaimHead>(line).map(|claim| claim.text);
        let sentences = claims.lines().map(sentence).collect::<Result<_, _>>();
        let sentences = sentences.with_context(|| format!("{name} --list-claims lists what is no claim"))?;
        let walk = first(project::text_of(project.command("bash").args([demo, "--help"]), demo)?.0);
        Ok(Said { name: name.into(), question, sentences, walk })
    }

    /// What the demo and the document say otherwise.
    fn faults(&self, Seen { demo, doc, text, reference }: &Seen) -> Vec<String> {
        let Said { name, question, .. } = self;
        let mut faults = Vec::new();
        if text.lines().next() != Some(&format!("# {question}")) {
            faults.push(format!(
                "{doc}: its first line is not the experiment's question; make it: # {question}"
            ));
        }
        let file = demo.rsplit('/').next().unwrap_or(demo);
        if self.walk != format!("{file}: {question}") {
            faults.push(format!(
                "{demo}: asks another question than the experiment; say: stage '{question}' \"$@\""
            ));
        }
        // Word for word, however the lines are broken.
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let reference = words(reference);
        for sentence in self.sentences.iter().filter(|sentence| !reference.contains(&words(sentence))) {
            faults
                .push(format!("{doc}: its reference lacks the claim '{sentence}'; cargo xtask docs {name}"));
        }
        faults
    }
}

/// Files that belong to no experiment, and numbers that stand twice.
fn strays(folder: &str, files: &[Numbered], experiments: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut times = BTreeMap::new();
    for Numbered { number, name, file } in files {
        *times.entry(number).or_insert(0) += 1;
        if !experiments.contains(name) {
            faults.push(format!(
                "{folder}/{file}: there is no experiment {name}; write crates/{name}, or remove the file"
            ));
        }
    }
    let twice = times.iter().filter(|(_, times)| **times > 1);
    faults.extend(twice.map(|(number, _)| format!("{folder}: the number {number} stands twice; rename one")));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        Said {
            name: "x".into(),
            question: "Who?".into(),
            sentences: vec!["A sentence of several words.".into()],
            walk: "01-x.sh: Who?".into(),
        }
    }

    fn seen(text: &str) -> Seen {
        Seen {
            demo: "demos/01-x.sh".into(),
            doc: "docs/01-x.md".into(),
            text: text.into(),
            reference: text.into(),
        }
    }

    #[test]
    fn a_claim_stands_in_the_document_however_its_lines_are_broken() {
        assert_eq!(said().faults(&seen("# Who?\n\nA sentence of\n  several words.\n")), Vec::<String>::new());
        assert_eq!(
            said().faults(&seen("# Who?\n\nA sentence of many words.\n")),
            [
                "docs/01-x.md: its reference lacks the claim 'A sentence of several words.'; cargo xtask docs x"
            ]
        );
    }

    #[test]
    fn all_ask_the_same_question() {
        let text = "A sentence of several words.\n";
        assert_eq!(
            said().faults(&seen(&format!("# What?\n{text}"))),
            ["docs/01-x.md: its first line is not the experiment's question; make it: # Who?"]
        );
        let other = Said { walk: "01-x.sh: Where?".into(), ..said() };
        assert_eq!(
            other.faults(&seen(&format!("# Who?\n{text}"))),
            ["demos/01-x.sh: asks another question than the experiment; say: stage 'Who?' \"$@\""]
        );
    }

    #[test]
    fn a_file_without_an_experiment_and_a_number_with_two_are_told() {
        let file = |number: &str, name: &str| Numbered {
            number: number.into(),
            name: name.into(),
            file: format!("{number}-{name}.md"),
        };
        let experiments = BTreeSet::from(["x".to_string()]);
        assert_eq!(strays("docs", &[file("01", "x")], &experiments), Vec::<String>::new());
        assert_eq!(
            strays("docs", &[file("01", "x"), file("01", "y")], &experiments),
            [
                "docs/01-y.md: there is no experiment y; write crates/y, or remove the file",
                "docs: the number 01 stands twice; rename one"
            ]
        );
    }
}
