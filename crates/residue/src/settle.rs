//! The time in which what a run left may still go.

use std::time::{Duration, Instant};

/// What goes late: the kernel ends a network namespace up to 100 ms after its last process, and a cgroup is busy until
/// its dead are waited for. On a machine under load all of it takes longer.
pub const SETTLE: Duration = Duration::from_secs(3);
/// How often is looked: no event reports most of it.
const AGAIN: Duration = Duration::from_millis(20);

/// Looks until nothing is left, or `settle` is over. Gives what is left then, and how long it took to go.
pub fn settled(settle: Duration, mut look: impl FnMut() -> Vec<String>) -> (Vec<String>, Duration) {
    let began = Instant::now();
    loop {
        let left = look();
        let took = began.elapsed();
        if left.is_empty() || took > settle {
            return (left, took);
        }
        std::thread::park_timeout(AGAIN);
    }
}
