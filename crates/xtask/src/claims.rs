//! `cargo xtask claims`: which claim judges which sentence of the notes.

use anyhow::{Result, ensure};
use lesson::Help;

use crate::console::Console;
use crate::difference;
use crate::project::{self, Project};

const DOCUMENT: &str = "docs/claims.md";

pub(crate) const HELP: Help = Help {
    name: "cargo xtask claims",
    about: "write docs/claims.md, the sentences of the notes beside the claims that judge them",
    examples: &[
        ("cargo xtask claims", "write the document"),
        ("cargo xtask claims --check", "compare, change nothing; exit 1 and show the difference if stale"),
    ],
    after: "The sentences are those of docs/notes.md, and the claims those that the\n\
experiments declare. Nothing is put to the kernel.\n\
\n\
Exit status: 0 written, or as it should be; 2 misused, or an experiment is\n\
missing. 1 stale, a sentence of the notes is neither judged nor has a reason,\n\
or docs/errata.md names a claim that is not there.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct Claims {
    /// Compare, and change nothing
    #[arg(long)]
    check: bool,
}

impl Claims {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        // The driver has docs/notes.md and docs/errata.md in it.
        project.build(&["--bins"])?;
        let asked = ["claims", "--coverage", "--format", "markdown"];
        let (new, status) = project.ask("inception", &asked)?;
        // What is wrong with the list it has said on standard error.
        ensure!(status < 2, "inception claims exited {status}");
        let path = project.root.join(DOCUMENT);
        if !self.check {
            project::write(&path, &new)?;
            console.say(format!("{DOCUMENT}: written"))?;
            return Ok(u8::try_from(status)?);
        }
        let before = if path.exists() { Some(project::read(&path)?) } else { None };
        if !compare(console, before.as_deref(), &new)? {
            return Ok(1);
        }
        Ok(u8::try_from(status)?)
    }
}

/// Whether the document is as the experiments say; what differs is shown.
fn compare(console: &mut Console<'_>, before: Option<&str>, new: &str) -> Result<bool> {
    let Some(before) = before else {
        console.complain(format!("there is no {DOCUMENT}; run: cargo xtask claims"));
        return Ok(false);
    };
    let label = format!("{DOCUMENT}, as the experiments say now");
    if let Some(difference) = difference::between((DOCUMENT, before), (&label, new))? {
        console.show(&difference)?;
        console.complain(format!("stale: {DOCUMENT}; run: cargo xtask claims"));
        return Ok(false);
    }
    console.say(format!("{DOCUMENT}: as the experiments say"))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_document_and_none_at_all_are_noticed() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console::new("claims", &mut out, &mut err);
        assert!(compare(&mut console, Some("a\n"), "a\n").unwrap());
        assert!(!compare(&mut console, Some("a\n"), "b\n").unwrap());
        assert!(!compare(&mut console, None, "b\n").unwrap());
        drop(console);
        assert!(String::from_utf8(out).unwrap().contains("\n-a\n+b\n"));
        assert_eq!(
            String::from_utf8(err).unwrap(),
            "claims: stale: docs/claims.md; run: cargo xtask claims\n\
             claims: there is no docs/claims.md; run: cargo xtask claims\n"
        );
    }
}
