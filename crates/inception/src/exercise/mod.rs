//! `inception exercise`: tasks, done with any tool in any shell, that the live kernel checks.

mod check;
mod command;
mod desk;
mod export;
mod hint;
mod learner;
mod library;
mod list;
mod progress;
mod reset;
mod screen;
mod solution;
mod start;
mod watch;

pub(crate) use command::{COMMANDS, Exercise};
pub(crate) use library::Library;
pub(crate) use progress::Progress;
