//! The system calls that a program makes, as strace(1) counts them: a process at a time.

use std::collections::{BTreeMap, BTreeSet};

/// A call by its name, and the how manieth of that name in its process.
pub(super) type Call = (String, usize);

/// What a recording by `strace -f` has: the calls of the program itself, and those of any of its processes.
pub(super) fn recorded(recording: &str) -> (Vec<Call>, Vec<Call>) {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let (mut own, mut any) = (Vec::new(), BTreeSet::new());
    let mut first = None;
    for line in recording.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let Some((name, _)) = rest.trim_start().split_once('(') else { continue };
        let is_name = |it: &str| {
            !it.is_empty() && it.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
        };
        if !is_name(name) {
            continue;
        }
        let count = counts.entry((pid, name)).or_default();
        *count += 1;
        // At the first of them it is still strace's.
        if name != "execve" {
            any.insert((name.to_string(), *count));
            if *first.get_or_insert(pid) == pid {
                own.push((name.to_string(), *count));
            }
        }
    }
    (own, any.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_process_and_name() {
        let recording = "7 execve(\"/x\") = 0\n7 openat(AT_FDCWD) = 3\n8 openat(AT_FDCWD) = 3\n7 openat(AT_FDCWD) = 4\n\
                         8  close(3) = 0\n7 <... wait4 resumed>) = 8\n7 +++ exited with 0 +++\n";
        let call = |name: &str, nth| (name.to_string(), nth);
        assert_eq!(
            recorded(recording),
            (
                vec![call("openat", 1), call("openat", 2)],
                vec![call("close", 1), call("openat", 1), call("openat", 2)]
            )
        );
    }
}
