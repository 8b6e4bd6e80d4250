//! `inception report`: a page that shows what experiments saw, with pictures, from their events alone.

mod accounts;
mod claims;
mod command;
mod evidence;
mod page;
mod pictures;
mod steps;
mod why;

pub(crate) use command::Report;
