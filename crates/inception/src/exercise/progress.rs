//! How many exercises are done, for `inception list`.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::desk::Desk;
use super::library::Library;

/// How many exercises there are, and how many are done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Progress {
    /// Those that were done.
    pub(crate) done: usize,
    /// All.
    pub(crate) of: usize,
}

impl Progress {
    /// Of the exercises that each lesson explains, by the experiment's name.
    ///
    /// # Errors
    /// When the exercises or the attempts cannot be read.
    pub(crate) fn by_lesson() -> Result<BTreeMap<String, Progress>> {
        let (exercises, _) = Library::default().all()?;
        let state = Desk::so_far()?;
        let mut lessons: BTreeMap<String, Progress> = BTreeMap::new();
        for exercise in exercises {
            let progress = lessons.entry(exercise.lesson).or_default();
            progress.of += 1;
            progress.done += usize::from(state.is_done(&exercise.name));
        }
        Ok(lessons)
    }

    /// Of several together.
    pub(crate) fn sum(all: impl Iterator<Item = Progress>) -> Progress {
        all.fold(Progress::default(), |sum, it| Progress { done: sum.done + it.done, of: sum.of + it.of })
    }
}
