//! The files of a cgroup: cgroup.procs, and those of keys and numbers such as memory.events.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ns_core::cgroup::{CgroupName, parse_flat_keyed, parse_pids};
use ns_core::is_deceptive;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    if let Some(pids) = parse_pids(&text) {
        assert!(pids.is_sorted());
        let again: Vec<String> = pids.iter().map(ToString::to_string).collect();
        assert_eq!(parse_pids(&again.join("\n")), Some(pids));
    }
    if let Some(events) = parse_flat_keyed(&text) {
        let again: String = events.iter().map(|(key, number)| format!("{key} {number}\n")).collect();
        assert_eq!(parse_flat_keyed(&again), Some(events));
    }
    if let Err(refusal) = CgroupName::new(&*text) {
        let refusal = refusal.to_string();
        assert!(refusal.len() < 400 && !refusal.chars().any(is_deceptive), "{refusal:?}");
    }
});
