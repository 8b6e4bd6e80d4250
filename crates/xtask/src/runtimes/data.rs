//! What is known of each runtime: where it ran, and what its trace answers.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The runtimes, as the files of their traces are called, in the order of the page.
pub(super) const RUNTIMES: [&str; 4] = ["docker", "podman", "bubblewrap", "mini-container"];

/// Where the traces were made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// The distribution and the kernel.
    pub(super) system: String,
    /// Programs with their versions.
    pub(super) versions: Vec<String>,
    /// The command of each runtime.
    pub(super) commands: Vec<String>,
}

/// A line of `ns-trace --compare … --format jsonl`.
#[derive(Debug, Deserialize)]
pub(super) struct Story {
    /// What each question of ns-trace is answered.
    pub(super) answers: BTreeMap<String, String>,
}

/// What scripts/vm.d/runtimes noted: a key and a value on each line, with a tabulator between.
///
/// # Errors
/// When something is missing.
pub(super) fn machine(text: &str) -> Result<Machine> {
    let all = |key: &str| -> Vec<String> {
        let values = text.lines().filter_map(|line| line.split_once('\t'));
        values.filter(|(name, _)| *name == key).map(|(_, value)| value.into()).collect()
    };
    let one = |key: &str| all(key).pop().with_context(|| format!("the machine's notes have no '{key}'"));
    let commands = RUNTIMES.iter().map(|name| one(name)).collect::<Result<_>>()?;
    Ok(Machine { system: one("machine")?, versions: all("version"), commands })
}

/// What ns-trace says of the traces, in their order.
///
/// # Errors
/// When it is not a line for each.
pub(super) fn stories(text: &str) -> Result<Vec<Story>> {
    let stories: Vec<Story> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("ns-trace --compare says what is no answer")?;
    ensure!(stories.len() == RUNTIMES.len(), "ns-trace told {} of {}", stories.len(), RUNTIMES.len());
    for (name, story) in RUNTIMES.iter().zip(&stories) {
        let created = story.answers.get("new namespaces").map(String::as_str);
        ensure!(created.is_some_and(|it| it != "no"), "in the trace of {name} no namespace is created");
    }
    Ok(stories)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_and_what_is_missing_is_named() {
        let notes = "machine\tDebian, Linux 6\nversion\tcrun 1\nversion\truncs 2\ndocker\td\npodman\tp\nbubblewrap\tb\n";
        let said = machine(notes).unwrap_err().to_string();
        assert!(said.contains("'mini-container'"), "{said}");
        let machine = machine(&format!("{notes}mini-container\tm\n")).unwrap();
        assert_eq!(
            (machine.versions.len(), machine.commands),
            (2, ["d", "p", "b", "m"].map(String::from).into())
        );
    }

    #[test]
    fn there_is_a_story_for_each() {
        let line = r#"{"story":"a","answers":{"end":"status 0","new namespaces":"PID"}}"#;
        assert_eq!(stories(&[line; 4].join("\n")).unwrap()[3].answers["end"], "status 0");
        let other = line.replace("PID", "no");
        let said = stories(&[line, &other, line, line].join("\n")).unwrap_err().to_string();
        assert_eq!(said, "in the trace of podman no namespace is created");
        assert!(stories(line).is_err());
        assert!(stories("moon").is_err());
    }
}
