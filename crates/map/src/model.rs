//! What a map has on it: namespaces, who is in them, what keeps them, what made them.

use std::collections::BTreeMap;
use std::fmt;

use observation::NsId;
use serde::{Serialize, Serializer};

use crate::creator::Creator;

/// All namespaces that were found, at approximately one moment.
#[derive(Debug, Default, Serialize)]
pub struct Map {
    /// The number of this form. A field that goes, or means something else, raises it.
    pub schema: u32,
    /// The processes that were looked at.
    pub processes: usize,
    /// The processes that the caller may not look at.
    pub unreadable: usize,
    /// By kind and inode number.
    #[serde(serialize_with = "values")]
    pub namespaces: BTreeMap<NsId, Namespace>,
}

/// A namespace.
#[derive(Debug, Clone, Serialize)]
pub struct Namespace {
    /// Its kind and its inode number.
    #[serde(flatten, serialize_with = "identity")]
    pub id: NsId,
    /// The number of processes in it.
    pub members: usize,
    /// The lowest PID of theirs.
    #[serde(skip)]
    pub lowest: Option<i32>,
    /// The one with the lowest PID.
    pub first: Option<Process>,
    /// The inode number of the user namespace that owns it.
    #[serde(serialize_with = "inode")]
    pub owner: Option<NsId>,
    /// The inode number of its parent; of PID and user namespaces.
    #[serde(serialize_with = "inode")]
    pub parent: Option<NsId>,
    /// What keeps it besides its members.
    pub kept_by: Vec<Keeper>,
    /// What made it, where that can be told.
    #[serde(flatten, serialize_with = "creator")]
    pub made_by: Option<Creator>,
    /// The cgroup of its first process, where cgroups were asked for.
    pub cgroup: Option<Cgroup>,
    /// Its 64-bit number, which no other has or had, where that was asked for (NS_GET_ID, since Linux 6.18).
    #[serde(skip)]
    pub serial: Option<u64>,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its PID in the PID namespace that the procfs shows.
    pub pid: i32,
    /// Its effective user ID.
    pub uid: u32,
    /// The name of its user; its user ID where there is no name for it.
    pub user: String,
    /// Its name, which it can choose: /proc/PID/comm.
    pub command: String,
}

/// A cgroup of a process, and what limits it there: the strictest limit on the way up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cgroup {
    /// Its path of version 2; where that is the root or absent, the path of version 1's memory, pids or cpu controller.
    pub path: String,
    /// In bytes.
    pub memory_max: Option<u64>,
    /// Processes and threads.
    pub pids_max: Option<u64>,
    /// CPUs: 0.5 is half of one.
    pub cpu_max: Option<f64>,
}

/// What keeps a namespace that may have no member: namespaces(7).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Keeper {
    /// It is bind-mounted.
    Mount {
        /// Where, in the mount namespace of the process `pid`.
        path: String,
        /// Any process that sees the mount.
        pid: i32,
    },
    /// A process has its file open.
    Descriptor {
        /// Which process.
        pid: i32,
        /// The number of the descriptor.
        fd: i32,
        /// The name of the process.
        command: String,
    },
    /// A process has a socket open that was created in it.
    Socket {
        /// Which process.
        pid: i32,
        /// The number of the descriptor.
        fd: i32,
        /// The name of the process.
        command: String,
    },
    /// The next children of a process are created in it.
    ForChildren {
        /// Which process.
        pid: i32,
        /// Its name.
        command: String,
    },
    /// It is the parent of another namespace.
    Child {
        /// The inode number of that.
        inode: u64,
    },
    /// It owns namespaces of other kinds.
    Owned {
        /// The kind of one of them.
        kind: &'static str,
        /// Its inode number.
        inode: u64,
    },
}

impl Namespace {
    /// One of which nothing else is known.
    pub fn new(id: NsId) -> Namespace {
        Namespace {
            id,
            members: 0,
            lowest: None,
            first: None,
            owner: None,
            parent: None,
            kept_by: Vec::new(),
            made_by: None,
            cgroup: None,
            serial: None,
        }
    }
}

impl Map {
    /// The namespace, added if it is new.
    pub fn at(&mut self, id: NsId) -> &mut Namespace {
        self.namespaces.entry(id).or_insert_with(|| Namespace::new(id))
    }

    /// The lowest PID of all: on a whole machine that of its init.
    pub fn first_of_all(&self) -> Option<i32> {
        self.namespaces.values().filter_map(|namespace| namespace.lowest).min()
    }
}

fn values<S: Serializer>(map: &BTreeMap<NsId, Namespace>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(map.values())
}

fn identity<S: Serializer>(id: &NsId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map([("kind", Word::Kind(id.kind.link())), ("inode", Word::Inode(id.ino))])
}

#[derive(Serialize)]
#[serde(untagged)]
enum Word {
    Kind(&'static str),
    Inode(u64),
}

/// What made it twice: in words, and as the word for its runtime.
fn creator<S: Serializer>(made_by: &Option<Creator>, serializer: S) -> Result<S::Ok, S::Error> {
    let words = made_by.as_ref().map(ToString::to_string);
    let runtime = made_by.as_ref().map(|creator| creator.runtime.word().to_string());
    serializer.collect_map([("made_by", words), ("runtime", runtime)])
}

fn inode<S: Serializer>(id: &Option<NsId>, serializer: S) -> Result<S::Ok, S::Error> {
    id.map(|id| id.ino).serialize(serializer)
}

impl Keeper {
    /// All words of [`Keeper::word`].
    pub const WORDS: [&'static str; 6] = ["mount", "descriptor", "socket", "for-children", "child", "owned"];

    /// What it is, in the word that `--filter kept=` takes.
    pub fn word(&self) -> &'static str {
        match self {
            Keeper::Mount { .. } => "mount",
            Keeper::Descriptor { .. } => "descriptor",
            Keeper::Socket { .. } => "socket",
            Keeper::ForChildren { .. } => "for-children",
            Keeper::Child { .. } => "child",
            Keeper::Owned { .. } => "owned",
        }
    }
}

impl fmt::Display for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Keeper::Mount { path, .. } => write!(f, "mounted at {path}"),
            Keeper::Descriptor { pid, fd, command } => write!(f, "descriptor {fd} of {command} ({pid})"),
            Keeper::Socket { pid, fd, command } => write!(f, "socket {fd} of {command} ({pid})"),
            Keeper::ForChildren { pid, command } => write!(f, "next children of {command} ({pid})"),
            Keeper::Child { inode } => write!(f, "its child [{inode}]"),
            Keeper::Owned { kind, inode } => write!(f, "it owns {kind}:[{inode}]"),
        }
    }
}
