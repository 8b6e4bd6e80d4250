//! A program for a person, in namespaces: what it is to be in, how it is opened, and who ends what it leaves.
//!
//! A [`Plan`] is data. It is read twice: by what does it ([`Opening`]), and by what says how to do the same by hand
//! ([`by_hand`]).
//!
//! Four processes take part. The **opener** is what the person has started. It gives away the terminal, takes it back, and
//! ends as the program ends. The **keeper** is its child, outside of all namespaces, in a process group of its own: it
//! ends what is left when the opener or the program is gone. The **attendant** is the keeper's child, in the namespaces: in
//! a new PID namespace it is PID 1. The **program** is its child.

mod attendant;
mod by_hand;
mod change;
mod family;
mod keeper;
mod kinds;
mod limits;
mod maps;
mod mark;
mod opener;
mod opening;
mod plan;
mod program;
mod quoting;
mod target;
mod terminal;

pub use attendant::{Attendant, attend};
pub use by_hand::by_hand;
pub use change::Change;
pub use family::descendants;
pub use kinds::Kinds;
pub use limits::{Bytes, Cpus, Limits, Made};
pub use maps::{Range, Setgroups};
pub use mark::{Mark, Open, opened};
pub use opener::{Ended, hold, innermost};
pub use opening::Opening;
pub use plan::{Identity, Plan, Try};
pub use program::Program;
pub use target::{Target, why_not_entered};
