//! `inception grade`: the hand-ins of a class, marked.

mod catalogue;
mod class;
mod command;
mod flags;
mod gradescope;
mod hardest;
mod junit;
mod marks;
mod page;
mod read;
mod results;
mod said;
mod table;

pub(crate) use command::Grade;
