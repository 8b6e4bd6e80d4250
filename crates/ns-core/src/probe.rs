//! What this machine can be asked, found out by asking it.

mod caller;
mod cause;
mod chrooted;
mod expendable;
mod namespaces;
mod room;

pub use caller::{capability, program, untraced};
pub use cause::{cause, deprived_of, hides_processes, why_refused};
pub use chrooted::is_chrooted;
pub use expendable::{require, throw_away};
pub use namespaces::{kind, sandbox, sysfs};
pub use room::{memory, processes};

pub use crate::unmet::{Because, Elsewhere, NoParent, Unmet};
