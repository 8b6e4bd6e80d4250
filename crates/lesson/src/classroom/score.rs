//! What was predicted, kept for later: a file of JSON lines that is only ever appended to.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid, User, fchown, getegid, geteuid, setegid};
use ns_core::process;
use serde::{Deserialize, Serialize};

use crate::cli::complain;

/// A prediction, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prediction {
    /// The experiment.
    pub experiment: String,
    /// The claim's id.
    pub claim: String,
    /// The answer that was given.
    pub answer: String,
    /// Whether the kernel gave the same.
    pub right: bool,
    /// The kernel, as uname(2) has it.
    pub kernel: String,
    /// When, in seconds since 1970.
    pub at: u64,
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
pub struct Score {
    path: PathBuf,
    file: File,
    before: Vec<Prediction>,
    /// The numbers of the lines that are no predictions.
    pub unreadable: Vec<usize>,
    is_torn: bool,
}

impl Score {
    /// Opens the file of whoever invoked us, or makes it; under sudo, of whoever typed sudo. What is in there and is no
    /// prediction is told on standard error, where `name` begins the line.
    ///
    /// # Errors
    /// In one line, where and why it cannot be kept.
    pub fn open(name: &str) -> Result<Score> {
        let person = Person::invoking()?;
        let path = person.state()?.join("inception").join("predictions.jsonl");
        let opened = person.act(|| open(&path));
        let file = opened.with_context(|| format!("cannot keep the score in {}", path.display()))?;
        if geteuid().is_root() && !person.uid.is_root() {
            // Made by the person's own rights, but with a group of root's.
            let _ = fchown(&file, Some(person.uid), Some(person.gid));
        }
        let score = Score::read(path, file)?;
        if let Some(complaint) = score.complaint() {
            complain(name, &anyhow!(complaint));
        }
        Ok(score)
    }

    fn read(path: PathBuf, mut file: File) -> Result<Score> {
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

    /// Where it is kept.
    pub fn path(&self) -> &Path {
        &self.path
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
    pub fn so_far(&self) -> (usize, usize) {
        let latest = self.latest();
        (latest.values().filter(|right| **right).count(), latest.len())
    }

    /// The claims that were predicted wrong when last asked about, by experiment.
    pub fn missed(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut missed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for ((experiment, claim), right) in self.latest() {
            if !right {
                missed.entry(experiment).or_default().push(claim);
            }
        }
        missed
    }

    fn latest(&self) -> BTreeMap<(&str, &str), bool> {
        self.before.iter().map(|it| ((it.experiment.as_str(), it.claim.as_str()), it.right)).collect()
    }
}

/// Opens what is to be appended to, by the rights of the caller. Never waits, whatever lies there.
fn open(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600).custom_flags(flags.bits());
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(nix::libc::ELOOP) => anyhow!("it is a symbolic link"),
        _ => error.into(),
    })?;
    ensure!(file.metadata()?.is_file(), "it is no regular file");
    Ok(file)
}

/// Whose score it is.
struct Person {
    uid: Uid,
    gid: Gid,
    home: Option<PathBuf>,
}

impl Person {
    /// Who typed the command. sudo (and pkexec) say whom they act for.
    fn invoking() -> Result<Person> {
        let named = ["SUDO_UID", "PKEXEC_UID"].iter().find_map(std::env::var_os);
        let behind = named.and_then(|uid| uid.to_str()?.parse().ok()).filter(|_| geteuid().is_root());
        let uid = behind.map_or_else(geteuid, Uid::from_raw);
        let known = User::from_uid(uid).ok().flatten();
        // root's HOME may still be the user's, or be root's under sudo -H: only one's own counts.
        let home = match behind {
            Some(_) => known.as_ref().map(|user| user.dir.clone()),
            None => std::env::var_os("HOME")
                .map(PathBuf::from)
                .or_else(|| known.as_ref().map(|user| user.dir.clone())),
        };
        Ok(Person { uid, gid: known.map_or_else(getegid, |user| user.gid), home })
    }

    /// The XDG base directory for state. A relative one is to be ignored.
    fn state(&self) -> Result<PathBuf> {
        let own = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home =
            || self.home.clone().filter(|path| path.is_absolute()).map(|home| home.join(".local/state"));
        own.or_else(home).context("cannot keep the score: neither XDG_STATE_HOME nor HOME says where")
    }

    /// Does `body` with this person's rights: what root could be led to by a link, the person must be allowed to write.
    fn act<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.uid == geteuid() {
            return body();
        }
        let group = getegid();
        setegid(self.gid).with_context(|| format!("setegid({})", self.gid))?;
        let done = process::with_effective_user(self.uid.as_raw(), || Ok(body()));
        setegid(group).with_context(|| format!("setegid({group})"))?;
        done?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Score {
        let path =
            std::env::temp_dir().join(format!("inception-score-{}-{}", std::process::id(), text.len()));
        fs::write(&path, text).unwrap();
        let file = open(&path).unwrap();
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
}
