//! The other files of /proc: status, timens_offsets, the links of ns/, and the kernel's release.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ns_core::{clock, namespace, process, uts};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let _ = process::parse_status(&text);
    if let Ok((monotonic, boottime)) = clock::parse_offsets(&text) {
        let again = format!("monotonic {monotonic} 0\nboottime {boottime} 0\n");
        assert_eq!(clock::parse_offsets(&again), Ok((monotonic, boottime)));
    }
    if let Some((kind, ino)) = namespace::parse_link(&text) {
        assert_eq!(namespace::parse_link(&format!("{kind}:[{ino}]")), Some((kind, ino)));
    }
    let _ = uts::parse_version(&text);
    let _ = uts::check_name(&text);
});
