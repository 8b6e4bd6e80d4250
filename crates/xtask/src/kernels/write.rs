//! Which transcripts there are, and the document that they make.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use lesson::{Help, status};

use super::table;
use crate::console::Console;
use crate::difference;
use crate::project::{self, Project};

const DOCUMENT: &str = "docs/kernels.md";

pub(crate) const HELP: Help = Help {
    name: "cargo xtask kernels",
    about: "write docs/kernels.md, the verdicts of all kernels side by side",
    examples: &[
        ("cargo xtask kernels", "ask this machine, and write the document"),
        ("cargo xtask kernels --host here.jsonl", "the same, with what this machine was asked before"),
        (
            "cargo xtask kernels --check",
            "compare, change nothing; exit 1 and show the difference if it is stale",
        ),
    ],
    after: "The columns are\n\
\x20 - Debian 12's and 13's kernels, as root and as a student:\n\
\x20   target/vm/*/*.jsonl, which scripts/test-vm makes;\n\
\x20 - this machine's, as root: FILE, or a run that is made now.\n\
A transcript is what `inception run --all --format jsonl` writes. All are to be\n\
of one build.\n\
\n\
--check compares the columns for which there is a transcript, and says which\n\
those are not. It asks this machine only where the document is of one like it:\n\
the same kernel, privilege and cgroups.\n\
\n\
Exit status: 0 written, or as it should be; 1 stale, or the verdicts differ\n\
and no claim explains why. 2 misused, or a transcript is missing or no good;\n\
77 there was nothing to compare.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct Kernels {
    /// Compare, and change nothing
    #[arg(long)]
    check: bool,
    /// What this machine was asked before
    #[arg(long, value_name = "FILE")]
    host: Option<PathBuf>,
}

impl Kernels {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        let path = project.root.join(DOCUMENT);
        let before = if path.exists() { Some(project::read(&path)?) } else { None };
        if self.check && before.is_none() {
            console.complain(format!("there is no {DOCUMENT}; run: cargo xtask kernels"));
            return Ok(1);
        }
        let before = before.unwrap_or_default();
        let work = tempfile::tempdir()?;
        let (mut transcripts, missing) = of_virtual_machines(project);
        if let Some(missing) = missing.first().filter(|_| !self.check) {
            console.complain(format!(
                "without {missing} a column would be missing; to make it: scripts/test-vm"
            ));
            return Ok(status::BROKEN);
        }
        for transcript in &missing {
            console.say(format!("skip: {transcript} is not there; scripts/test-vm makes it"))?;
        }

        // This machine as root sees it, whoever asks.
        let machine = project::conditions()?.replacen(", user,", ", root,", 1);
        let made = if self.check { made_on(&before).unwrap_or_default() } else { &machine };
        if let Some(host) = &self.host {
            ensure!(host.exists(), "there is no file '{}'; try --help", host.display());
            transcripts.push(std::path::absolute(host)?);
        } else if let Some(transcript) = self.ask(project, console, made, &machine, work.path())? {
            transcripts.push(transcript);
        }
        if transcripts.is_empty() {
            console.say(format!("skip: there is no transcript to compare {DOCUMENT} with"))?;
            return Ok(status::NOTHING_ASKED);
        }

        project.build(&["-p", "inception"])?;
        let mut command = project.command(project.program("inception"));
        command.args(["diff", "--format", "markdown"]).args(&transcripts);
        let (new, explained) = match project::text_of(&mut command, "inception diff")? {
            (new, 0) => (new, true),
            (new, 1) => (new, false),
            // It has said why.
            _ => return Ok(status::BROKEN),
        };
        let new = with_origin(&new, made);
        if self.check {
            match compare(console, &before, &new)? {
                0 => {}
                other => return Ok(other),
            }
        } else {
            project::write(&path, &new)?;
            console.say(format!("{DOCUMENT}: written, {} columns", table::columns(&new).len()))?;
        }
        if !explained {
            console.complain(format!(
                "verdicts differ and no claim explains why; see UNEXPLAINED in {DOCUMENT}, or make all transcripts of one build"
            ));
            return Ok(1);
        }
        Ok(0)
    }

    /// Asks this machine, if it is of the kind that the document was made on. Gives the transcript.
    fn ask(
        &self,
        project: &Project,
        console: &mut Console<'_>,
        made: &str,
        machine: &str,
        work: &std::path::Path,
    ) -> Result<Option<PathBuf>> {
        const ROOT: &str = "this machine is asked as root; become root, or give --host FILE";
        if made != machine {
            let was = if made.is_empty() { "not told" } else { made };
            console.say(format!("skip: this machine is {machine}; the document's was {was}"))?;
            return Ok(None);
        }
        if !project::is_root() {
            if !self.check {
                bail!(ROOT);
            }
            console.say(format!("skip: {ROOT}"))?;
            return Ok(None);
        }
        project.build(&["--bins"])?;
        let (transcript, status) = project.ask("inception", &["run", "--all", "--format", "jsonl"])?;
        ensure!(status != i32::from(status::BROKEN), "an experiment broke on this machine");
        let path = work.join("host.jsonl");
        fs::write(&path, transcript)?;
        Ok(Some(path))
    }
}

