//! Users and groups of a process, outside and inside: credentials(7), user_namespaces(7).

use ns_core::{Kind, Result, idmap, process};
use wake::Subject;

use super::namespaces::is_ours;
use super::row::{Reads, Row};
use crate::seen::Seen;

pub(super) const ROWS: &[Row] = &[
    Row {
        form: "uid map",
        reads: Reads::Text,
        about: "lines of uid_map, `0 1000 1`, joined by `; `; absent while nothing is written",
        source: "user_namespaces(7)",
        says: ["its uid_map is {}", "its uid_map is empty"],
        see: |subject, _| map(subject, "uid_map"),
    },
    Row {
        form: "gid map",
        reads: Reads::Text,
        about: "the same of gid_map",
        source: "user_namespaces(7)",
        says: ["its gid_map is {}", "its gid_map is empty"],
        see: |subject, _| map(subject, "gid_map"),
    },
    Row {
        form: "setgroups",
        reads: Reads::Text,
        about: "`allow` or `deny`",
        source: "user_namespaces(7)",
        says: ["its setgroups file says {}", "it has no setgroups file"],
        see: |subject, _| idmap::read(Some(subject.pid), "setgroups").map(Seen::Text),
    },
    Row {
        form: "uid",
        reads: Reads::Number,
        about: "its effective user ID, as the checker sees it",
        source: "credentials(7)",
        says: ["its user ID is {}", "it has no user ID"],
        see: |subject, _| Ok(number(process::status(Some(subject.pid))?.euid)),
    },
    Row {
        form: "gid",
        reads: Reads::Number,
        about: "its effective group ID, as the checker sees it",
        source: "credentials(7)",
        says: ["its group ID is {}", "it has no group ID"],
        see: |subject, _| Ok(number(process::status(Some(subject.pid))?.egid)),
    },
    Row {
        form: "uid inside",
        reads: Reads::Number,
        about: "its effective user ID in its own user namespace; 65534 where it is not mapped",
        source: "user_namespaces(7)",
        says: ["inside, its user ID is {}", "it has no user ID inside"],
        see: |subject, _| inside(subject, "uid_map", process::status(Some(subject.pid))?.euid),
    },
    Row {
        form: "gid inside",
        reads: Reads::Number,
        about: "its effective group ID in its own user namespace; 65534 where it is not mapped",
        source: "user_namespaces(7)",
        says: ["inside, its group ID is {}", "it has no group ID inside"],
        see: |subject, _| inside(subject, "gid_map", process::status(Some(subject.pid))?.egid),
    },
    Row {
        form: "groups",
        reads: Reads::Set,
        about: "its supplementary group IDs, as the checker sees them",
        source: "credentials(7)",
        says: ["its supplementary groups are {}", "it has no supplementary groups"],
        see: |subject, _| {
            let groups = process::status(Some(subject.pid))?.groups;
            Ok(Seen::Set(groups.iter().map(ToString::to_string).collect()))
        },
    },
];

fn number(id: u32) -> Seen {
    Seen::Number(id.into())
}

fn map(subject: Subject, file: &str) -> Result<Seen> {
    let text = idmap::read(Some(subject.pid), file)?;
    Ok(if text.is_empty() { Seen::Absent } else { Seen::Text(text.replace(", ", "; ")) })
}

/// What `id`, as the caller sees it, is called in the user namespace of `subject`.
fn inside(subject: Subject, file: &str, id: u32) -> Result<Seen> {
    if is_ours(subject, Kind::User)? {
        return Ok(number(id));
    }
    // Opened by a process of another user namespace, the second column counts in that one's (user_namespaces(7)).
    let text = idmap::read(Some(subject.pid), file)?;
    match text.split(", ").find_map(|line| called(line, id)) {
        Some(inside) => Ok(number(inside)),
        None => {
            Ok(number(if file == "uid_map" { idmap::overflow_ids()?.0 } else { idmap::overflow_ids()?.1 }))
        }
    }
}

fn called(line: &str, id: u32) -> Option<u32> {
    let mut fields = line.split(' ').map(|field| field.parse::<u32>().ok());
    let (inside, outside, length) = (fields.next()??, fields.next()??, fields.next()??);
    let offset = id.checked_sub(outside).filter(|offset| *offset < length)?;
    inside.checked_add(offset)
}

#[cfg(test)]
mod tests {
    use super::called;

    #[test]
    fn an_id_is_looked_up_in_its_line() {
        assert_eq!(called("0 1000 1", 1000), Some(0));
        assert_eq!(called("0 1000 1", 1001), None);
        assert_eq!(called("5 100000 65536", 100_007), Some(12));
        assert_eq!(called("0 0 4294967295", 7), Some(7));
        assert_eq!(called("", 7), None);
    }
}
