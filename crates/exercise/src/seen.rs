//! What a fact reads.

use std::collections::BTreeSet;

use observation::NsId;

/// What was read of a process, or of the machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// One piece of text: a hostname, an ID map.
    Text(String),
    /// A number: bytes, processes, seconds, CPUs.
    Number(f64),
    /// Yes or no.
    Flag(bool),
    /// Words without an order: capabilities, signals, addresses.
    Set(BTreeSet<String>),
    /// A namespace.
    Namespace(NsId),
    /// There is none: no such mount, no limit, no file.
    Absent,
    /// The kernel refuses to say: the call and its errno, in a sentence.
    Unreadable(String),
}

impl Seen {
    /// What a kernel file says: a number where it is one, else text without blanks at its ends.
    pub(crate) fn text_or_number(text: impl AsRef<str>) -> Seen {
        let text = text.as_ref().trim();
        match text.parse::<i64>() {
            Ok(number) => Seen::Number(number as f64),
            Err(_) => Seen::Text(text.into()),
        }
    }
}
