//! Commands that are typed into a shell, and what they print: for the documents' blocks, and for what is done by hand.

// Each of the two test programs uses its part.
#![allow(dead_code)]

pub(crate) mod machine;
pub(crate) mod run;
pub(crate) mod value;
