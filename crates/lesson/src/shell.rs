//! `NAME shell`: a program in an experiment's namespaces, for a person who tries things there.

mod card;
mod command_line;
mod declared;
mod refused;
mod run;

pub use declared::{Options, Shell};
pub use ns_core::cgroup::CgroupName;
pub use shell::{Change, Kinds, Limits, Made, Plan, Range, Setgroups, Target};

pub(crate) use command_line::command;
pub(crate) use run::run;
