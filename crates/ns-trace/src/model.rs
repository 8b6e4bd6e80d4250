//! What is reported: records, one for each thing that happened. They are also the lines of `--format jsonl`, so a kept file can
//! be told again.

use serde::{Deserialize, Serialize};

/// The number of the form of the records. A field that goes, or means something else, raises it.
pub(crate) const SCHEMA: u32 = 1;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// When, in microseconds since the tracing began.
    pub(crate) t: u64,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum What {
    /// The tracing begins.
    Begin(Begin),
    /// The tracing cannot begin.
    Refused { call: String, errno: String },
    /// A process was created.
    Process(Born),
    /// A call was made.
    Call(Made),
    /// A process ended.
    End(Ended),
    /// Something about a process that a reader should know.
    Note { pid: i32, text: String },
    /// No more is reported: all ended, or those that are left go on.
    Left { processes: usize },
}

/// How the tracing begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Begin {
    pub(crate) schema: u32,
    /// The program and its arguments; nothing where a process was attached to.
    pub(crate) command: Vec<String>,
    pub(crate) pid: i32,
    /// Whether a filter stops the calls that are reported; else every call stops.
    pub(crate) filter: bool,
    /// Whether no_new_privs had to be set for it.
    pub(crate) no_new_privs: bool,
}

/// A process that was created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Born {
    /// Its creator.
    pub(crate) pid: i32,
    pub(crate) child: i32,
    /// Its PID in each PID namespace below ours that it is in, the last its own; nothing if it is in ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) inside: Vec<i32>,
    /// The name of the program that it runs.
    pub(crate) name: String,
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) pid: i32,
    /// The thread, where it is not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tid: Option<i32>,
    /// The name of the program.
    pub(crate) name: String,
    /// As the manual pages call it.
    pub(crate) call: String,
    /// What it returned, if the kernel did what was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<i64>,
    /// The name of the errno, if not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) errno: Option<String>,
    /// How long it took, in microseconds.
    pub(crate) took: u64,
    #[serde(flatten)]
    pub(crate) act: Act,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) pid: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<i32>,
    /// The number of the signal that killed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signal: Option<i32>,
}

/// What a call does, with what it was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "kebab-case")]
pub(crate) enum Act {
    /// unshare(2).
    Unshare {
        namespaces: Vec<String>,
        flags: Vec<String>,
    },
    /// clone(2) or clone3(2), with namespaces.
    Clone {
        namespaces: Vec<String>,
        flags: Vec<String>,
    },
    /// setns(2): what the descriptor is, and which kinds were asked for.
    Setns {
        namespaces: Vec<String>,
        of: String,
    },
    Mount {
        source: String,
        target: String,
        fs: String,
        flags: Vec<String>,
        data: String,
    },
    Umount {
        target: String,
        flags: Vec<String>,
    },
    PivotRoot {
        new_root: String,
        put_old: String,
    },
    Chroot {
        path: String,
    },
    Fsopen {
        fs: String,
    },
    Fspick {
        path: String,
    },
    Fsconfig {
        key: String,
        value: String,
        create: bool,
    },
    Fsmount {
        flags: Vec<String>,
    },
    OpenTree {
        path: String,
        flags: Vec<String>,
    },
    MoveMount {
        from: String,
        to: String,
    },
    MountSetattr {
        path: String,
        set: Vec<String>,
        clear: Vec<String>,
        propagation: Vec<String>,
        recursive: bool,
    },
    /// A write to an ID map or to setgroups of a process.
    IdMap {
        file: String,
        of: String,
        text: String,
    },
    /// A write to a file of a cgroup.
    Cgroup {
        file: String,
        path: String,
        text: String,
    },
    CgroupMake {
        path: String,
    },
    CgroupRemove {
        path: String,
    },
    /// A write to another file of procfs.
    Proc {
        path: String,
        text: String,
    },
    /// Messages to the kernel by netlink(7).
    Netlink {
        family: String,
        messages: Vec<Message>,
    },
    /// The kernel refuses one of them.
    NetlinkRefused {
        family: String,
    },
    /// Capability sets, as masks.
    Capset {
        of: i32,
        effective: u64,
        permitted: u64,
        inheritable: u64,
    },
    CapabilityLost {
        capability: String,
    },
    AmbientCleared,
    NoNewPrivs,
    SecureBits {
        bits: Vec<String>,
    },
    /// A seccomp filter, or strict mode.
    Seccomp {
        mode: String,
        instructions: u16,
        flags: Vec<String>,
    },
    Hostname {
        hostname: String,
    },
    DomainName {
        domain: String,
    },
    /// User or group IDs; what stays as it is, is -1.
    Ids {
        group: bool,
        ids: Vec<i64>,
    },
    Groups {
        count: u64,
        groups: Vec<u32>,
    },
    /// execve(2), and the ambient capabilities with which the program begins, as a mask.
    Execute {
        path: String,
        arguments: Vec<String>,
        #[serde(default, skip_serializing_if = "is_none")]
        ambient: u64,
    },
}

