//! Takes the cause away at the lowest level, so that an experiment can prove that it is able to fail.
//!
//! Once [`remove_causes`] was called, no namespace is made or entered for an experiment, no id map, clock offset or
//! limit is written, and nothing joins a cgroup: those calls do nothing and succeed. The [`crate::stage`] that keeps
//! the experiment from the host is not touched. Children inherit the switch.

use std::sync::atomic::{AtomicBool, Ordering};

static ON: AtomicBool = AtomicBool::new(false);

/// From here on, causes are left out.
pub fn remove_causes() {
    ON.store(true, Ordering::Relaxed);
}

/// Whether causes are left out.
pub fn on() -> bool {
    ON.load(Ordering::Relaxed)
}
