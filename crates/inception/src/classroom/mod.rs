//! The classroom: an experiment that goes at people's pace (`--pause`), and asks what they expect (`--predict`).
//!
//! Two processes. This one has the terminal, stays in the namespaces that it was started in, and waits for keys. The
//! other is the experiment, which writes events and, after each step that it announces, waits for a line (`--lockstep`,
//! docs/events.md). So whatever people do while they think (sleep, open a shell, close the window), it is at rest. To
//! run it again is to end it and start another.

mod answers;
mod ask;
mod attend;
mod card;
mod csv;
mod doc;
mod go_on;
mod keys;
mod leaf;
mod line;
mod notes;
mod options;
mod order;
mod page;
mod pause;
mod places;
mod predict;
mod process;
mod question;
mod room;
mod score;
mod scored;
mod shell;
mod terminal;
mod user;
mod vote;
mod walk;
mod watchdog;
mod why;

pub(crate) use attend::one_by_one;
pub(crate) use csv::csv;
pub(crate) use options::Options;
pub(crate) use score::Score;
pub(crate) use user::InvokingUser;
pub(crate) use walk::walk;
pub(crate) use watchdog::as_the_watchdog;
