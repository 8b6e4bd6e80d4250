//! `inception claims --coverage`: which claims judge which sentence of the notes.

mod document;
#[cfg(test)]
mod fixture;
mod judges;
mod show;

pub(crate) use judges::Coverage;
