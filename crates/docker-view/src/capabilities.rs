//! Capabilities by their names.

use ns_core::Capability;

/// Docker's default set: 14 of 41 capabilities.
pub(crate) const DOCKER_DEFAULT: u64 = 0xa804_25fb;

/// Every capability that this kernel knows. /proc/sys/kernel/cap_last_cap has the last number (capabilities(7)).
pub(crate) fn known() -> u64 {
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok();
    let last: u32 = last.and_then(|text| text.trim().parse().ok()).unwrap_or(40);
    u64::MAX >> (63 - last)
}

/// Capabilities by their names, as `docker run --cap-add` takes them.
pub(crate) fn named(set: u64) -> String {
    let mut all: Vec<Capability> = caps::all().into_iter().collect();
    all.sort_by_key(Capability::index);
    all.retain(|capability| known() & (1 << capability.index()) != 0);
    let short = |capability: &&Capability| capability.to_string().trim_start_matches("CAP_").to_string();
    let (has, lacks): (Vec<_>, Vec<_>) =
        all.iter().partition(|capability| set & (1 << capability.index()) != 0);
    let names = |list: &[&Capability]| list.iter().map(short).collect::<Vec<_>>().join(" ");
    match (has.len(), lacks.len()) {
        (0, _) => "none".into(),
        (all, 0) => format!("all {all}"),
        (_, few) if few <= 4 => format!("all but {}", names(&lacks)),
        (some, _) => format!("{some}: {}", names(&has)),
    }
}

/// Like [`named`], as a difference from Docker's default where that is shorter.
pub(crate) fn in_short(set: u64) -> String {
    let (more, fewer) = (set & !DOCKER_DEFAULT, DOCKER_DEFAULT & !set);
    let names = |set: u64| named(set).split_once(": ").map(|(_, names)| names.to_string());
    match (more.count_ones(), fewer.count_ones()) {
        (0, 0) => "Docker's 14".into(),
        (1..=6, 0) => format!("Docker's 14 and {}", names(more).unwrap_or_default()),
        (0, 1..=6) => format!("Docker's 14 without {}", names(fewer).unwrap_or_default()),
        _ => named(set),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_read_as_docker_takes_them() {
        assert_eq!(named(0), "none");
        assert_eq!(named(0b1_0000_0001), "2: CHOWN SETPCAP");
        assert!(named(u64::MAX).starts_with("all "));
        assert_eq!(named(!(1 << 24)), "all but SYS_RESOURCE");
        assert_eq!(in_short(DOCKER_DEFAULT), "Docker's 14");
        assert_eq!(in_short(DOCKER_DEFAULT | 1 << 21), "Docker's 14 and SYS_ADMIN");
        assert_eq!(in_short(DOCKER_DEFAULT & !1), "Docker's 14 without CHOWN");
    }
}
