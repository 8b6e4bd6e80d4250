//! A learner at work: whose attempts they are, and where they are kept.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use exercise::{Attempt, Exercise, Learner, Open, State, Store};
use nix::unistd::{fchown, geteuid};

use super::library::Library;
use crate::classroom::InvokingUser;

/// Where the attempts of whoever invoked us are; under sudo, of whoever typed sudo.
pub(super) struct Desk {
    pub(super) user: InvokingUser,
    pub(super) store: Store,
}

/// An attempt, and what the log says of it.
pub(super) struct Work {
    pub(super) attempt: Attempt,
    pub(super) open: Open,
}

impl Desk {
    /// Opens the log, or makes it.
    ///
    /// # Errors
    /// In one line, where and why attempts cannot be kept.
    pub(super) fn open() -> Result<Desk> {
        let user = InvokingUser::find()?;
        let root = root(&user)?;
        let store = user.act(|| Store::open(&root))?;
        if geteuid().is_root() && !user.uid.is_root() {
            // Made by the user's own rights, but with a group of root's.
            let _ = fchown(store.log_file(), Some(user.uid), Some(user.gid));
        }
        Ok(Desk { user, store })
    }

    /// The attempts so far; nothing is made.
    ///
    /// # Errors
    /// In one line, where and why they cannot be read.
    pub(super) fn so_far() -> Result<State> {
        let user = InvokingUser::find()?;
        let root = root(&user)?;
        user.act(|| Store::so_far(&root))
    }

    /// The attempt that is open: of the exercise called `name`, else the last one.
    ///
    /// # Errors
    /// In one line, when there is none.
    pub(super) fn work(&self, library: &Library, name: Option<&str>) -> Result<Work> {
        let state = self.store.state()?;
        let open = match name {
            Some(name) => {
                library.named(name)?;
                state.of_exercise(name).with_context(|| {
                    format!("{name} is not begun; begin it: inception exercise start {name}")
                })?
            }
            None => state.open().context(
                "no exercise is begun; inception exercise list shows them, and start NAME begins one",
            )?,
        };
        let exercise = library.named(&open.exercise)?;
        Ok(Work { attempt: self.attempt(&exercise, open)?, open: open.clone() })
    }

    /// The attempt that the log calls `open`.
    ///
    /// # Errors
    /// Where the exercise's text names a value that it does not have.
    pub(super) fn attempt(&self, exercise: &Exercise, open: &Open) -> Result<Attempt> {
        self.user.act(|| self.store.attempt(exercise, open))
    }

    /// Takes away what an attempt made, and says so, a line each.
    ///
    /// # Errors
    /// Where it cannot be told what was there before.
    pub(super) fn clear(&self, attempt: &Attempt) -> Result<Vec<String>> {
        let cleared = exercise::clear(attempt)?;
        let cleared = self.user.act(|| Ok(cleared.without_dir(&attempt.dir)))?;
        let left = cleared.left.into_iter().map(|line| format!("left alone: {line}"));
        Ok(cleared.did.into_iter().chain(left).collect())
    }

    /// Begins the next attempt of an exercise.
    ///
    /// # Errors
    /// In one line, where and why it cannot be kept.
    pub(super) fn begin(&self, exercise: &Exercise, learner: &Learner) -> Result<Attempt> {
        let number = self.store.state()?.next(&exercise.name);
        let dir = self.user.act(|| self.store.make_dir(&exercise.name))?;
        // By the rights of the caller: root reads the processes of others too.
        let attempt = Attempt::begin(exercise, learner, number, &dir)?;
        self.user.act(|| self.store.keep(&attempt))?;
        self.store.log_start(&attempt, learner)?;
        Ok(attempt)
    }
}

fn root(user: &InvokingUser) -> Result<PathBuf> {
    let state = user
        .state()
        .map_err(|_| anyhow!("cannot keep attempts: neither XDG_STATE_HOME nor HOME says where"))?;
    Ok(state.join("inception"))
}
