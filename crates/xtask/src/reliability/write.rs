//! Which runs there are, and the document that they make.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Result, ensure};
use lesson::Help;
use serde::de::DeserializeOwned;

use super::data;
use super::document::Tried;
use super::names;
use crate::console::Console;
use crate::project::{self, Project};

const DOCUMENT: &str = "docs/reliability.md";
/// The other document that names tests.
const SECURITY: &str = "SECURITY.md";

/// What the runs wrote, below target/.
const MACHINES: &str = "reliability/machines.jsonl";
const KILLS: &str = "reliability/kills.jsonl";
/// What became of what is typed by hand: on this machine, and in the virtual ones.
const BY_HAND: &str = "reliability/by-hand.jsonl";
const BY_HAND_IN: [&str; 4] = [
    "vm/12/root-by-hand.jsonl",
    "vm/12/student-by-hand.jsonl",
    "vm/13/root-by-hand.jsonl",
    "vm/13/student-by-hand.jsonl",
];
/// What fuzzing found, which is committed.
const INPUTS: &str = "fuzz/RESULTS.jsonl";

pub(crate) const HELP: Help = Help {
    name: "cargo xtask reliability",
    about: "write docs/reliability.md, what is promised and how it was tried",
    examples: &[
        ("cargo xtask reliability", "write the document, of the runs that were kept"),
        ("cargo xtask reliability --check", "does each test exist that it and SECURITY.md name?"),
    ],
    after: "The runs are kept in\n\
\x20 target/reliability/machines.jsonl, by\n\
\x20   MACHINES=all MACHINES_JSON=FILE cargo test -p machines\n\
\x20 target/reliability/kills.jsonl, by\n\
\x20   KILLS_JSON=FILE scripts/sweep --kills 2000\n\
\x20 target/reliability/by-hand.jsonl, by\n\
\x20   BY_HAND_RESULTS=FILE cargo test -p inception --test by_hand\n\
\x20   and, where it ran, target/vm by scripts/test-vm\n\
\x20 fuzz/RESULTS.jsonl, by\n\
\x20   fuzz/run\n\
FILE is to be absolute. Nothing is run here.\n\
\n\
Exit status: 0 written, or as it should be; 1 a promise is broken, or a test\n\
is named that does not exist; 2 misused, or a run is missing.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct Reliability {
    /// Look whether each test exists that is named, and change nothing
    #[arg(long)]
    check: bool,
}

impl Reliability {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        if self.check {
            return check(project, console);
        }
        let kept = |path: &str| project.target.join(path);
        let tried = Tried {
            machines: data::latest(read(
                &kept(MACHINES),
                "MACHINES=all MACHINES_JSON=FILE cargo test -p machines",
            )?),
            kills: read(&kept(KILLS), "KILLS_JSON=FILE scripts/sweep --kills 2000")?,
            inputs: read(&project.root.join(INPUTS), "fuzz/run")?,
            by_hand: data::latest_sessions(by_hand(project)?),
        };
        let text = tried.document(&project::conditions()?);
        project::write(&project.root.join(DOCUMENT), &text)?;
        console.say(format!(
            "{DOCUMENT}: written, {} machines, {} kinds of kill, {} fuzz targets",
            tried.machines.len(),
            tried.kills.len(),
            tried.inputs.len()
        ))?;
        let broken = tried.broken_promises();
        for line in &broken {
            console.complain(line);
        }
        let missing = missing_tests(&text, &names::functions(&project.root.join("crates"))?);
        for test in &missing {
            console.complain(format!("{DOCUMENT} names a test that does not exist: {test}"));
        }
        Ok(u8::from(!broken.is_empty() || !missing.is_empty()))
    }
}

/// Reads what a run has kept. `how` makes it.
fn read<T: DeserializeOwned>(path: &std::path::Path, how: &str) -> Result<Vec<T>> {
    let name = path.display().to_string();
    ensure!(path.exists(), "there is no {name}; to make it: {how}");
    data::lines(&name, &fs::read_to_string(path)?)
}

