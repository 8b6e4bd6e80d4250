//! Where attempts are kept: a log that is only ever appended to, and for each exercise a directory and a snapshot.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::libc::ELOOP;
use ns_core::uts;

use crate::attempt::{Attempt, Learner};
use crate::event::{Event, Logged};
use crate::model::Exercise;
use crate::snapshot::Snapshot;
use crate::state::{Open, State};

/// Where one learner's attempts are kept.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    file: File,
}

impl Store {
    /// Opens the log in the directory `root`, and makes both where they are not there.
    ///
    /// # Errors
    /// In one line, where and why nothing can be kept.
    pub fn open(root: &Path) -> Result<Store> {
        let kept = DirBuilder::new().recursive(true).mode(0o700).create(root);
        let log = log(root);
        let file = kept.map_err(Into::into).and_then(|()| open(&log, true));
        let file = file.with_context(|| format!("cannot keep attempts in {}", log.display()))?;
        Ok(Store { root: root.into(), file })
    }

    /// The attempts in the directory `root`; none where nothing was kept. Nothing is made.
    ///
    /// # Errors
    /// In one line, where and why they cannot be read.
    pub fn so_far(root: &Path) -> Result<State> {
        let log = log(root);
        match open(&log, false) {
            Err(error) if error.downcast_ref().is_some_and(is_missing) => Ok(State::default()),
            opened => {
                let file =
                    opened.with_context(|| format!("cannot read the attempts in {}", log.display()))?;
                Store { root: root.into(), file }.state()
            }
        }
    }

    /// The log, for who gives it another owner.
    pub fn log_file(&self) -> &File {
        &self.file
    }

    /// Waits until no other keeps an attempt from here, and keeps others from it while the result lives.
    ///
    /// # Errors
    /// Those of flock(2).
    pub fn lock(&self) -> Result<Flock<File>> {
        let file = self.file.try_clone().context("dup()")?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).context("flock()")
    }

    /// The lines of the log. What is no line of it stays, and does not count.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn logged(&self) -> Result<Vec<Logged>> {
        let (mut bytes, mut file) = (Vec::new(), &self.file);
        let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes));
        read.with_context(|| format!("cannot read the attempts in {}", log(&self.root).display()))?;
        Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    /// How far the learner is.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn state(&self) -> Result<State> {
        Ok(State::of(&self.logged()?))
    }

    /// The directory of an exercise's attempt.
    pub fn dir(&self, exercise: &str) -> PathBuf {
        self.root.join("exercises").join(exercise)
    }

    /// Makes the directory of an exercise's attempt, which is empty then.
    ///
    /// # Errors
    /// Where it holds something already, or cannot be made.
    pub fn make_dir(&self, exercise: &str) -> Result<PathBuf> {
        let dir = self.dir(exercise);
        let made = DirBuilder::new().recursive(true).mode(0o755).create(&dir);
        made.with_context(|| format!("cannot make {}", dir.display()))?;
        let is_empty = fs::read_dir(&dir).with_context(|| dir.display().to_string())?.next().is_none();
        ensure!(is_empty, "{} is not empty; move away what you need of it, and remove it", dir.display());
        Ok(dir)
    }

    /// Keeps how the machine was when an attempt began, and copies the files that the learner gets.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn keep(&self, attempt: &Attempt) -> Result<()> {
        attempt.hand_out()?;
        attempt.snapshot.keep(&self.snapshot(&attempt.exercise.name))
    }

    /// Logs that an attempt began.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn log_start(&self, attempt: &Attempt, learner: &Learner) -> Result<()> {
        let Learner { student, class, uid, gid, user } = learner.clone();
        let (host, kernel, seed) = (uts::hostname(), uts::release(), attempt.seed.clone());
        let cgroup = attempt.cgroup().map(Path::to_path_buf);
        self.log(attempt, Event::Started { seed, student, class, host, kernel, uid, gid, user, cgroup })
    }

    /// Logs what happened in an attempt.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn log(&self, attempt: &Attempt, event: Event) -> Result<()> {
        self.append(&Logged::now(&attempt.exercise.name, attempt.number, event))
    }

    /// The attempt that the log calls `open`, of an `exercise` as its file has it.
    ///
    /// # Errors
    /// Where a text names a value that the exercise does not have.
    pub fn attempt(&self, exercise: &Exercise, open: &Open) -> Result<Attempt> {
        // Without it, the attempt cannot be looked at any more, but reset.
        let snapshot = Snapshot::read(&self.snapshot(&exercise.name)).unwrap_or_default();
        let dir = self.dir(&exercise.name);
        let attempt = Attempt::of(exercise, &open.learner, open.number, &dir, open.cgroup.clone(), snapshot)?;
        Ok(Attempt { shown: open.shown.clone(), trace: open.trace.clone(), ..attempt })
    }

    fn snapshot(&self, exercise: &str) -> PathBuf {
        self.root.join("exercises").join(format!("{exercise}.start.json"))
    }

    /// In one write, so that no other's line is torn; on a line of its own, whatever was written before.
    fn append(&self, logged: &Logged) -> Result<()> {
        let mut line = Vec::new();
        if self.is_torn()? {
            line.push(b'\n');
        }
        serde_json::to_writer(&mut line, logged)?;
        line.push(b'\n');
        let written = (&self.file).write_all(&line);
        written.with_context(|| format!("cannot keep attempts in {}", log(&self.root).display()))
    }

    /// Whether the last line has no end.
    fn is_torn(&self) -> Result<bool> {
        let (mut last, mut file) = ([b'\n'], &self.file);
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(last != *b"\n")
    }
}

fn log(root: &Path) -> PathBuf {
    root.join("exercises.jsonl")
}

fn is_missing(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

/// Opens the log, through no symbolic link, and without a wait, whatever lies there.
fn open(path: &Path, makes: bool) -> Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let mut options = OpenOptions::new();
    options.read(true).append(makes).create(makes).mode(0o600).custom_flags(flags.bits());
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(ELOOP) => anyhow!("it is a symbolic link"),
        _ => error.into(),
    })?;
    ensure!(file.metadata()?.is_file(), "it is no regular file");
    Ok(file)
}
