//! Masks of the kernel as sets of names.

use std::collections::BTreeSet;

use ns_core::{Signal, capabilities};

/// The names of the capabilities in a mask, as capabilities(7) has them. One that is newer than this program
/// has no name yet, and is left out.
pub(super) fn capabilities_in(mask: u64) -> BTreeSet<String> {
    bits(mask).filter_map(capabilities::named).map(|capability| capability.to_string()).collect()
}

/// Every capability that this kernel has.
pub(super) fn all_capabilities() -> BTreeSet<String> {
    capabilities_in(capabilities::all().unwrap_or_default())
}

/// The first real-time signal that programs may use: the C library keeps 32 and 33 for itself (signal(7)).
const SIGRTMIN: i32 = 34;

/// The names of the signals in a mask of proc_pid_status(5), in which signal N has the bit N-1. Those that the C library
/// keeps for itself are left out.
pub(super) fn signals_in(mask: u64) -> BTreeSet<String> {
    let name = |number: i32| match Signal::try_from(number) {
        Ok(signal) => Some(signal.as_str().into()),
        Err(_) => (number >= SIGRTMIN).then(|| match number - SIGRTMIN {
            0 => "SIGRTMIN".into(),
            more => format!("SIGRTMIN+{more}"),
        }),
    };
    bits(mask).filter_map(|bit| name(bit as i32 + 1)).collect()
}

fn bits(mask: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS).filter(move |bit| mask & 1 << bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(set: &BTreeSet<String>) -> Vec<&str> {
        set.iter().map(String::as_str).collect()
    }

    #[test]
    fn a_mask_is_read_from_its_lowest_bit() {
        assert_eq!(names(&capabilities_in(1 | 1 << 21)), ["CAP_CHOWN", "CAP_SYS_ADMIN"]);
        assert_eq!(names(&signals_in(1 | 1 << 14)), ["SIGHUP", "SIGTERM"]);
        assert_eq!(names(&signals_in(0b1111 << 31)), ["SIGRTMIN", "SIGRTMIN+1"]);
        assert!(capabilities_in(0).is_empty() && signals_in(0).is_empty());
    }
}
