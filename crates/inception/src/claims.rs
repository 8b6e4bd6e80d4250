//! `inception claims`: every claim with its verdict, and what of the notes it answers.

mod command;
mod coverage;
mod declared;
mod errata;
mod gift;
mod notes;

pub(crate) use command::Claims;
pub(crate) use declared::declared;
