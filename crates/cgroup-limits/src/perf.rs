//! Kernel events, counted for the members of a cgroup: perf_event_open(2).

use std::os::fd::{BorrowedFd, OwnedFd};

use ns_core::{Error, Named, Result, sys};

/// Counts the page faults of the members of a cgroup, from its creation on.
#[derive(Debug)]
pub(crate) struct PageFaults {
    /// An event of a cgroup counts on one CPU, so each CPU has one.
    events: Vec<OwnedFd>,
}

impl PageFaults {
    /// Begins to count for a cgroup. `cgroup` is its directory, in the hierarchy that has perf_event.
    ///
    /// # Errors
    /// EACCES where /proc/sys/kernel/perf_event_paranoid requires CAP_PERFMON. EBADF for a cgroup of a hierarchy
    /// without perf_event. ENOENT or ENOSYS where the kernel cannot count.
    pub(crate) fn of(cgroup: BorrowedFd<'_>) -> Result<PageFaults> {
        let online = "/sys/devices/system/cpu/online";
        let text = std::fs::read_to_string(online).named(|| format!("cat {online}"))?;
        let cpus = numbers(&text)
            .ok_or_else(|| Error::Unreadable { what: online.into(), message: format!("{text:?}") })?;
        let open = |cpu: i32| {
            sys::count_page_faults(cgroup, cpu)
                .named(|| format!("perf_event_open(PAGE_FAULTS, cgroup, {cpu}, -1, PERF_FLAG_PID_CGROUP)"))
        };
        Ok(PageFaults { events: cpus.into_iter().map(open).collect::<Result<_>>()? })
    }

    /// The number of page faults so far.
    ///
    /// # Errors
    /// Those of read(2).
    pub(crate) fn count(&self) -> Result<u64> {
        let mut sum = 0;
        for event in &self.events {
            let mut number = [0; 8];
            nix::unistd::read(event, &mut number).named(|| "read(event)".into())?;
            sum += u64::from_ne_bytes(number);
        }
        Ok(sum)
    }
}

/// The numbers of a list such as `0-3,8`.
fn numbers(text: &str) -> Option<Vec<i32>> {
    let mut all = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        all.extend(first.parse::<i32>().ok()?..=last.parse().ok()?);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cpus_has_ranges() {
        assert_eq!(numbers("0-1,4,6-7\n"), Some(vec![0, 1, 4, 6, 7]));
        assert_eq!(numbers("0\n"), Some(vec![0]));
        assert_eq!(numbers("all"), None);
    }
}
