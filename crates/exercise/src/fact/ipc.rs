//! What is in the IPC namespace of a process: ipc_namespaces(7).

use ns_core::ipc::{MessageQueue, SysV};
use ns_core::{Errno, Kind, Result};
use wake::Subject;

use super::arguments::Arguments;
use super::form;
use super::inside::inside;
use super::row::{Reads, Row};
use crate::seen::Seen;

pub(super) const ROWS: &[Row] = &[
    Row {
        form: "shm KEY|any",
        reads: Reads::Number,
        about: "how many shared memory segments of that key its IPC namespace has",
        source: "sysvipc(7), shmget(2)",
        says: ["its number of shared memory segments (key {1}) is {}", "it has no shared memory segment"],
        see: |subject, words| objects(subject, words, SysV::Segment),
    },
    Row {
        form: "message queue KEY|any",
        reads: Reads::Number,
        about: "how many System V message queues of that key its IPC namespace has",
        source: "sysvipc(7), msgget(2)",
        says: ["its number of message queues (key {1}) is {}", "it has no message queue"],
        see: |subject, words| objects(subject, words, SysV::Queue),
    },
    Row {
        form: "semaphores KEY|any",
        reads: Reads::Number,
        about: "how many semaphore sets of that key its IPC namespace has",
        source: "sysvipc(7), semget(2)",
        says: ["its number of semaphore sets (key {1}) is {}", "it has no semaphore set"],
        see: |subject, words| objects(subject, words, SysV::Semaphore),
    },
    Row {
        form: "posix queue NAME",
        reads: Reads::Number,
        about: "how many messages wait in the POSIX message queue, whose name begins with a slash; absent where there is none",
        source: "mq_overview(7)",
        says: ["the number of messages in its queue {1} is {}", "it has no queue {1}"],
        see: |subject, words| inside(subject, Kind::Ipc, || messages(words.first())),
    },
];

fn objects(subject: Subject, words: &Arguments, what: SysV) -> Result<Seen> {
    // Of the reader's namespace, whatever process the file is said to be of.
    inside(subject, Kind::Ipc, || {
        let mut keys = what.keys()?;
        if let Some(wanted) = form::key(words.first()) {
            keys.retain(|key| *key == wanted);
        }
        Ok(Seen::Number(keys.len() as f64))
    })
}

fn messages(name: &str) -> Result<Seen> {
    match MessageQueue::open(name) {
        Ok(queue) => Ok(Seen::Number(queue.waiting()? as f64)),
        Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(Seen::Absent),
        Err(error) => Err(error),
    }
}
