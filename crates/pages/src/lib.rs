//! Pages and pictures that need no other file, and how a file is written: whole or not at all.

mod canvas;
mod html;
mod target;

pub use canvas::{Anchor, COLOURS, Canvas, Face, LINE, MARGIN, Picture, picture_style, width};
pub use html::{anchor, bare, coded, environment, lines};
pub use target::{Replacement, Target, write_now};
