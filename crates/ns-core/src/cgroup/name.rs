//! Names that a cgroup may have here.

use std::ffi::OsStr;
use std::fmt;

use crate::error::{Error, Result};

/// The longest name, in bytes. The kernel takes more: as many as a path may have.
const LONGEST: usize = 64;

/// The kernel's files in a cgroup begin with one of these and a dot: `cgroup.procs`, `memory.max`, and so on.
const CONTROLLERS: [&str; 20] = [
    "cgroup",
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "debug",
    "devices",
    "dmem",
    "freezer",
    "hugetlb",
    "io",
    "irq",
    "memory",
    "misc",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
    "rdma",
    "rt",
];

/// Files of cgroup v1 that have no such prefix.
const FILES: [&str; 3] = ["tasks", "notify_on_release", "release_agent"];

/// The checked name of a cgroup: 1 to 64 of `A-Z a-z 0-9 _ . -`, not `.` or `..`, nor like one of the kernel's files.
///
/// The kernel itself takes nearly anything: escape sequences, spaces, bytes that are no UTF-8, and the name of a
/// controller's file while that controller is off (cgroup-v2.rst, "Avoid Name Collisions").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CgroupName(String);

impl CgroupName {
    /// Checks `name`.
    ///
    /// # Errors
    /// [`Error::Input`], on one line: the name, escaped and at most 40 characters of it; the rule; a name to take.
    pub fn new(name: impl AsRef<OsStr>) -> Result<CgroupName> {
        let bytes = name.as_ref().as_encoded_bytes();
        match name.as_ref().to_str() {
            Some(text) if is_allowed(text) => Ok(CgroupName(text.into())),
            _ => Err(Error::Input(format!(
                "cgroup name \"{}\": a name is 1 to {LONGEST} of A-Z a-z 0-9 _ . - and does not begin like the kernel's \
                 files (cgroup. memory. …); take \"{}\"",
                shown(bytes),
                remedy(bytes)
            ))),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CgroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for CgroupName {
    type Err = Error;

    fn from_str(name: &str) -> Result<CgroupName> {
        CgroupName::new(name)
    }
}

fn is_allowed(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len())
        && name.bytes().all(is_allowed_byte)
        && !matches!(name, "." | "..")
        && !is_like_a_file(name)
}

fn is_allowed_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

fn is_like_a_file(name: &str) -> bool {
    let prefix = name.split_once('.').map(|(prefix, _)| prefix);
    prefix.is_some_and(|prefix| CONTROLLERS.contains(&prefix)) || FILES.contains(&name)
}

fn shown(name: &[u8]) -> String {
    let escaped = name.escape_ascii().to_string();
    match escaped.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &escaped[..end]),
        None => escaped,
    }
}

/// The nearest name that is allowed.
fn remedy(name: &[u8]) -> String {
    let kept = name.iter().take(LONGEST).map(|byte| if is_allowed_byte(*byte) { *byte as char } else { '-' });
    let kept: String = kept.collect();
    match kept.as_str() {
        "" | "." | ".." => "lab".into(),
        file if is_like_a_file(file) => {
            file.replacen(['.', '_'], "-", usize::MAX).replace("tasks", "my-tasks")
        }
        _ => kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn ordinary_names_are_taken() {
        for name in ["a", "web-1", "a.b", "...", "-", "memory", "cgroups.old", "x.memory", &"n".repeat(64)] {
            assert_eq!(CgroupName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn hostile_names_are_refused_on_one_line() {
        let long = "x".repeat(4050);
        let names = [
            "",
            ".",
            "..",
            "../../x",
            "a/b",
            "/",
            "a b",
            "a\nb",
            "\u{1b}[2J",
            "memory.max",
            "cgroup.procs",
            "cpu.",
            "tasks",
            "notify_on_release",
            "é",
            "a\0b",
            &long,
        ];
        for name in names {
            let refusal = CgroupName::new(name).unwrap_err().to_string();
            assert!(refusal.len() < 250, "{refusal}");
            assert!(!refusal.bytes().any(|byte| byte.is_ascii_control()), "{refusal:?}");
        }
        assert!(
            CgroupName::new(OsStr::from_bytes(b"\xff\xfe")).unwrap_err().to_string().contains(r"\xff\xfe")
        );
    }

    proptest! {
        #[test]
        fn a_name_is_taken_as_it_is_or_refused_with_one_that_is_taken(name in any::<Vec<u8>>()) {
            match CgroupName::new(OsStr::from_bytes(&name)) {
                Ok(taken) => {
                    prop_assert_eq!(taken.as_str().as_bytes(), name.as_slice());
                    prop_assert!(name.len() <= 64 && !name.contains(&b'/'));
                }
                Err(refusal) => {
                    let refusal = refusal.to_string();
                    prop_assert!(!refusal.bytes().any(|byte| byte.is_ascii_control()));
                    prop_assert!(CgroupName::new(remedy(&name)).is_ok(), "{}", remedy(&name));
                }
            }
        }

        #[test]
        fn a_controller_s_file_is_no_name(
            prefix in proptest::sample::select(&CONTROLLERS[..]),
            rest in "[a-z_.]{0,20}",
        ) {
            let name = format!("{prefix}.{rest}");
            prop_assert!(CgroupName::new(&name).is_err());
            prop_assert!(CgroupName::new(remedy(name.as_bytes())).is_ok());
        }

        #[test]
        fn allowed_characters_are_allowed(name in "[A-Za-z0-9_-]{1,64}") {
            prop_assume!(!FILES.contains(&name.as_str()));
            prop_assert!(CgroupName::new(&name).is_ok());
        }
    }
}
