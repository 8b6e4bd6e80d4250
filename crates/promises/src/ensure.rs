//! A condition, and what is said when it is not met.

use libtest_mimic::Failed;

/// Fails with `complaint` unless `condition` is met.
pub(crate) fn ensure(condition: bool, complaint: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(complaint().into()) }
}
