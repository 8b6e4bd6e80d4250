//! What the experiments declare to be typed by hand.

use std::path::{Path, PathBuf};
use std::process::Command;

use transcript::{Event, Hand, Need};

/// Commands that share a shell: those of a step, and of the steps that go on in its shell.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) experiment: String,
    /// Each command, with the number of its step.
    pub(crate) typed: Vec<(usize, Hand)>,
    pub(crate) needs: Vec<Need>,
}

impl Session {
    /// `uts-demo/7`, or `uts-demo/7-9` for those of several steps.
    pub(crate) fn name(&self) -> String {
        let (first, last) = (self.typed[0].0, self.typed[self.typed.len() - 1].0);
        let steps = if first == last { format!("{first}") } else { format!("{first}-{last}") };
        format!("{}/{steps}{}", self.experiment, if self.as_root() { " as root" } else { "" })
    }

    pub(crate) fn as_root(&self) -> bool {
        self.typed.iter().any(|(_, hand)| hand.about.root)
    }

    /// How many of its commands have no declared output.
    pub(crate) fn unknown(&self) -> usize {
        self.typed.iter().filter(|(_, hand)| hand.about.prints.is_none()).count()
    }
}

/// The experiments in a folder: the programs that list steps.
pub(crate) fn experiments(programs: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(programs).expect("the folder of the programs can be listed");
    let mut all: Vec<PathBuf> =
        listed.flatten().map(|entry| entry.path()).filter(|path| is_one(path)).collect();
    all.sort();
    all
}

fn is_one(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    !matches!(name, "inception" | "xtask") && !name.contains('.') && path.is_file() && steps(path).is_some()
}

fn steps(program: &Path) -> Option<String> {
    let output = Command::new(program).args(["--list-steps", "--format", "jsonl"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && text.starts_with(r#"{"event":"step""#)).then_some(text)
}

/// What an experiment declares, session by session.
pub(crate) fn sessions(program: &Path) -> Vec<Session> {
    let name = program.file_name().expect("a program has a name").to_string_lossy().into_owned();
    let mut sessions: Vec<Session> = Vec::new();
    for line in steps(program).expect("it has listed them before").lines() {
        let Ok(Event::Step { number, by_hand, .. }) = serde_json::from_str(line) else {
            panic!("{name} --list-steps: no step: {line}");
        };
        let needs = by_hand.needs();
        let typed = by_hand.typed.into_iter().map(|hand| (number, hand));
        match by_hand.shell {
            None => {
                let session = Session { experiment: name.clone(), typed: typed.collect(), needs };
                sessions.extend((!session.typed.is_empty()).then_some(session));
            }
            Some(shell) => {
                let begun = sessions.iter_mut().find(|session| session.typed[0].0 == shell);
                let begun = begun.unwrap_or_else(|| panic!("{name}: step {shell} has no commands"));
                begun.typed.extend(typed);
                begun.needs.extend(needs);
            }
        }
    }
    sessions
}
