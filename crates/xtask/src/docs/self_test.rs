//! A character is changed in copies of two documents, and has to be noticed.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::refresh::{Mode, refresh};
use crate::console::Console;
use crate::project::{self, Project};

const SAMPLE: &str = "pid-ns-init";

type Alter = fn(&str) -> String;

/// What is altered of the document, whether a figure too, the exit status, and what that shows.
const CASES: &[(Alter, bool, u8, &str)] = &[
    (as_it_is, false, 0, "a document as it is passes"),
    (claims, false, 1, "one character of the claims is noticed"),
    (screen, false, 1, "one character of the screen is noticed"),
    (transcript, false, 1, "one character of the transcript is noticed"),
    (elsewhere, false, 0, "a transcript of another machine passes"),
    (
        |text| transcript(&elsewhere(text)),
        false,
        1,
        "one character of a transcript of another machine is noticed",
    ),
    (as_it_is, true, 1, "one character of a figure is noticed"),
    (elsewhere, true, 1, "one character of a figure of another machine is noticed"),
];

pub(super) fn run(project: &Project, console: &mut Console<'_>) -> Result<u8> {
    let documents = project.numbered("docs", ".md")?;
    let sample = documents
        .iter()
        .find(|it| it.name == SAMPLE)
        .with_context(|| format!("there is no docs/NN-{SAMPLE}.md"))?;
    let doc = project.read(&format!("docs/{}", sample.file))?;
    let text = project.read(&format!("docs/reference/{}", sample.file))?;
    for (alter, figure, expected, shows) in CASES {
        let copy = tempfile::tempdir()?;
        let altered = (alter(&doc), alter(&text));
        let changed = altered.0 != doc || altered.1 != text;
        ensure!(*expected == 0 || *figure || changed, "{shows}: nothing was changed");
        fs::create_dir(copy.path().join("reference"))?;
        project::write(&copy.path().join(&sample.file), &altered.0)?;
        project::write(&copy.path().join("reference").join(&sample.file), &altered.1)?;
        fs::create_dir(copy.path().join("figures"))?;
        for entry in fs::read_dir(project.root.join("docs/figures"))? {
            let entry = entry?;
            let drawing = project::read(&entry.path())?;
            let drawing = if *figure { drawing.replacen("dropped", "drapped", 1) } else { drawing };
            project::write(&copy.path().join("figures").join(entry.file_name()), &drawing)?;
        }
        let (mut said, mut complained) = (Vec::new(), Vec::new());
        let mut silent = Console::new("--check", &mut said, &mut complained);
        let status = refresh(project, &mut silent, Mode::Check, copy.path(), &[])?;
        drop(silent);
        if status != *expected {
            console.show(&String::from_utf8_lossy(&[said, complained].concat()))?;
            console.complain(format!("{shows}: --check exited {status}, and not {expected}"));
            return Ok(1);
        }
        console.say(format!("ok: {shows}"))?;
    }
    Ok(0)
}

fn as_it_is(text: &str) -> String {
    text.into()
}

fn claims(text: &str) -> String {
    after(text, "<!-- claims", |text| text.replacen("expected: ", "3xpected: ", 1))
}

fn screen(text: &str) -> String {
    after(text, "<!-- screen", |text| text.replacen("HOLDS", "HOLD5", 1))
}

fn transcript(text: &str) -> String {
    after(text, "<!-- transcript", |text| text.replacen("HOLDS", "HOLD5", 1))
}

fn elsewhere(text: &str) -> String {
    after(text, "<!-- transcript of ", |text| {
        let digits = text.find("kernel ").map_or(0, |at| at + "kernel ".len());
        let rest = text[digits..].trim_start_matches(|it: char| it.is_ascii_digit() || it == '.');
        format!("{}1.0{rest}", &text[..digits])
    })
}

/// The text with what follows `marker` changed.
fn after(text: &str, marker: &str, change: impl Fn(&str) -> String) -> String {
    match text.split_once(marker) {
        Some((before, after)) => format!("{before}{marker}{}", change(after)),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alteration_changes_what_it_says() {
        let text =
            "x\n<!-- claims: …\ncause: y; expected: z\n<!-- transcript of kernel 6.18, root: …\nHOLDS\n";
        assert_eq!(claims(text), text.replace("expected", "3xpected"));
        assert_eq!(transcript(text), text.replace("HOLDS", "HOLD5"));
        assert_eq!(elsewhere(text), text.replace("6.18", "1.0"));
    }
}
