//! What a runtime did, as answers to the same questions, so that several can be laid side by side.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Act, Made, Record, What};
use crate::words::{self, capabilities_in_words, kind_in_words};

/// A question, and what is answered.
pub(crate) type Answers = Vec<(&'static str, String)>;

/// What is gathered from all records.
#[derive(Debug, Default)]
struct Gathered {
    created: BTreeSet<String>,
    entered: BTreeSet<String>,
    /// Who creates which, in their order.
    creations: Vec<String>,
    root: Option<String>,
    /// The processes that changed it.
    pivoted: BTreeSet<i32>,
    maps: BTreeMap<String, String>,
    map_writers: BTreeSet<String>,
    mounts: usize,
    kinds_of_mounts: BTreeMap<String, usize>,
    old_api: bool,
    new_api: bool,
    propagation: Option<String>,
    lost: BTreeSet<String>,
    permitted: Option<u64>,
    no_new_privs: bool,
    seccomp: Vec<u16>,
    cgroups: BTreeSet<String>,
    /// Who writes what.
    limits: Vec<(String, String)>,
    /// Who asks for what.
    network: Vec<(String, String)>,
    hostname: Option<String>,
    ids: Vec<String>,
    processes: usize,
    executed: usize,
    refused: usize,
    ended: Option<String>,
    first: Option<i32>,
}

/// The answers about a story.
pub(crate) fn answers(records: &[Record]) -> Answers {
    let mut gathered = Gathered::default();
    for record in records {
        match &record.what {
            What::Begin(begun) => {
                gathered.first.get_or_insert(begun.pid);
                gathered.processes += 1;
            }
            What::Process(_) => gathered.processes += 1,
            What::End(ended) if Some(ended.pid) == gathered.first => {
                gathered.ended = Some(match (ended.status, ended.signal) {
                    (_, Some(signal)) => format!("killed by {}", words::signal_in_words(signal)),
                    (status, None) => format!("status {}", status.unwrap_or(0)),
                });
            }
            What::Call(made) if made.errno.is_some() => gathered.refused += 1,
            What::Call(made) => gathered.take(made),
            _ => {}
        }
    }
    gathered.answers()
}

impl Gathered {
    fn take(&mut self, made: &Made) {
        match &made.act {
            Act::Unshare { namespaces, .. } | Act::Clone { namespaces, .. } if !namespaces.is_empty() => {
                let kinds: Vec<&str> = namespaces.iter().map(|kind| kind_in_words(kind)).collect();
                let creation = format!("{} by {}(): {}", made.name, made.call, kinds.join(", "));
                if !self.creations.contains(&creation) {
                    self.creations.push(creation);
                }
                self.created.extend(kinds.into_iter().map(Into::into));
            }
            Act::Setns { namespaces, .. } => {
                self.entered.extend(namespaces.iter().map(|kind| kind_in_words(kind).to_string()));
            }
            Act::PivotRoot { .. } => {
                self.pivoted.insert(made.pid);
                self.root.get_or_insert_with(|| "pivot_root()".into());
            }
            Act::Umount { .. } if self.pivoted.contains(&made.pid) => {
                self.root = Some("pivot_root(), then umount2() of the old root".into());
            }
            // chroot(".") after pivot_root() is the end of the same change.
            Act::Chroot { .. } if self.root.is_none() => self.root = Some("chroot()".into()),
            Act::IdMap { file, of, text } => {
                let whose = if [made.pid.to_string().as_str(), "self"].contains(&of.as_str()) {
                    "of its own namespace"
                } else {
                    "of another process"
                };
                if file.ends_with("_map") {
                    self.map_writers.insert(format!("{}: {whose}", made.name));
                }
                self.maps.insert(file.clone(), text.lines().map(one_blank).collect::<Vec<_>>().join("; "));
            }
            Act::Cgroup { file, path, text } => self.cgroup(&made.name, file, path, text),
            Act::CgroupMake { path } => {
                self.cgroups.insert(path.clone());
            }
            Act::Netlink { messages, .. } => {
                let texts = messages.iter().map(|message| (made.name.clone(), message.text.clone()));
                self.network.extend(texts);
            }
            Act::Hostname { hostname } => self.hostname = Some(hostname.clone()),
            Act::Execute { .. } => self.executed += 1,
            other => {
                self.mount(other);
                self.privilege(other);
            }
        }
    }

    fn cgroup(&mut self, name: &str, file: &str, path: &str, text: &str) {
        match file {
            "cgroup.procs" | "tasks" | "cgroup.threads" => {
                self.cgroups.insert(path.into());
            }
            // These limit nothing.
            "cgroup.subtree_control" | "cgroup.kill" | "cgroup.freeze" | "cgroup.type" => {}
            _ => {
                let limit = format!("{file} {text}").trim_end().to_string();
                if !self.limits.iter().any(|(by, known)| by == name && *known == limit) {
                    self.limits.push((name.into(), limit));
                }
            }
        }
    }

    fn mount(&mut self, act: &Act) {
        match act {
            Act::Mount { target, fs, flags, .. } => {
                let has = |name: &str| flags.iter().any(|flag| flag == name);
                let propagation = ["MS_PRIVATE", "MS_SLAVE", "MS_SHARED", "MS_UNBINDABLE"];
                if let Some(name) = propagation.into_iter().find(|name| has(name)) {
                    self.propagates(target, name);
                } else if !has("MS_REMOUNT") {
                    self.mounts += 1;
                    self.old_api = true;
                    let kind = if has("MS_BIND") {
                        "bind"
                    } else if has("MS_MOVE") {
                        "move"
                    } else {
                        fs
                    };
                    *self.kinds_of_mounts.entry(kind.into()).or_default() += 1;
                }
            }
            Act::MountSetattr { path, propagation, .. } => {
                propagation.iter().for_each(|name| self.propagates(path, name));
            }
            Act::MoveMount { .. } => {
                self.mounts += 1;
                self.new_api = true;
            }
            Act::Fsopen { fs } => *self.kinds_of_mounts.entry(fs.clone()).or_default() += 1,
            Act::OpenTree { flags, .. } if flags.iter().any(|flag| flag == "OPEN_TREE_CLONE") => {
                *self.kinds_of_mounts.entry("bind".into()).or_default() += 1;
            }
            _ => {}
        }
    }

    /// Of interest is the root directory, before it is left.
    fn propagates(&mut self, target: &str, name: &str) {
        if target == "/" && self.root.is_none() {
            self.propagation.get_or_insert_with(|| name.into());
        }
    }

    fn privilege(&mut self, act: &Act) {
        match act {
            Act::Capset { permitted, .. } => self.permitted = Some(*permitted),
            Act::CapabilityLost { capability } => {
                self.lost.insert(capability.clone());
            }
            Act::NoNewPrivs => self.no_new_privs = true,
            Act::Seccomp { instructions, .. } => self.seccomp.push(*instructions),
            Act::Ids { group: false, ids } => {
                self.ids.push(ids.iter().max().map_or_else(String::new, ToString::to_string));
            }
            _ => {}
        }
    }

    fn answers(self) -> Answers {
        let no = || "no".to_string();
        let listed = |set: &BTreeSet<String>| if set.is_empty() { no() } else { join(set.iter(), ", ") };
        let kinds = self.kinds_of_mounts.iter().map(|(kind, count)| format!("{kind} {count}"));
        let mounts = match self.mounts {
            0 => no(),
            many => format!("{many}: {}", kinds.collect::<Vec<_>>().join(", ")),
        };
        let mount_calls = match (self.old_api, self.new_api) {
            (false, false) => no(),
            (false, true) => "move_mount()".into(),
            (true, false) => "mount()".into(),
            (true, true) => "mount(), move_mount()".into(),
        };
        let seccomp = match &self.seccomp[..] {
            [] => no(),
            filters => {
                let lengths: Vec<String> = filters.iter().map(ToString::to_string).collect();
                format!("{}: {} instructions", filters.len(), lengths.join(", "))
            }
        };
        let map = |file: &str| self.maps.get(file).cloned().unwrap_or_else(no);
        vec![
            ("new namespaces", listed(&self.created)),
            ("made by", if self.creations.is_empty() { no() } else { self.creations.join("; ") }),
            ("entered namespaces", listed(&self.entered)),
            ("user map", map("uid_map")),
            ("group map", map("gid_map")),
            ("setgroups", map("setgroups")),
            ("maps written by", listed(&self.map_writers)),
            ("root directory", self.root.unwrap_or_else(|| "as it was".into())),
            ("propagation", self.propagation.unwrap_or_else(|| "as it was".into())),
            ("mounts", mounts),
            ("mount calls", mount_calls),
            ("hostname", self.hostname.unwrap_or_else(|| "as it was".into())),
            ("network", if self.network.is_empty() { no() } else { by_writer(&self.network) }),
            ("cgroups", listed(&self.cgroups)),
            ("limits", if self.limits.is_empty() { no() } else { by_writer(&self.limits) }),
            (
                "capabilities at last",
                self.permitted.map_or_else(|| "as they were".into(), capabilities_in_words),
            ),
            ("given up for good", if self.lost.is_empty() { no() } else { self.lost.len().to_string() }),
            ("no_new_privs", if self.no_new_privs { "yes".into() } else { no() }),
            ("seccomp filters", seccomp),
            ("user IDs", if self.ids.is_empty() { "as they were".into() } else { self.ids.join(", ") }),
            ("processes", self.processes.to_string()),
            ("programs executed", self.executed.to_string()),
            ("refused calls", self.refused.to_string()),
            ("end", self.ended.unwrap_or_else(|| "goes on".into())),
        ]
    }
}

/// Each name before what it does until another does something.
fn by_writer(done: &[(String, String)]) -> String {
    let mut last = None;
    let mut texts = Vec::new();
    for (name, text) in done {
        let who = if last == Some(name) { String::new() } else { format!("{name}: ") };
        texts.push(format!("{who}{text}"));
        last = Some(name);
    }
    texts.join("; ")
}

fn join<'a>(words: impl Iterator<Item = &'a String>, between: &str) -> String {
    words.cloned().collect::<Vec<_>>().join(between)
}

