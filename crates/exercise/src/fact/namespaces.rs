//! Which namespaces a process is in, and what they belong to: namespaces(7), ioctl_ns(2).

use ns_core::{Kind, NsFile, Result, namespace};
use wake::Subject;

use super::arguments::Arguments;
use super::row::{Reads, Row};
use crate::seen::Seen;

pub(super) const ROWS: &[Row] = &[
    Row {
        form: "namespace KIND",
        reads: Reads::Namespace,
        about: "the namespace of that kind that it is in",
        source: "namespaces(7)",
        says: ["it is in the {1} namespace {}", "it is in no {1} namespace"],
        see: |subject, words| namespace::of_kind(Some(subject.pid), words.kind()?).map(Seen::Namespace),
    },
    Row {
        form: "parent namespace user|pid",
        reads: Reads::Namespace,
        about: "the parent of its user or PID namespace",
        source: "ioctl_ns(2), NS_GET_PARENT",
        says: ["the parent of its {1} namespace is {}", "its {1} namespace has no parent"],
        see: |subject, words| open(subject, words)?.parent()?.id().map(Seen::Namespace),
    },
    Row {
        form: "owner of KIND",
        reads: Reads::Namespace,
        about: "the user namespace that owns its namespace of that kind",
        source: "ioctl_ns(2), NS_GET_USERNS",
        says: ["its {1} namespace is owned by the user namespace {}", "its {1} namespace has no owner"],
        see: |subject, words| open(subject, words)?.owner()?.id().map(Seen::Namespace),
    },
];

fn open(subject: Subject, words: &Arguments) -> Result<NsFile> {
    NsFile::of(Some(subject.pid), words.kind()?)
}

/// Whether the caller and `subject` are in the same namespace of `kind`.
///
/// # Errors
/// As [`namespace::of_kind`].
pub(super) fn is_ours(subject: Subject, kind: Kind) -> Result<bool> {
    Ok(namespace::of_kind(Some(subject.pid), kind)? == namespace::of_kind(None, kind)?)
}
