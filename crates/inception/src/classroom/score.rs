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
use transcript::Origin;

use super::user::InvokingUser;

/// A question that was asked, and of whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// The experiment.
    pub(crate) experiment: String,
    /// The claim's id.
    pub(crate) claim: String,
    /// The question; empty in files that are older than it.
    #[serde(default)]
    pub(crate) question: String,
    /// Who ran the experiment, and where. When it began is left out: `at` says when this was asked.
    #[serde(flatten)]
    pub(crate) origin: Origin,
    /// The kernel, as uname(2) has it.
    pub(crate) kernel: String,
    /// When, in seconds since 1970.
    pub(crate) at: u64,
}

/// A prediction, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Prediction {
    #[serde(flatten)]
    pub(crate) asked: Asked,
    /// The letter of the answer that was given; none in files that are older than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) letter: Option<char>,
    /// The answer that was given.
    pub(crate) answer: String,
    /// Whether the kernel gave the same.
    pub(crate) right: bool,
}

/// How a class voted, as it is kept: all its answers, in the order in which they stood on the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Round {
    #[serde(flatten)]
    pub(crate) asked: Asked,
    /// Which vote on this question it was, from 1.
    pub(crate) round: usize,
    /// How many gave which answer.
    pub(crate) votes: Vec<Votes>,
}

/// How many gave an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Votes {
    /// Its letter.
    pub(crate) letter: char,
    /// Its words.
    pub(crate) answer: String,
    /// Whether it is what the kernel says.
    pub(crate) right: bool,
    /// How many.
    pub(crate) count: u64,
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Kept {
    /// What was predicted. It counts.
    Prediction(Prediction),
    /// A vote before. What counts is the prediction that the class came to.
    Round(Round),
}

impl Asked {
    /// A question that is asked now.
    pub(super) fn now(experiment: &str, claim: &str, question: &str, origin: &Origin, kernel: &str) -> Asked {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
        Asked {
            experiment: experiment.into(),
            claim: claim.into(),
            question: question.into(),
            origin: Origin { time: String::new(), ..origin.clone() },
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
    before: Vec<Kept>,
    /// The numbers of the lines that are no predictions.
    pub(super) unreadable: Vec<usize>,
    is_torn: bool,
}

impl Score {
    /// Opens the file of whoever invoked us, or makes it; under sudo, of whoever typed sudo. What is in the file and is
    /// no prediction is named on standard error, where `name` begins the line.
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
                Ok(kept) => before.push(kept),
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
    pub(super) fn keep(&mut self, kept: Kept) -> Result<()> {
        // In one piece, since another class may be writing: an append of this size is not torn by another.
        let mut line = if std::mem::take(&mut self.is_torn) { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut line, &kept)?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        written.with_context(|| format!("cannot keep the score in {}", self.path.display()))?;
        self.before.push(kept);
        Ok(())
    }

    /// How often a claim was asked about.
    pub(super) fn times(&self, experiment: &str, claim: &str) -> u64 {
        let is_it = |asked: &Asked| asked.experiment == experiment && asked.claim == claim;
        self.predictions().filter(|it| is_it(&it.asked)).count() as u64
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

    /// All that is kept, in its order.
    pub(crate) fn kept(&self) -> &[Kept] {
        &self.before
    }

    fn predictions(&self) -> impl Iterator<Item = &Prediction> {
        self.before.iter().filter_map(|kept| match kept {
            Kept::Prediction(prediction) => Some(prediction),
            Kept::Round(_) => None,
        })
    }

    fn latest(&self) -> BTreeMap<(&str, &str), bool> {
        self.predictions()
            .map(|it| ((it.asked.experiment.as_str(), it.asked.claim.as_str()), it.right))
            .collect()
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

    fn asked(claim: &str) -> Asked {
        let origin = Origin { student: "Ann Lee".into(), time: "2026".into(), ..Origin::default() };
        Asked::now("x", claim, "What is it?", &origin, "6.12")
    }

    fn prediction(claim: &str, right: bool) -> Kept {
        Kept::Prediction(Prediction { asked: asked(claim), letter: Some('b'), answer: "1".into(), right })
    }

    fn line(claim: &str, right: bool) -> String {
        serde_json::to_string(&prediction(claim, right)).unwrap() + "\n"
    }

    fn vote(claim: &str) -> Kept {
        let votes = vec![Votes { letter: 'a', answer: "1".into(), right: true, count: 7 }];
        Kept::Round(Round { asked: asked(claim), round: 1, votes })
    }

    #[test]
    fn a_vote_is_kept_and_counts_for_nothing() {
        let score = of(&(line("a", false) + &serde_json::to_string(&vote("a")).unwrap()));
        assert!(matches!(score.kept(), [Kept::Prediction(_), Kept::Round(_)]), "{:?}", score.kept());
        assert_eq!((score.so_far(), score.times("x", "a"), score.complaint()), ((0, 1), 1, None));
    }

    #[test]
    fn a_file_from_before_there_were_questions_in_it_is_read() {
        let old = r#"{"experiment":"x","claim":"a","answer":"EPERM","right":false,"kernel":"6.12","at":1780000000}"#;
        let score = of(&format!("{old}\n"));
        assert_eq!((score.missed(), score.complaint()), (BTreeMap::from([("x", vec!["a"])]), None));
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
        score.keep(prediction("b", true)).unwrap();
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
