//! Exercises: the learner brings the machine into a state, and the checker looks at the live kernel.
//!
//! An exercise is one TOML file ([`Exercise`]). What it asks of the machine are *requirements*, each a [`Fact`] and what
//! it must read ([`Expect`]). An [`Attempt`] is an exercise with one learner's values, begun at one moment
//! ([`Snapshot`]). [`Attempt::look`] reads the machine, and says of each requirement whether it is met, in a sentence.

mod assign;
mod attempt;
mod candidate;
mod event;
mod expect;
mod fact;
mod family;
mod fault;
mod file;
mod look;
mod model;
mod need;
mod owned;
mod process;
mod reset;
mod scalar;
mod seed;
mod seen;
mod sentence;
mod shape;
mod snapshot;
mod state;
mod store;
mod trace;
mod values;
mod view;
mod words;

pub use attempt::{Attempt, Learner};
pub use event::{Event, Logged};
pub use expect::{Expect, Then};
pub use fact::{Fact, Reads, reference};
pub use fault::Fault;
pub use look::{Judged, Look};
pub use model::{Exercise, Handout, NearMiss, Requirement};
pub use need::Need;
pub use reset::{Cleared, clear};
pub use scalar::Scalar;
pub use seed::Seed;
pub use seen::Seen;
pub use snapshot::Snapshot;
pub use state::{Open, State};
pub use store::Store;
pub use trace::Trace;
pub use values::{Draw, Values};
pub use wake::{Subject, Wake, Woken};
