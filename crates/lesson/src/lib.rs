//! Claim, judge, show.
//!
//! An [`Experiment`] declares [`Claim`]s about the kernel and runs against a [`Lab`]. Each claim is judged by two
//! arms, without its factor and with it ([`transcript::judge`]). What happens becomes [`transcript::Event`]s, and a
//! renderer turns each event into bytes. A binary's `main` is one line: [`main`].

mod claim;
mod cli;
mod compare;
mod core_claim;
mod driver;
pub mod effect;
mod experiment;
mod hand;
mod help;
mod lab;
mod links;
mod list;
mod locale;
#[cfg(feature = "manual")]
pub mod manual;
mod observation;
mod origin;
mod output;
mod pager;
mod program;
mod refusal;
pub mod render;
mod requirement;
mod settings;
pub mod shell;
pub mod status;
mod steps;
mod tool;
mod turn;
pub mod unmet;
pub mod user;

pub use claim::{Claim, Expect};
pub use cli::EXPLAIN;
pub use compare::{Arms, Begun, Compared};
pub use core_claim::{Answer, Row, right, wrong};
pub use effect::{Effect, every, first, inside, last, outside};
pub use experiment::{Experiment, Step};
pub use hand::{Hand, hand};
pub use help::{Help, complain, is_reader_gone};
pub use lab::Lab;
pub use links::kernel_has_the_links;
pub use observation::Observation;
pub use output::{cast, open};
pub use pager::page;
pub use program::{main, main_with};
pub use requirement::Requirement;
pub use settings::{Color, Format, Look, Screen, Settings, Transcript, require_a_class};
pub use steps::Steps;
pub use tool::arguments;

pub use transcript::{Kernel, Need, Picture};
