//! What can be looked at: `FACT [ARGUMENT]`, as a file writes it.

mod arguments;
mod cgroups;
mod facts;
mod files;
mod form;
mod identity;
mod inside;
mod ipc;
mod kept;
mod kernel;
mod mounts;
mod names;
mod namespaces;
mod network;
mod phrase;
mod privileges;
mod processes;
mod reference;
mod row;
mod sets;
mod table;

pub use facts::Fact;
pub use reference::reference;
pub use row::Reads;
