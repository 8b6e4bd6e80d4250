//! What was predicted, kept for later: a file of JSON lines that is only ever appended to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use lesson::complain;
use nix::fcntl::OFlag;
use nix::unistd::{fchown, geteuid};
use serde::{Deserialize, Serialize};

use super::user::InvokingUser;

/// A prediction, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Prediction {
    /// The experiment.
    pub(super) experiment: String,
    /// The claim's id.
    pub(super) claim: String,
    /// The answer that was given.
    pub(super) answer: String,
    /// Whether the kernel gave the same.
    pub(super) right: bool,
    /// The kernel, as uname(2) has it.
    pub(super) kernel: String,
    /// When, in seconds since 1970.
    pub(super) at: u64,
}

impl Prediction {
    /// A prediction made now.
    pub(super) fn new(experiment: &str, claim: &str, answer: &str, right: bool, kernel: &str) -> Prediction {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
        Prediction {
            experiment: experiment.into(),
            claim: claim.into(),
            answer: answer.into(),
            right,
            kernel: kernel.into(),
            at,
        }
    }
}

/// The predictions of whoever invoked us.
#[derive(Debug)]
pub(crate) struct Score {
    path: PathBuf,
    file: File,
    before: Vec<Prediction>,
    /// The numbers of the lines that are no predictions.
    pub(super) unreadable: Vec<usize>,
    is_torn: bool,
}

impl Score {
    /// Opens the file of whoever invoked us, or makes it; under sudo, of whoever typed sudo. What is in there and is no
    /// prediction is told on standard error, where `name` begins the line.
    ///
    /// # Errors
    /// In one line, where and why it cannot be kept.
    pub(crate) fn open(name: &str) -> Result<Score> {
        let user = InvokingUser::find()?;
        let path = user.state()?.join("inception").join("predictions.jsonl");
        let opened = user.act(|| open(&path, true));
        let file = opened.with_context(|| format!("cannot keep the score in {}", path.display()))?;
        if geteuid().is_root() && !user.uid.is_root() {
            // Made by the user's own rights, but with a group of root's.
            let _ = fchown(&file, Some(user.uid), Some(user.gid));
        }
        let score = Score::read(path, file)?;
        if let Some(complaint) = score.complaint() {
            complain(name, &anyhow!(complaint));
        }
        Ok(score)
    }

    /// As it was kept so far; `None` where nothing was. Nothing is made.
    ///
    /// # Errors
    /// In one line, where and why it cannot be read.
    pub(crate) fn so_far_kept() -> Result<Option<Score>> {
        let user = InvokingUser::find()?;
        let path = user.state()?.join("inception").join("predictions.jsonl");
        match user.act(|| open(&path, false)) {
            Err(error) if error.downcast_ref().is_some_and(is_missing) => Ok(None),
            opened => {
                let file = opened.with_context(|| format!("cannot read the score in {}", path.display()))?;
                Score::read(path, file).map(Some)
            }
        }
    }

    /// The predictions in a file that is open, and which of its lines are none.
    ///
    /// # Errors
    /// Those of read(2).
    pub(super) fn read(path: PathBuf, mut file: File) -> Result<Score> {
        let mut bytes = Vec::new();
        let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes));
        read.with_context(|| format!("cannot read the score in {}", path.display()))?;
        let (mut before, mut unreadable) = (Vec::new(), Vec::new());
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty())
        {
            match serde_json::from_slice(line) {
                Ok(prediction) => before.push(prediction),
                Err(_) => unreadable.push(at + 1),
            }
        }
        let is_torn = bytes.last().is_some_and(|byte| *byte != b'\n');
        Ok(Score { path, file, before, unreadable, is_torn })
    }

    /// One line about what is in the file and is no prediction, if anything is.
    fn complaint(&self) -> Option<String> {
        let first = self.unreadable.first()?;
        let more = match self.unreadable.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        Some(format!(
            "{}: line {first}{more} is no prediction; it stays, and does not count",
            self.path.display()
        ))
    }

    /// Keeps another.
    ///
    /// # Errors
    /// Those of write(2).
    pub(super) fn keep(&mut self, prediction: Prediction) -> Result<()> {
        // In one piece, since another class may be writing: an append of this size is not torn by another.
        let mut line = if std::mem::take(&mut self.is_torn) { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut line, &prediction)?;
        line.push(b'\n');
        let kept = self.file.write_all(&line);
        kept.with_context(|| format!("cannot keep the score in {}", self.path.display()))?;
        self.before.push(prediction);
        Ok(())
    }

    /// How often a claim was asked about.
    pub(super) fn times(&self, experiment: &str, claim: &str) -> u64 {
        let asked = self.before.iter().filter(|it| it.experiment == experiment && it.claim == claim);
        asked.count() as u64
    }

    /// How many claims were predicted right when last asked about, and how many were asked about.
    pub(crate) fn so_far(&self) -> (usize, usize) {
        let latest = self.latest();
        (latest.values().filter(|right| **right).count(), latest.len())
    }

    /// The claims that were predicted wrong when last asked about, by experiment.
    pub(crate) fn missed(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut missed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for ((experiment, claim), right) in self.latest() {
            if !right {
                missed.entry(experiment).or_default().push(claim);
            }
        }
        missed
    }

    /// The claims of an experiment that were predicted, right or wrong.
    pub(crate) fn predicted(&self, experiment: &str) -> BTreeSet<&str> {
        self.latest().into_keys().filter(|(of, _)| *of == experiment).map(|(_, claim)| claim).collect()
    }

    fn latest(&self) -> BTreeMap<(&str, &str), bool> {
        self.before.iter().map(|it| ((it.experiment.as_str(), it.claim.as_str()), it.right)).collect()
    }
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

