//! The processes of a story, with what each did and when.

use std::collections::BTreeMap;

use crate::lessons;
use crate::model::{Record, What};
use crate::words;

/// A process, from its first record to its last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lane {
    pub(crate) pid: i32,
    /// Its PID in its own PID namespace, where that is another.
    pub(crate) inner: Option<i32>,
    pub(crate) name: String,
    /// How deep it stands in the tree of processes.
    pub(crate) depth: usize,
    /// In microseconds.
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    /// How it ended, in words.
    pub(crate) end: Option<String>,
    pub(crate) acts: Vec<Mark>,
}

/// Something that a process did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    pub(crate) at: u64,
    pub(crate) took: u64,
    /// The thread.
    pub(crate) tid: i32,
    pub(crate) call: String,
    pub(crate) text: String,
    pub(crate) refused: bool,
    pub(crate) lessons: Vec<String>,
}

/// The processes of a story: each before those that it created.
pub(crate) fn lanes(records: &[Record]) -> Vec<Lane> {
    let end = records.iter().map(|record| record.t).max().unwrap_or(0);
    let mut lanes: BTreeMap<i32, Lane> = BTreeMap::new();
    let mut parents: BTreeMap<i32, i32> = BTreeMap::new();
    for record in records {
        let t = record.t;
        let new = |pid, name: &str, inner| Lane {
            pid,
            inner,
            name: name.into(),
            depth: 0,
            begun: t,
            ended: end,
            end: None,
            acts: Vec::new(),
        };
        match &record.what {
            What::Begin(begun) => {
                let name = begun.command.first().map_or("", String::as_str);
                lanes.insert(begun.pid, new(begun.pid, name, None));
            }
            What::Process(born) => {
                lanes.insert(born.child, new(born.child, &born.name, born.inside.last().copied()));
                parents.insert(born.child, born.pid);
            }
            What::Call(made) => {
                let lane = lanes.entry(made.pid).or_insert_with(|| new(made.pid, &made.name, None));
                lane.name.clone_from(&made.name);
                lane.acts.push(Mark {
                    at: t,
                    took: made.took,
                    tid: made.tid.unwrap_or(made.pid),
                    call: made.call.clone(),
                    text: words::sentence(made),
                    refused: made.errno.is_some(),
                    lessons: lessons::of(&made.act),
                });
            }
            What::End(ended) => {
                if let Some(lane) = lanes.get_mut(&ended.pid) {
                    (lane.ended, lane.end) = (t, Some(words::ending(ended)));
                }
            }
            What::Note { .. } | What::Refused { .. } | What::Left { .. } => {}
        }
    }
    in_order(&mut lanes, &parents)
}

/// Those without a known creator first, and below each what it created.
fn in_order(lanes: &mut BTreeMap<i32, Lane>, parents: &BTreeMap<i32, i32>) -> Vec<Lane> {
    let roots: Vec<i32> = lanes
        .keys()
        .copied()
        .filter(|pid| parents.get(pid).is_none_or(|parent| !lanes.contains_key(parent)))
        .collect();
    let mut ahead: Vec<(i32, usize)> = roots.into_iter().rev().map(|pid| (pid, 0)).collect();
    let mut ordered = Vec::new();
    while let Some((pid, depth)) = ahead.pop() {
        let Some(mut lane) = lanes.remove(&pid) else { continue };
        lane.depth = depth;
        ordered.push(lane);
        let children = parents.iter().rev().filter(|(_, parent)| **parent == pid);
        ahead.extend(children.map(|(child, _)| (*child, depth + 1)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Begin, Born, Ended};

    #[test]
    fn a_process_stands_before_those_that_it_created() {
        let begun = Begin { schema: 1, command: vec!["x".into()], pid: 5, filter: true, no_new_privs: false };
        let born = |pid, child| What::Process(Born { pid, child, inside: Vec::new(), name: "x".into() });
        let records = [
            Record { t: 0, what: What::Begin(begun) },
            Record { t: 1, what: born(5, 9) },
            Record { t: 2, what: born(9, 3) },
            Record { t: 3, what: born(5, 7) },
            Record { t: 8, what: What::End(Ended { pid: 5, status: Some(0), signal: None }) },
        ];
        let lanes: Vec<_> = lanes(&records).iter().map(|lane| (lane.pid, lane.depth, lane.ended)).collect();
        assert_eq!(lanes, [(5, 0, 8), (7, 1, 8), (9, 1, 8), (3, 2, 8)]);
    }
}
