//! The experiment: it leaves out one ingredient at a time, and shows which way out is open then.

mod commands;
mod container;
mod escapes;
mod files;
mod limits;
mod namespaces;
mod privileges;
mod root;
mod signals;

pub(crate) use commands::Commands;
pub(crate) use escapes::TRY_WAYS_OUT;
pub(crate) use files::{COVER_PROC, LIST_DEVICES};
pub(crate) use limits::{FILL_MEMORY, FORK};
pub(crate) use namespaces::{LEAVE_ONE_OUT, START};
pub(crate) use privileges::{DROP_CAPABILITIES, EXECUTE, NEST, after_execve};
pub(crate) use root::{CLIMB_OUT, LEAVE_A_DESCRIPTOR_OPEN, WRITE_A_FILE};
pub(crate) use signals::STOP;
