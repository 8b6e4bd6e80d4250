//! /proc/PID/mountinfo and /proc/PID/cgroup, one behind the other with a line `--` between.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ns_core::cgroup::{Layout, Membership};
use ns_core::mount::mountinfo;

fuzz_target!(|data: &[u8]| {
    let (mounts, cgroups) = match data.windows(4).position(|it| it == b"\n--\n") {
        Some(at) => (&data[..at + 1], &data[at + 4..]),
        None => (data, data),
    };
    let lines = mounts.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    assert_eq!(mountinfo::parse(mounts).len(), lines, "each line is a mount, or is named");
    let cgroups = String::from_utf8_lossy(cgroups);
    let _ = Layout::parse(mounts, &cgroups).to_string();
    for line in cgroups.lines() {
        if let Some(own) = Membership::parse(line) {
            assert!(line.ends_with(&format!("{}:{}", own.controllers, own.path)));
        }
    }
});