/// What became of all that was typed by hand.
fn by_hand(project: &Project) -> Result<Vec<data::ByHand>> {
    let mut by_hand =
        read(&project.target.join(BY_HAND), "BY_HAND_RESULTS=FILE cargo test -p inception --test by_hand")?;
    for path in BY_HAND_IN.iter().map(|path| project.target.join(path)).filter(|path| path.exists()) {
        by_hand.extend(read(&path, "scripts/test-vm")?);
    }
    Ok(by_hand)
}

fn check(project: &Project, console: &mut Console<'_>) -> Result<u8> {
    let functions = names::functions(&project.root.join("crates"))?;
    let mut status = 0;
    for document in [DOCUMENT, SECURITY] {
        if !project.root.join(document).exists() {
            console.complain(format!("there is no {document}; run: {}", HELP.name));
            status = 1;
            continue;
        }
        let text = project.read(document)?;
        let missing = missing_tests(&text, &functions);
        for test in &missing {
            console.complain(format!("{document} names a test that does not exist: {test}"));
        }
        if missing.is_empty() {
            console.say(format!("{document}: its {} tests exist", names::named(&text).len()))?;
        } else {
            status = 1;
        }
    }
    Ok(status)
}

/// The tests that a document names and no source has.
fn missing_tests<'a>(document: &'a str, functions: &BTreeSet<String>) -> Vec<&'a str> {
    names::named(document).into_iter().filter(|test| !functions.contains(*test)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_is_named_and_does_not_exist_is_told() {
        let functions = BTreeSet::from(["it_is_so".to_string()]);
        assert_eq!(missing_tests("| x | `it_is_so`, `it_is_not_so` |\n", &functions), ["it_is_not_so"]);
    }

    #[test]
    fn the_tests_that_security_names_exist() {
        let project = Project::of_this_checkout();
        let functions = names::functions(&project.root.join("crates")).unwrap();
        assert_eq!(missing_tests(&project.read(SECURITY).unwrap(), &functions), Vec::<&str>::new());
    }

    #[test]
    fn a_run_that_is_missing_is_named_with_what_makes_it() {
        let work = tempfile::tempdir().unwrap();
        let project = Project { root: work.path().into(), target: work.path().join("target") };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console::new("reliability", &mut out, &mut err);
        let fault = Reliability { check: false }.run(&project, &mut console).unwrap_err().to_string();
        assert!(
            fault.contains("target/reliability/machines.jsonl; to make it: MACHINES=all MACHINES_JSON="),
            "{fault}"
        );
    }

    #[test]
    fn the_document_is_written_of_what_was_kept() {
        let work = tempfile::tempdir().unwrap();
        let project = Project { root: work.path().into(), target: work.path().join("target") };
        for (path, text) in [
            (
                "target/reliability/machines.jsonl",
                r#"{"machine":"plain","how":"-","experiments":20,"same":500,"skipped":4,"wrong":1,"broken":0,"slowest_ms":900}"#,
            ),
            (
                "target/reliability/kills.jsonl",
                r#"{"program":"a","mode":"b","kills":4,"left":0,"slowest_ms":8}"#,
            ),
            (
                "target/reliability/by-hand.jsonl",
                r#"{"kernel":"6.18","user":"root","session":"a/1","commands":1,"left_out":0,"result":"passed"}"#,
            ),
            ("fuzz/RESULTS.jsonl", r#"{"target":"t","parses":"p","cases":9,"seconds":1,"faults":0}"#),
            ("docs/kept", ""),
            ("crates/kept", ""),
        ] {
            let path = work.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console::new("reliability", &mut out, &mut err);
        let status = Reliability { check: false }.run(&project, &mut console).unwrap();
        drop(console);
        let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
        assert_eq!(out, "docs/reliability.md: written, 1 machines, 1 kinds of kill, 1 fuzz targets\n");
        assert!(err.starts_with("reliability: machine 'plain': 1 wrong, 0 broken off\n"), "{err}");
        // No source here has any test.
        assert!(err.contains("names a test that does not exist: hostile_archives_are_refused\n"), "{err}");
        assert_eq!(status, 1);
        assert!(project.read(DOCUMENT).unwrap().starts_with("<!-- Written by cargo xtask reliability"));
    }
}