/// The transcripts that scripts/test-vm has made, and those that are missing, below the project's directory.
fn of_virtual_machines(project: &Project) -> (Vec<PathBuf>, Vec<String>) {
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for release in ["12", "13"] {
        for user in ["root", "student"] {
            let path = project.target.join("vm").join(release).join(format!("{user}.jsonl"));
            if path.exists() {
                there.push(path);
            } else {
                let path = path.strip_prefix(&project.root).unwrap_or(&path);
                missing.push(path.display().to_string());
            }
        }
    }
    (there, missing)
}

const ORIGIN: (&str, &str) = ("<!-- this machine: ", " -->");

/// The machine that the document tells.
fn made_on(document: &str) -> Option<&str> {
    document.lines().find_map(|line| line.strip_prefix(ORIGIN.0)?.strip_suffix(ORIGIN.1))
}

/// The same document with the machine told below its first line.
fn with_origin(document: &str, machine: &str) -> String {
    let (first, rest) = document.split_once('\n').unwrap_or((document, ""));
    format!("{first}\n{}{machine}{}\n{rest}", ORIGIN.0, ORIGIN.1)
}

/// Compares the columns that both have. Gives the exit status.
fn compare(console: &mut Console<'_>, before: &str, new: &str) -> Result<u8> {
    let columns = |document: &str| table::columns(document).into_iter().collect::<BTreeSet<_>>();
    let (there, here) = (columns(before), columns(new));
    for column in here.difference(&there) {
        console.say(format!("skip: {DOCUMENT} has no column '{column}'"))?;
    }
    for column in there.difference(&here) {
        console.say(format!("skip: column '{column}' is not compared: no transcript"))?;
    }
    let both: BTreeSet<_> = there.intersection(&here).cloned().collect();
    if both.is_empty() {
        console.say(format!("skip: {DOCUMENT} and the transcripts have no column in common"))?;
        return Ok(status::NOTHING_ASKED);
    }
    let shown = |document: &str| if there == here { document.into() } else { table::only(&both, document) };
    let label = format!("{DOCUMENT}, as the transcripts say");
    if let Some(difference) = difference::between((DOCUMENT, &shown(before)), (&label, &shown(new)))? {
        console.show(&difference)?;
        console.complain(format!("stale: {DOCUMENT}; run: cargo xtask kernels"));
        return Ok(1);
    }
    console.say(format!(
        "{DOCUMENT}: as the transcripts say, in {} of {} columns",
        both.len(),
        there.len()
    ))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
# Verdicts
<!-- this machine: kernel 6.18, root, v2, cgroup paths: 1 -->

| claim | 6.1 root | 6.12 root |
| --- | --- | --- |
| a | holds | refuted |
";
    const ONE: &str = "# Verdicts\n\n| claim | 6.1 root |\n| --- | --- |\n| a | holds |\n";

    fn compared(before: &str, new: &str) -> (u8, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console::new("kernels", &mut out, &mut err);
        let status = compare(&mut console, before, new).unwrap();
        drop(console);
        (status, String::from_utf8([out, err].concat()).unwrap())
    }

    #[test]
    fn the_machine_is_told_below_the_first_line() {
        assert_eq!(made_on(DOCUMENT), Some("kernel 6.18, root, v2, cgroup paths: 1"));
        let plain: String =
            DOCUMENT.lines().filter(|line| !line.starts_with("<!--")).map(|it| format!("{it}\n")).collect();
        assert_eq!(made_on(&plain), None);
        assert_eq!(with_origin(&plain, "kernel 6.18, root, v2, cgroup paths: 1"), DOCUMENT);
    }

    #[test]
    fn columns_without_a_transcript_are_not_compared() {
        let (status, said) = compared(DOCUMENT, ONE);
        assert_eq!(status, 0, "{said}");
        assert!(said.starts_with("skip: column '6.12 root' is not compared: no transcript\n"), "{said}");
        assert!(said.ends_with("as the transcripts say, in 1 of 2 columns\n"), "{said}");
    }

    #[test]
    fn a_verdict_that_changed_is_stale() {
        for new in [DOCUMENT.replace("refuted", "holds"), ONE.replace("holds", "refuted")] {
            let (status, said) = compared(DOCUMENT, &new);
            assert_eq!(status, 1, "{said}");
            assert!(said.ends_with("kernels: stale: docs/kernels.md; run: cargo xtask kernels\n"), "{said}");
        }
    }

    #[test]
    fn no_column_in_common_is_no_comparison() {
        assert_eq!(compared(DOCUMENT, &ONE.replace("6.1 ", "6.2 ")).0, 77);
    }
}
