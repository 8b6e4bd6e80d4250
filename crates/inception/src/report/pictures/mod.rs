//! Pictures of what was observed: each shows what stands in its table, or in its actors, and nothing else.
//!
//! A picture says in words what it says by colour, and has a title and a description for those who do not see it.

mod bands;
mod clocks;
mod draw;
mod heat;
mod links;
mod namespaces;
mod table;
mod tree;

pub(crate) use draw::{draw, key};
pub(crate) use heat::{Answer, answers};
pub(crate) use namespaces::{KEY as KEY_TO_NAMESPACES, draw as draw_namespaces};
pub(crate) use table::Table;
