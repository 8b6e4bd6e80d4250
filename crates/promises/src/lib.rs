//! What every experiment promises, whichever it is: tested by running it and reading its events, as a user would.
//!
//! An experiment's `tests/promises.rs` is one call, of [`kept()`]. Its manifest says `harness = false` there: a test of
//! Rust's own harness cannot say that it was skipped.
//!
//! `experiment` is the program under test, and a run of it as data; `rendered` is such a run as text. `verdicts`, `screen`,
//! `output`, `misuse` and `residue` have what is promised, a function each. `kept` makes a test of each.

mod ensure;
mod experiment;
mod kept;
mod misuse;
mod output;
mod rendered;
mod residue;
mod screen;
mod shell;
mod terminal;
mod verdicts;

pub use kept::kept;
pub use terminal::Terminal;