/// Opens what is to be appended to, by the rights of the caller; `makes` it where it is not there. Never waits, whatever
/// lies there.
fn open(path: &Path, makes: bool) -> Result<File> {
    if let Some(folder) = path.parent().filter(|_| makes) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let mut options = OpenOptions::new();
    options.read(true).append(makes).create(makes).mode(0o600).custom_flags(flags.bits());
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(nix::libc::ELOOP) => anyhow!("it is a symbolic link"),
        _ => error.into(),
    })?;
    ensure!(file.metadata()?.is_file(), "it is no regular file");
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Score {
        let thread = std::thread::current().id();
        let path = std::env::temp_dir().join(format!("inception-score-{}-{thread:?}", std::process::id()));
        fs::write(&path, text).unwrap();
        let file = open(&path, true).unwrap();
        fs::remove_file(&path).unwrap();
        Score::read(path, file).unwrap()
    }

    fn line(claim: &str, right: bool) -> String {
        let prediction = Prediction::new("x", claim, "1", right, "6.12");
        serde_json::to_string(&prediction).unwrap() + "\n"
    }

    #[test]
    fn the_last_answer_to_a_claim_counts() {
        let score = of(&(line("a", false) + &line("b", true) + &line("a", true) + &line("c", false)));
        assert_eq!(score.so_far(), (2, 3));
        assert_eq!(score.missed(), BTreeMap::from([("x", vec!["c"])]));
        assert_eq!(score.times("x", "a"), 2);
        assert_eq!(score.predicted("x"), BTreeSet::from(["a", "b", "c"]));
        assert_eq!(score.predicted("y"), BTreeSet::new());
        assert_eq!(score.complaint(), None);
    }

    #[test]
    fn what_is_no_prediction_stays_and_does_not_count() {
        let mut score = of(&format!("nonsense\n{}{{\"torn", line("a", true)));
        assert_eq!(score.unreadable, [1, 3]);
        assert!(
            score
                .complaint()
                .unwrap()
                .ends_with("line 1 and 1 more is no prediction; it stays, and does not count")
        );
        score.keep(Prediction::new("x", "b", "2", true, "6.12")).unwrap();
        let mut text = String::new();
        score.file.seek(SeekFrom::Start(0)).unwrap();
        score.file.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("nonsense\n") && text.contains("{\"torn\n{\"experiment\":\"x\""), "{text}");
        assert!(text.ends_with("}\n"));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn any_score_is_read_line_by_line(pieces in proptest::collection::vec((0_u8..3, "[^\n]{0,30}", 0_usize..4), 0..12)) {
            let (mut text, mut predictions, mut others) = (String::new(), 0, Vec::new());
            for (at, (kind, other, claim)) in pieces.iter().enumerate() {
                if *kind == 0 {
                    text += &line(&claim.to_string(), claim % 2 == 0);
                    predictions += 1;
                } else {
                    // Never a prediction, whatever it is.
                    text += &format!("?{other}\n");
                    others.push(at + 1);
                }
            }
            let score = of(&text);
            proptest::prop_assert_eq!(&score.unreadable, &others);
            proptest::prop_assert_eq!(score.before.len(), predictions);
            let missed: usize = score.missed().values().map(Vec::len).sum();
            let (right, asked) = score.so_far();
            proptest::prop_assert_eq!(right + missed, asked);
        }
    }
}