/// The fields of a line of a map have many blanks between them.
fn one_blank(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Begin, Ended};

    #[test]
    fn the_last_word_and_the_whole_list_answer() {
        let call = |act: Act, errno: Option<&str>| Record {
            t: 1,
            what: What::Call(Made {
                pid: 7,
                tid: None,
                name: "x".into(),
                call: "unshare".into(),
                result: None,
                errno: errno.map(Into::into),
                took: 0,
                act,
            }),
        };
        let begun = Begin { schema: 1, command: Vec::new(), pid: 7, filter: true, no_new_privs: false };
        let unshare = |kind: &str| Act::Unshare { namespaces: vec![kind.into()], flags: Vec::new() };
        let limit = |file: &str| Act::Cgroup { file: file.into(), path: "/a".into(), text: "max".into() };
        let records = [
            Record { t: 0, what: What::Begin(begun) },
            call(unshare("user"), None),
            call(unshare("mnt"), None),
            call(unshare("net"), Some("EPERM")),
            call(Act::IdMap { file: "uid_map".into(), of: "7".into(), text: "  0   1000  1\n".into() }, None),
            call(Act::PivotRoot { new_root: ".".into(), put_old: ".".into() }, None),
            call(Act::Umount { target: ".".into(), flags: Vec::new() }, None),
            call(limit("pids.max"), None),
            call(limit("cpu.max"), None),
            call(limit("pids.max"), None),
            call(limit("cgroup.kill"), None),
            call(Act::Chroot { path: ".".into() }, None),
            Record { t: 9, what: What::End(Ended { pid: 7, status: Some(3), signal: None }) },
        ];
        let answers: BTreeMap<_, _> = answers(&records).into_iter().collect();
        for (question, answer) in [
            ("new namespaces", "mount, user"),
            ("made by", "x by unshare(): user; x by unshare(): mount"),
            ("user map", "0 1000 1"),
            ("maps written by", "x: of its own namespace"),
            ("root directory", "pivot_root(), then umount2() of the old root"),
            ("limits", "x: pids.max max; cpu.max max"),
            ("refused calls", "1"),
            ("end", "status 3"),
        ] {
            assert_eq!(answers[question], answer, "{question}");
        }
    }
}
