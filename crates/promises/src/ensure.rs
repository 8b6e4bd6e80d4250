//! A condition, what is said when it is not met, and how long is waited for one.

use std::time::Duration;

use libtest_mimic::Failed;

/// A machine under load is slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Fails with `complaint` unless `condition` is met.
pub(crate) fn ensure(condition: bool, complaint: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(complaint().into()) }
}
