//! The trace events that Perfetto's viewer reads, which are also Chrome's: JSON objects, each with a phase.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::model::Record;
use crate::sink::Sink;
use crate::timeline::{Lane, lanes};

/// Writes them once there are no more records: a process is known with its end.
pub(crate) struct Perfetto<W> {
    out: W,
    records: Vec<Record>,
}

impl<W> Perfetto<W> {
    pub(crate) fn new(out: W) -> Perfetto<W> {
        Perfetto { out, records: Vec::new() }
    }
}

impl<W: Write> Sink for Perfetto<W> {
    fn take(&mut self, record: &Record) -> io::Result<()> {
        self.records.push(record.clone());
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let events: Vec<Value> = lanes(&self.records).iter().flat_map(events).collect();
        serde_json::to_writer(&mut self.out, &json!({ "traceEvents": events, "displayTimeUnit": "ms" }))?;
        writeln!(self.out)?;
        self.out.flush()
    }
}

/// A process: its name, its life, and each call as long as it took. Times are in microseconds.
fn events(lane: &Lane) -> Vec<Value> {
    let pid = lane.pid;
    let name = match lane.inner {
        Some(inner) => format!("{} [{inner}]", lane.name),
        None => lane.name.clone(),
    };
    let named =
        json!({ "ph": "M", "name": "process_name", "pid": pid, "tid": pid, "args": { "name": name } });
    let life = json!({
        "ph": "X", "cat": "process", "name": name, "pid": pid, "tid": pid,
        "ts": lane.begun, "dur": lane.ended - lane.begun, "args": { "end": lane.end },
    });
    let calls = lane.acts.iter().map(|act| {
        json!({
            "ph": "X", "cat": if act.refused { "refused" } else { "call" }, "name": act.call, "pid": pid,
            "tid": act.tid, "ts": act.at, "dur": act.took.max(1),
            "args": { "what": act.text, "lessons": act.lessons },
        })
    });
    let end = lane
        .end
        .iter()
        .map(|end| json!({ "ph": "i", "s": "p", "name": end, "pid": pid, "tid": pid, "ts": lane.ended }));
    [named, life].into_iter().chain(calls).chain(end).collect()
}
