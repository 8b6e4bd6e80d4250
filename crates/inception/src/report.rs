//! `inception report`: a page that shows what experiments saw, with pictures, from their events alone.

mod accounts;
mod command;
mod page;
mod pictures;
mod steps;
mod target;

pub(crate) use command::Report;
