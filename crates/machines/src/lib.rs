//! Machines that are hostile to experiments, each made by a small function in a process that then becomes the experiment.
//!
//! What is promised of an experiment on any machine. Each claim has a verdict as expected, or is skipped with its cause
//! and a remedy. It does not break off, hang or panic, and leaves nothing. `prepare` has what is done to a process,
//! `calls` the system calls that are refused in turn, and `hidden` a kernel without a kind of namespace. `machine` has
//! what a machine is, `make` how it is written down, `people` those that people have, and `table` all of them.
//! `experiment` has one run on one of them, and `left` the cgroups that machines are made of.

mod calls;
mod experiment;
mod hidden;
mod left;
mod machine;
mod make;
mod people;
mod prepare;
mod row;
mod table;

pub use experiment::{Ran, Skip, diagnose, output, run};
pub use left::sweep;
pub use machine::{BECOME, Machine, become_machine};
pub use row::Row;
pub use table::machines;
