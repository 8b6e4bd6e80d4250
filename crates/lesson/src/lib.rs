//! Claim, judge, show.
//!
//! An [`Experiment`] declares [`Claim`]s about the kernel and runs against a [`Lab`]. Each claim is judged by two
//! arms, without its cause and with it ([`judge`]). What happens becomes [`Event`]s, and a renderer turns each event
//! into bytes. A binary's `main` is one line: [`main`].

pub mod classroom;
mod cli;
mod event;
mod judge;
mod lab;
#[cfg(feature = "manual")]
pub mod manual;
mod model;
mod need;
mod program;
pub mod render;
pub mod status;

pub use classroom::{NO, YES};
pub use cli::{Color, EXPLAIN, Format, Help, Screen, Settings, Transcript, complain};
pub use event::{Actor, Arm, ClaimHead, Event, Misconception, Picture, SCHEMA, Stage, Tally};
pub use judge::{Verdict, is_expected, judge};
pub use lab::{Lab, Observation, cause};
pub use model::{Claim, Expect, Experiment, Kernel, Step};
pub use need::Need;
pub use program::{main, main_with};
