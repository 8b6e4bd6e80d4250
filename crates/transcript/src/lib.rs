//! What an experiment tells, as data: events, claims and verdicts, and the one reader of them.
//!
//! Nothing here makes a system call. What only reads transcripts, such as a comparison of two kernels, needs no more than
//! this crate. docs/events.md describes the JSON.

mod claim;
mod event;
mod expectation;
mod file;
mod hand;
mod line;
mod picture;
mod reader;
mod run;
mod table;
mod tally;
mod verdict;

pub use claim::{ClaimHead, DeclaredAnswer};
pub use event::{Actor, Arm, Event, Origin, Row, SCHEMA, Sandbox};
pub use expectation::{Expectation, Kernel};
pub use file::{LONGEST_LINE, Runs, next_line};
pub use hand::{About, Hand, Hands, Need};
pub use picture::Picture;
pub use reader::Reader;
pub use run::{Begin, Claim, ClaimResult, End, Run};
pub use table::Table;
pub use tally::Tally;
pub use verdict::{Verdict, judge};
