//! The driver's manual pages and completions (feature `manual`), a page of section 7 for each doc, and one of section 5
//! for the files of exercises.

mod pages;
mod setter;
mod write;

pub(crate) use write::write;
