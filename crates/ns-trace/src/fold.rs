//! Runs of the same, told as one: a search through PATH, one capability after the other.

use std::collections::BTreeMap;

use crate::model::{Act, Made, Record, What};

/// Records of which some wait, for what comes after them from the same process.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    waiting: BTreeMap<i32, Run>,
}

/// Calls of one process that differ in one word.
#[derive(Debug)]
struct Run {
    first: Record,
    count: usize,
}

impl Fold {
    /// What is to be told, now that this is there.
    pub(crate) fn add(&mut self, record: &Record) -> Vec<Record> {
        let Some(pid) = subject(&record.what) else {
            let mut all = self.rest();
            all.push(record.clone());
            return all;
        };
        let mut told = Vec::new();
        if let Some(run) = self.waiting.get_mut(&pid) {
            if is_same(&run.first.what, &record.what) {
                run.add(record);
                return told;
            }
            told.extend(self.waiting.remove(&pid).map(Run::end));
        }
        if may_begin(&record.what) {
            self.waiting.insert(pid, Run { first: record.clone(), count: 1 });
        } else {
            told.push(record.clone());
        }
        told
    }

    /// What still waits.
    pub(crate) fn rest(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.waiting).into_values().map(Run::end).collect()
    }
}

impl Run {
    fn add(&mut self, record: &Record) {
        self.count += 1;
        let (What::Call(first), What::Call(next)) = (&mut self.first.what, &record.what) else { return };
        const FEW: usize = 3;
        if let (Act::CapabilityLost { capability }, Act::CapabilityLost { capability: next }) =
            (&mut first.act, &next.act)
        {
            if self.count <= FEW {
                *capability += &format!(", {next}");
            }
        }
        first.took += next.took;
    }

    fn end(mut self) -> Record {
        const FEW: usize = 3;
        let more = self.count.saturating_sub(FEW);
        let What::Call(made) = &mut self.first.what else { return self.first };
        match &mut made.act {
            Act::CapabilityLost { capability } if more > 0 => {
                *capability += &format!(" and {more} more");
            }
            Act::Execute { path, .. } if self.count > 1 => {
                *path = format!("{path} (and in {} more directories of its PATH)", self.count - 1);
            }
            _ => {}
        }
        self.first
    }
}

/// Whose record it is.
fn subject(what: &What) -> Option<i32> {
    match what {
        What::Call(made) => Some(made.pid),
        What::End(ended) => Some(ended.pid),
        What::Note { pid, .. } => Some(*pid),
        What::Process(born) => Some(born.child),
        What::Begin(_) | What::Refused { .. } | What::Left { .. } => None,
    }
}

/// Whether more of the same may follow.
fn may_begin(what: &What) -> bool {
    let What::Call(made) = what else { return false };
    match made.act {
        Act::CapabilityLost { .. } => true,
        Act::Execute { .. } => is_not_there(made),
        _ => false,
    }
}

fn is_same(first: &What, next: &What) -> bool {
    let (What::Call(first), What::Call(next)) = (first, next) else { return false };
    let same_answer = first.errno == next.errno && first.tid == next.tid;
    same_answer
        && match (&first.act, &next.act) {
            (Act::CapabilityLost { .. }, Act::CapabilityLost { .. }) => true,
            (Act::Execute { arguments: one, .. }, Act::Execute { arguments: other, .. }) => {
                is_not_there(first) && is_not_there(next) && one == other
            }
            _ => false,
        }
}

fn is_not_there(made: &Made) -> bool {
    made.errno.as_deref() == Some("ENOENT")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(pid: i32, act: Act, errno: Option<&str>) -> Record {
        let what = What::Call(Made {
            pid,
            tid: None,
            name: "sh".into(),
            call: "call".into(),
            result: None,
            errno: errno.map(Into::into),
            took: 1,
            act,
        });
        Record { t: 0, what }
    }

    fn lost(pid: i32, capability: &str) -> Record {
        call(pid, Act::CapabilityLost { capability: capability.into() }, None)
    }

    #[test]
    fn a_run_is_told_when_something_else_follows_of_the_same_process() {
        let mut fold = Fold::default();
        for capability in ["A", "B", "C", "D", "E"] {
            assert_eq!(fold.add(&lost(7, capability)), []);
        }
        let other = call(8, Act::NoNewPrivs, None);
        assert_eq!(fold.add(&other), [other], "another process ends no run");
        let next = call(7, Act::NoNewPrivs, None);
        let told = fold.add(&next);
        assert_eq!(told.len(), 2);
        let What::Call(made) = &told[0].what else { panic!("{told:?}") };
        assert_eq!(made.act, Act::CapabilityLost { capability: "A, B, C and 2 more".into() });
        assert_eq!(told[1], next);
    }

    #[test]
    fn a_search_through_path_is_one_line() {
        let mut fold = Fold::default();
        let run = |path: &str| Act::Execute { path: path.into(), arguments: vec!["true".into()], ambient: 0 };
        for path in ["/a/true", "/b/true", "/c/true"] {
            assert_eq!(fold.add(&call(7, run(path), Some("ENOENT"))), []);
        }
        let told = fold.add(&call(7, run("/d/true"), None));
        let What::Call(made) = &told[0].what else { panic!("{told:?}") };
        assert_eq!(made.act, run("/a/true (and in 2 more directories of its PATH)"));
        assert_eq!((told.len(), fold.rest().len()), (2, 0));
    }
}
