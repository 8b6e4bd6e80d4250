//! `inception diff`: what several kernels said to the same claims, side by side, and why they differ.

mod command;
mod comparison;
mod data;
mod document;
mod text;
mod transcript;

pub(crate) use command::Diff;
