//! `cargo xtask time`: where the time of a program goes, as samples of its processes and a count of its calls say.

mod account;
mod calls;
mod command;
mod counted;
mod kind;
mod look;
mod measure;
mod plain;
mod report;
mod sampler;

pub(crate) use command::{HELP, Time};
pub(crate) use measure::profile;
pub(crate) use report::{Profile, overview, table};

#[cfg(test)]
pub(crate) use report::tests::profile as example;
