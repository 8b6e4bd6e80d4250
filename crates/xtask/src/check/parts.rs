//! The parts of which a document consists, in their order.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

const PARTS: &[&str] =
    &["The idea", "What the notes say", "The claims", "What you will see", "Why", "Try it", "Manual pages"];

/// The lines of a screen, of 80 columns each.
const SCREEN: usize = 34;

/// What is wrong with the parts of the document called `path`, a line each.
///
/// # Errors
/// When fmt(1) cannot be run.
pub(super) fn faults(path: &str, text: &str) -> Result<Vec<String>> {
    let found: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    if found != PARTS {
        return Ok(vec![format!("{path}: its headings are not, in this order: {}", PARTS.join(", "))]);
    }
    let mut faults = Vec::new();
    let lines = lines_of_80(&part(text, "The idea"))?;
    if lines > SCREEN {
        faults.push(format!(
            "{path}: the idea takes {lines} lines of 80 columns; say it in {SCREEN}, which are a screen"
        ));
    }
    if part(text, "Try it").iter().filter(|line| line.starts_with("```console")).count() < 2 {
        faults.push(format!("{path}: has fewer than two things to try, in console blocks of their own"));
    }
    if !part(text, "Manual pages").iter().any(|line| names_a_page(line)) {
        faults.push(format!("{path}: names no manual page"));
    }
    Ok(faults)
}

/// The lines below a heading.
fn part<'a>(text: &'a str, heading: &str) -> Vec<&'a str> {
    let below = text.lines().skip_while(|line| line.strip_prefix("## ") != Some(heading)).skip(1);
    below.take_while(|line| !line.starts_with("## ")).collect()
}

/// How many lines they take that are 80 columns wide.
fn lines_of_80(lines: &[&str]) -> Result<usize> {
    let text: String =
        lines.iter().skip_while(|line| line.is_empty()).map(|line| format!("{line}\n")).collect();
    let mut fmt = Command::new("fmt");
    fmt.args(["-w", "80"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = fmt.spawn().context("cannot run fmt")?;
    let mut input = child.stdin.take().context("fmt has no standard input")?;
    // A part of a document fits into the pipes: nobody waits for anybody.
    input.write_all(text.as_bytes())?;
    drop(input);
    Ok(String::from_utf8_lossy(&child.wait_with_output()?.stdout).lines().count())
}

/// Whether a line has such a thing as `clone(2)`.
fn names_a_page(line: &str) -> bool {
    line.as_bytes().windows(4).any(|it| {
        it[0].is_ascii_lowercase() && it[1] == b'(' && (b'1'..=b'9').contains(&it[2]) && it[3] == b')'
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> String {
        let try_it = "```console\n$ a\n```\n\n```console\n$ b\n```\n";
        format!(
            "# A?\n\n## The idea\n\nShort.\n\n## What the notes say\n\n## The claims\n\n## What you will see\n\n\
             ## Why\n\n## Try it\n\n{try_it}\n## Manual pages\n\nclone(2).\n"
        )
    }

    fn faults_of(text: &str) -> String {
        faults("doc", text).unwrap().join("\n")
    }

    #[test]
    fn a_document_with_its_parts_is_faultless() {
        assert_eq!(faults_of(&good()), "");
    }

    #[test]
    fn each_fault_of_a_document_is_told() {
        let headings = "doc: its headings are not, in this order: The idea, What the notes say, The claims, \
                        What you will see, Why, Try it, Manual pages";
        assert_eq!(faults_of(&good().replace("## Why\n", "")), headings);
        assert_eq!(faults_of(&good().replace("## Why\n", "## Because\n")), headings);
        let long = good().replace("Short.", &"word ".repeat(15 * 35));
        assert!(faults_of(&long).starts_with("doc: the idea takes 3"), "{}", faults_of(&long));
        assert_eq!(
            faults_of(&good().replacen("```console", "```sh", 1)),
            "doc: has fewer than two things to try, in console blocks of their own"
        );
        assert_eq!(faults_of(&good().replace("clone(2)", "clone(x)")), "doc: names no manual page");
    }
}
