//! The parts of which a document consists, in their order.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

const DOC: &[&str] = &["The idea", "One screen", "Step by step", "What the notes say", "Try it", "Read on"];

const REFERENCE: &[&str] = &["Why", "The claims", "A whole run"];

/// The lines of a screen, of 80 columns each.
const SCREEN: usize = 34;

/// What is read in ten minutes, as wc(1) counts.
const WORDS: usize = 1_500;

/// What is wrong with the parts of the document called `path`, a line each.
///
/// # Errors
/// When fmt(1) cannot be run.
pub(super) fn faults(path: &str, text: &str) -> Result<Vec<String>> {
    let mut faults = headings(path, text, DOC);
    if !faults.is_empty() {
        return Ok(faults);
    }
    let lines = lines_of_80(&part(text, "The idea"))?;
    if lines > SCREEN {
        faults.push(format!(
            "{path}: the idea takes {lines} lines of 80 columns; say it in {SCREEN}, which are a screen"
        ));
    }
    let words = text.split_whitespace().count();
    if words > WORDS {
        faults.push(format!(
            "{path}: has {words} words; keep to {WORDS}, and move what is of further steps to its reference"
        ));
    }
    let (told, shown) = (steps(text), steps_of_the_screen(text));
    if !shown.is_empty() && told != shown {
        faults.push(format!(
            "{path}: *Step by step* has the steps {told:?}, and the screen {shown:?}; say '### Step N: …' in its order"
        ));
    }
    if part(text, "Try it").iter().filter(|line| line.starts_with("```console")).count() < 2 {
        faults.push(format!("{path}: has fewer than two things to try, in console blocks of their own"));
    }
    if !part(text, "Read on").iter().any(|line| names_a_page(line)) {
        faults.push(format!("{path}: names no manual page"));
    }
    Ok(faults)
}

/// What is wrong with the parts of a reference, a line each.
pub(super) fn faults_of_reference(path: &str, text: &str) -> Vec<String> {
    headings(path, text, REFERENCE)
}

fn headings(path: &str, text: &str, parts: &[&str]) -> Vec<String> {
    let found: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let said = || format!("{path}: its headings are not, in this order: {}", parts.join(", "));
    if found == parts { Vec::new() } else { vec![said()] }
}

/// The numbers of the steps that have a heading of their own in *Step by step*, in their order.
fn steps(text: &str) -> Vec<u32> {
    let heads = part(text, "Step by step").into_iter().filter_map(|line| line.strip_prefix("### Step "));
    heads.filter_map(|rest| rest.split_once(':')?.0.parse().ok()).collect()
}

/// The numbers of the steps that the screen shows, in its order: they stand right-aligned in its first two columns.
fn steps_of_the_screen(text: &str) -> Vec<u32> {
    let row = |line: &str| {
        let (number, rest) = line.split_at_checked(2)?;
        rest.starts_with(' ').then(|| number.trim_start().parse::<u32>().ok())?
    };
    let mut steps: Vec<u32> = part(text, "One screen").into_iter().filter_map(row).collect();
    steps.dedup();
    steps
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
            "# A?\n\n## The idea\n\nShort.\n\n## One screen\n\n 2 b  1 ≠ 2\n   b  1 = 1\n10 c  1 ≠ 2\n2 hold\n\n## Step by step\n\n### Step 2: b\n\n### Step 10: c\n\n\
             ## What the notes say\n\n## Try it\n\n{try_it}\n## Read on\n\nclone(2).\n"
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
        let headings = "doc: its headings are not, in this order: The idea, One screen, Step by step, \
                        What the notes say, Try it, Read on";
        assert_eq!(faults_of(&good().replace("## Step by step\n", "")), headings);
        assert_eq!(faults_of(&good().replace("## Step by step\n", "## Because\n")), headings);
        let long = good().replace("Short.", &"word ".repeat(15 * 35));
        assert!(faults_of(&long).starts_with("doc: the idea takes 3"), "{}", faults_of(&long));
        assert_eq!(
            faults_of(&good().replacen("```console", "```sh", 1)),
            "doc: has fewer than two things to try, in console blocks of their own"
        );
        assert_eq!(faults_of(&good().replace("clone(2)", "clone(x)")), "doc: names no manual page");
        assert_eq!(
            faults_of(&good().replace("### Step 10", "### Step 9")),
            "doc: *Step by step* has the steps [2, 9], and the screen [2, 10]; say '### Step N: …' in its order"
        );
        let many = good().replace("### Step 2: b\n", &format!("### Step 2: b\n{}", "word ".repeat(1_500)));
        assert!(faults_of(&many).starts_with("doc: has 15"), "{}", faults_of(&many));
    }

    #[test]
    fn a_reference_has_its_parts_and_a_doc_tells_its_steps() {
        let reference = "# A\n\n## Why\n\n## The claims\n\n## A whole run\n";
        assert!(faults_of_reference("r", reference).is_empty());
        assert_eq!(
            faults_of_reference("r", "## Why\n"),
            ["r: its headings are not, in this order: Why, The claims, A whole run"]
        );
        assert_eq!(steps(&good()), [2, 10]);
    }
}
