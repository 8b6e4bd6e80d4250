//! The life of a child, from its first instruction to its last.

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::Reporter;
use super::message::{Broken, Record};
use crate::error::Result;
use crate::namespace::Namespaces;
use crate::tether::{self, ParentOnlyFd};
use crate::{cleanup, deadline, namespace, signals, sys};

/// What a child does.
pub(super) type Body<'a> = Box<dyn FnOnce(&mut Reporter) -> Result<()> + 'a>;

/// How a child begins.
pub(super) struct Start {
    /// It dies with its parent.
    pub(super) armed: bool,
    /// Its IDs are mapped by the parent, for which it waits.
    pub(super) mapped: bool,
    /// The namespaces that were created with it.
    pub(super) namespaces: Namespaces,
}

/// Begins it.
pub(super) fn begin(label: String, reports: OwnedFd, checkpoint: OwnedFd, start: Start, body: Body<'_>) -> ! {
    namespace::has_moved(Namespaces::all());
    namespace::has_left(start.namespaces);
    tether::leave_to_parent();
    cleanup::leave_to_parent();
    let checkpoint = Rc::new(ParentOnlyFd::new(checkpoint));
    let reporter = Reporter { label, reports: ParentOnlyFd::new(reports), checkpoint };
    let life = move |me: &mut Reporter| {
        signals::default_all()?;
        if start.armed {
            tether::die_with_parent(&me.checkpoint)?;
        }
        me.write(&Record::Armed)?;
        if start.mapped {
            me.checkpoint()?;
        }
        body(me)
    };
    live(reporter, Box::new(life))
}

/// Runs `life`, and reports why if it breaks off.
pub(super) fn live(mut reporter: Reporter, life: Body<'_>) -> ! {
    deadline::in_a_child();
    // A panic is reported through the pipe; the terminal belongs to the renderer.
    std::panic::set_hook(Box::new(|_| {}));
    let broken = match catch_unwind(AssertUnwindSafe(|| life(&mut reporter))) {
        Ok(Ok(())) => sys::exit_now(0),
        Ok(Err(error)) => Broken::from(error),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?");
            Broken::because(format!("panicked: {text}"))
        }
    };
    let _ = reporter.write(&Record::Broken(broken));
    sys::exit_now(1)
}
