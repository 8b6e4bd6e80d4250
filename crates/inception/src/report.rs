//! `inception report`: a page that shows what experiments saw, with pictures, from their events alone.

mod accounts;
mod command;
mod page;
mod pictures;
mod steps;

pub(crate) use command::Report;
