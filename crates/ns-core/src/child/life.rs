//! The life of a child, from its first instruction to its last.

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::gate::{self, Ours};
use super::{Record, Witness};
use crate::error::Result;
use crate::{deadline, janitor, signals, sys};

/// How a child begins.
pub(super) struct Start {
    /// It dies with its parent.
    pub(super) armed: bool,
    /// Its IDs are mapped by the parent, for which it waits.
    pub(super) mapped: bool,
}

/// Begins it.
pub(super) fn begin(
    label: String,
    tell: OwnedFd,
    gate: OwnedFd,
    start: Start,
    body: impl FnOnce(&mut Witness) -> Result<()>,
) -> ! {
    gate::leave_to_parent();
    janitor::leave_to_parent();
    let gate = Rc::new(Ours::new(gate));
    let witness = Witness { label, tell: Ours::new(tell), gate };
    live(witness, |me| {
        signals::default_all()?;
        if start.armed {
            gate::die_with_parent(&me.gate)?;
        }
        me.write(&Record::Armed)?;
        if start.mapped {
            me.pause()?;
        }
        body(me)
    })
}

/// Runs `life`, and tells why if it breaks off.
pub(super) fn live(mut witness: Witness, life: impl FnOnce(&mut Witness) -> Result<()>) -> ! {
    deadline::in_a_child();
    // A panic is told through the pipe; the terminal belongs to the renderer.
    std::panic::set_hook(Box::new(|_| {}));
    let broken = match catch_unwind(AssertUnwindSafe(|| life(&mut witness))) {
        Ok(Ok(())) => sys::exit_now(0),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            format!("panicked: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?"))
        }
    };
    let _ = witness.write(&Record::Broken(broken));
    sys::exit_now(1)
}
