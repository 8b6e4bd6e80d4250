//! `cargo xtask words`: the words, sentences and terms of what a person reads.

mod command;
mod corpus;
mod difficulty;
mod exercise;
mod fault;
mod forbidden;
mod html;
mod markdown;
mod prose;
mod rust;
mod sentence;
mod shell;
mod terms;

pub(crate) use command::{HELP, Words};