/// Whether a mask has no bit.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(mask: &u64) -> bool {
    *mask == 0
}

/// A message by netlink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// Its type, such as RTM_NEWLINK.
    pub(crate) kind: String,
    /// What it asks for, in words.
    pub(crate) text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of a call and of what it does stand in one object, so no name may stand for two.
    #[test]
    fn every_act_is_read_back_as_it_was() {
        let text = || "text".to_string();
        let list = || vec!["a".to_string(), "b".to_string()];
        let acts = [
            Act::Unshare { namespaces: list(), flags: list() },
            Act::Clone { namespaces: list(), flags: list() },
            Act::Setns { namespaces: list(), of: text() },
            Act::Mount { source: text(), target: text(), fs: text(), flags: list(), data: text() },
            Act::Umount { target: text(), flags: list() },
            Act::PivotRoot { new_root: text(), put_old: text() },
            Act::Chroot { path: text() },
            Act::Fsopen { fs: text() },
            Act::Fspick { path: text() },
            Act::Fsconfig { key: text(), value: text(), create: true },
            Act::Fsmount { flags: list() },
            Act::OpenTree { path: text(), flags: list() },
            Act::MoveMount { from: text(), to: text() },
            Act::MountSetattr {
                path: text(),
                set: list(),
                clear: list(),
                propagation: list(),
                recursive: true,
            },
            Act::IdMap { file: text(), of: text(), text: text() },
            Act::Cgroup { file: text(), path: text(), text: text() },
            Act::CgroupMake { path: text() },
            Act::CgroupRemove { path: text() },
            Act::Proc { path: text(), text: text() },
            Act::Netlink { family: text(), messages: vec![Message { kind: text(), text: text() }] },
            Act::NetlinkRefused { family: text() },
            Act::Capset { of: 0, effective: u64::MAX, permitted: 1, inheritable: 0 },
            Act::CapabilityLost { capability: text() },
            Act::AmbientCleared,
            Act::NoNewPrivs,
            Act::SecureBits { bits: list() },
            Act::Seccomp { mode: text(), instructions: 9, flags: list() },
            Act::Hostname { hostname: text() },
            Act::DomainName { domain: text() },
            Act::Ids { group: true, ids: vec![-1, 0, 1] },
            Act::Groups { count: 1, groups: vec![1] },
            Act::Execute { path: text(), arguments: list(), ambient: 1 << 40 },
            Act::Execute { path: text(), arguments: list(), ambient: 0 },
        ];
        for act in acts {
            let what = What::Call(Made {
                pid: 1,
                tid: Some(2),
                name: "name".into(),
                call: "call".into(),
                result: Some(3),
                errno: Some("EPERM".into()),
                took: 4,
                act,
            });
            let record = Record { t: 5, what };
            let line = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record, "{line}");
        }
    }
}
