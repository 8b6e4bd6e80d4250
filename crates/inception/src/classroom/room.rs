//! What one experiment after another is taught with: a terminal, or answers; and the score.

use anyhow::Result;
use lesson::complain;
use nix::sys::signal::Signal;

use super::answers::Answers;
use super::notes::Notes;
use super::options::Options;
use super::score::Score;
use super::scored::Scored;
use super::terminal::Terminal;

/// How a pause, a question or a run ended.
pub(super) enum Next {
    /// On with it.
    On,
    /// The run is over, with this exit status.
    Over(u8),
    /// The experiment is to be run again.
    Again,
    /// The class is over.
    Left,
    /// None of the claims that were to be asked about is there any more.
    NothingToAsk,
    /// This signal ended it.
    Ended(Signal),
}

/// Who answers, and what is kept of it.
pub(super) struct Room<'a> {
    pub(super) options: &'a Options,
    pub(super) terminal: Option<Terminal>,
    pub(super) answers: Option<Answers>,
    pub(super) score: Option<Score>,
    /// What was predicted in this class.
    pub(super) scored: Scored,
    pub(super) notes: Option<Notes>,
    /// The step that is asked about, as long as it is not shown.
    pub(super) asking: Option<usize>,
}

impl Room<'_> {
    /// Opens what the options need.
    ///
    /// # Errors
    /// When there is no terminal though one is needed, the answers cannot be read, or nobody takes the notes.
    pub(super) fn open(options: &Options) -> Result<Room<'_>> {
        let needs_keys = options.pause || options.answers.is_none();
        let or = if options.pause { "" } else { "; --answers FILE takes the answers from a file" };
        let terminal = needs_keys.then(|| Terminal::open(options.name(), or)).transpose()?;
        let answers = options.answers.as_deref().map(Answers::open).transpose()?;
        let scored = Scored::open(options.score.as_deref())?;
        // Without the factors nobody is asked about the kernel.
        let keeps = options.predict && !options.conditions.sabotage;
        // A score that cannot be kept is an error that is shown, and predictions go on.
        let open_score = || Score::open("inception").inspect_err(|error| complain("inception", error)).ok();
        let score = keeps.then(open_score).flatten();
        let notes = options.notes.as_deref().map(Notes::open).transpose()?;
        Ok(Room { options, terminal, answers, score, scored, notes, asking: None })
    }
}
