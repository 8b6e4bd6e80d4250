//! User and group ID maps of user namespaces: /proc/PID/uid_map, gid_map and setgroups.
//!
//! user_namespaces(7), "User and group ID mappings".

use std::fmt;
use std::io::Write;

use nix::unistd::Pid;

use crate::error::{Error, Named, Result};
use crate::files;

/// The kernel takes at most this many lines (Linux 4.15; five before).
pub const MOST_EXTENTS: usize = 340;

/// One line of a map: `length` IDs, from `inside` on, stand for those from `outside` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The first ID in the user namespace.
    pub inside: u32,
    /// The first ID in the user namespace of the process that opened the file (usually the parent namespace).
    pub outside: u32,
    /// How many.
    pub length: u32,
}

impl Extent {
    /// One ID: `outside` is called `inside` there.
    pub const fn one(inside: u32, outside: u32) -> Extent {
        Extent { inside, outside, length: 1 }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.inside, self.outside, self.length)
    }
}

/// A whole map. The kernel's EINVAL does not say which line it dislikes, so [`IdMap::new`] looks first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap(Vec<Extent>);

impl IdMap {
    /// A map of these extents.
    ///
    /// # Errors
    /// [`Error::Input`], which names the line: no line at all, more than [`MOST_EXTENTS`], a length of zero, IDs past
    /// 2³²−2, or two lines that overlap on one side.
    pub fn new(extents: Vec<Extent>) -> Result<IdMap> {
        let refuse = |line: usize, why: &str| Err(Error::Input(format!("id map, line {}: {why}", line + 1)));
        if extents.is_empty() || extents.len() > MOST_EXTENTS {
            let found = extents.len();
            return Err(Error::Input(format!(
                "id map: {found} lines, but the kernel takes 1 to {MOST_EXTENTS}"
            )));
        }
        for (at, extent) in extents.iter().enumerate() {
            let Extent { inside, outside, length } = *extent;
            if length == 0 {
                return refuse(at, &format!("'{extent}': a length of 0 maps nothing"));
            }
            // The ID 2³²−1 stands for "no ID" (setresuid(2)), so no range may reach it.
            if u64::from(inside) + u64::from(length) > u64::from(u32::MAX)
                || u64::from(outside) + u64::from(length) > u64::from(u32::MAX)
            {
                return refuse(at, &format!("'{extent}' reaches past the last ID, 4294967294"));
            }
            for (earlier, other) in extents[..at].iter().enumerate() {
                let overlap = |a: u32, b: u32| {
                    u64::from(a) < u64::from(b) + u64::from(other.length)
                        && u64::from(b) < u64::from(a) + u64::from(length)
                };
                if overlap(inside, other.inside) || overlap(outside, other.outside) {
                    return refuse(at, &format!("'{extent}' overlaps line {}, '{other}'", earlier + 1));
                }
            }
        }
        Ok(IdMap(extents))
    }

    /// A map of one ID: `outside` is called `inside` there.
    pub fn one(inside: u32, outside: u32) -> IdMap {
        IdMap(vec![Extent::one(inside, outside)])
    }
}

impl fmt::Display for IdMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|extent| writeln!(f, "{extent}"))
    }
}

/// Both maps of a user namespace, and whether setgroups(2) is denied in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMaps {
    /// For user IDs.
    pub users: IdMap,
    /// For group IDs.
    pub groups: IdMap,
    /// Writes `deny` to setgroups first, as an unprivileged writer of gid_map must.
    pub deny_setgroups: bool,
}

impl IdMaps {
    /// What an unprivileged process may map: its own user `uid` and group `gid`, here called `inside`.
    pub fn own(inside: u32, uid: u32, gid: u32) -> IdMaps {
        IdMaps { users: IdMap::one(inside, uid), groups: IdMap::one(inside, gid), deny_setgroups: true }
    }

    /// Writes setgroups (if it is to be denied), uid_map and gid_map, for `process` or (`None`) the caller.
    ///
    /// # Errors
    /// As [`write_uid_map`].
    pub fn write_for(&self, process: Option<Pid>) -> Result<()> {
        if self.deny_setgroups {
            write(process, "setgroups", "deny")?;
        }
        write(process, "uid_map", &self.users.to_string())?;
        write(process, "gid_map", &self.groups.to_string())
    }
}

