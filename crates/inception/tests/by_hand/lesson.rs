//! What the experiments declare to be typed by hand.

use std::path::{Path, PathBuf};
use std::process::Command;

use transcript::{Event, Hand, Need};

/// Commands that share a shell: those of a step, and of the steps that go on in its shell, that one user types.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) experiment: String,
    /// The step in which it begins.
    shell: usize,
    pub(crate) as_root: bool,
    /// Each command, with the number of its step.
    pub(crate) typed: Vec<(usize, Hand)>,
}

impl Session {
    /// `uts-demo/7`, or `uts-demo/7-9` for those of several steps.
    pub(crate) fn name(&self) -> String {
        let (first, last) = (self.typed[0].0, self.typed[self.typed.len() - 1].0);
        let steps = if first == last { format!("{first}") } else { format!("{first}-{last}") };
        format!("{}/{steps}{}", self.experiment, if self.as_root { " as root" } else { "" })
    }

    /// What its first command needs, and with it all. A later one that needs more is left out where that is missing.
    pub(crate) fn needs(&self) -> &[Need] {
        &self.typed[0].1.about.needs
    }

    /// How many of its commands have no declared output.
    pub(crate) fn unknown(&self) -> usize {
        self.typed.iter().filter(|(_, hand)| hand.about.prints.is_none()).count()
    }
}

/// The experiments: the programs in a folder that a checkout has walkthroughs of.
///
/// # Panics
/// When the walkthroughs cannot be listed.
pub(crate) fn experiments(checkout: &Path, programs: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(checkout.join("demos")).expect("the walkthroughs can be listed");
    let name = |path: &Path| {
        let stem = path.file_stem()?.to_str()?;
        let (number, name) = stem.split_once('-')?;
        number.bytes().all(|byte| byte.is_ascii_digit()).then(|| name.to_string())
    };
    let mut all: Vec<PathBuf> = (listed.flatten())
        .filter_map(|entry| name(&entry.path()))
        .map(|name| programs.join(name))
        .filter(|program| program.is_file())
        .collect();
    all.sort();
    all
}

/// What an experiment declares, session by session.
///
/// # Panics
/// When it lists no steps.
pub(crate) fn sessions(program: &Path) -> Vec<Session> {
    let name = program.file_name().expect("a program has a name").to_string_lossy().into_owned();
    let mut sessions: Vec<Session> = Vec::new();
    let output = Command::new(program).args(["--list-steps", "--format", "jsonl"]).output();
    let output = output.unwrap_or_else(|error| panic!("{name}: {error}"));
    let is_listed = output.status.success() && !output.stdout.is_empty();
    assert!(is_listed, "{name} --list-steps lists no step: {}", output.status);
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(Event::Step { number, by_hand, .. }) = serde_json::from_str(line) else {
            panic!("{name} --list-steps: no step: {line}");
        };
        let shell = by_hand.shell.unwrap_or(number);
        for hand in by_hand.typed {
            let is_same =
                |session: &&mut Session| session.shell == shell && session.as_root == hand.about.root;
            if let Some(session) = sessions.iter_mut().find(is_same) {
                session.typed.push((number, hand));
            } else {
                let (experiment, as_root) = (name.clone(), hand.about.root);
                let typed = vec![(number, hand)];
                sessions.push(Session { experiment, shell, as_root, typed });
            }
        }
    }
    sessions
}
