//! `inception exercise lint`: types what an exercise's file says, and compares what the checker says then.

mod command;
mod desk;
mod left;
mod terminal;
mod texts;
mod trial;

pub(crate) use command::Lint;