/// Writes `text` to the uid_map of `process` or (`None`) of the caller, as it stands and by one write(2).
///
/// # Errors
/// EPERM where the writer may not map so, or on a second write; EINVAL where the text is no map.
pub fn write_uid_map(process: Option<Pid>, text: &str) -> Result<()> {
    write(process, "uid_map", text)
}

/// Writes `text` to the gid_map of `process` or (`None`) of the caller, as it stands and by one write(2).
///
/// # Errors
/// As [`write_uid_map`]; EPERM too where an unprivileged writer has not denied setgroups before.
pub fn write_gid_map(process: Option<Pid>, text: &str) -> Result<()> {
    write(process, "gid_map", text)
}

/// Writes `text` (`deny` or `allow`) to the setgroups file of `process` or (`None`) of the caller.
///
/// # Errors
/// EPERM once gid_map is written, or for `allow` after `deny`; EINVAL for other words.
pub fn write_setgroups(process: Option<Pid>, text: &str) -> Result<()> {
    write(process, "setgroups", text)
}

/// Reads uid_map, gid_map or setgroups of `process` or (`None`) of the caller: fields one blank apart, lines by `, `.
///
/// What uid_map's second column says depends on the user namespace of who opens it.
///
/// # Errors
/// ENOENT when there is no such process or file.
pub fn read(process: Option<Pid>, file: &str) -> Result<String> {
    let path = files::of(process, file);
    let text = std::fs::read_to_string(&path).named(|| format!("read(\"{path}\")"))?;
    let lines: Vec<_> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    Ok(lines.join(", "))
}

/// The IDs that stand for whatever is not mapped: (/proc/sys/kernel/overflowuid, overflowgid).
///
/// # Errors
/// When /proc is no procfs.
pub fn overflow_ids() -> Result<(u32, u32)> {
    let number = |file: &str| files::number(&format!("/proc/sys/kernel/{file}"));
    Ok((number("overflowuid")?, number("overflowgid")?))
}

fn write(process: Option<Pid>, file: &str, text: &str) -> Result<()> {
    let path = files::of(process, file);
    let as_typed = || format!("echo '{}' > {path}", shorten(text));
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).named(as_typed)?;
    // One call: the kernel takes a map whole or not at all.
    let written = file.write(text.as_bytes()).named(as_typed)?;
    if written == text.len() {
        Ok(())
    } else {
        Err(Error::Unreadable {
            what: as_typed(),
            message: format!("took {written} of {} bytes", text.len()),
        })
    }
}

fn shorten(text: &str) -> String {
    let line = text.trim_end().replace('\n', "\\n");
    if line.len() <= 40 { line } else { format!("{}…", line.chars().take(39).collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(extents: &[(u32, u32, u32)]) -> String {
        let extents =
            extents.iter().map(|&(inside, outside, length)| Extent { inside, outside, length }).collect();
        IdMap::new(extents).unwrap_err().to_string()
    }

    #[test]
    fn a_map_reads_as_the_kernel_takes_it() {
        let map =
            IdMap::new(vec![Extent::one(0, 1000), Extent { inside: 1, outside: 100_000, length: 65_536 }]);
        assert_eq!(map.unwrap().to_string(), "0 1000 1\n1 100000 65536\n");
    }

    #[test]
    fn a_refusal_names_the_line() {
        assert!(refusal(&[]).contains("0 lines"));
        assert!(refusal(&[(0, 0, 0)]).contains("line 1"));
        assert!(refusal(&[(0, 0, 1), (0, 5, 1)]).contains("line 2: '0 5 1' overlaps line 1"));
        assert!(refusal(&[(0, 5, 2), (9, 6, 1)]).contains("line 2"));
        assert!(refusal(&[(4_294_967_294, 0, 2)]).contains("past the last ID"));
        assert!(refusal(&vec![(0, 0, 1); 341]).contains("341 lines"));
    }

    proptest! {
        #[test]
        fn what_is_taken_maps_no_id_twice(extents in proptest::collection::vec((0_u32..40, 0_u32..40, 1_u32..8), 1..8)) {
            let extents: Vec<_> =
                extents.into_iter().map(|(inside, outside, length)| Extent { inside, outside, length }).collect();
            let mut twice = false;
            for side in [|e: &Extent| e.inside, |e: &Extent| e.outside] {
                let mut seen = std::collections::HashSet::new();
                for extent in &extents {
                    twice |= (0..extent.length).any(|n| !seen.insert(side(extent) + n));
                }
            }
            prop_assert_eq!(IdMap::new(extents).is_err(), twice);
        }
    }
}
