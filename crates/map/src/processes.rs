//! What is asked of a process that stands on the map: its name, its user, its cgroup. Each is asked once.

use std::collections::HashMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};
use ns_core::{Batch, Kind, NsFile, NsId, namespace};
use rustix::fs::{CWD, Mode, OFlags, openat, stat};

use crate::model::{Map, Process};
use crate::relations::relate_one;

/// The processes of a procfs.
#[derive(Debug)]
pub(crate) struct Processes {
    proc: PathBuf,
    known: HashMap<i32, Option<Process>>,
    cgroups: HashMap<i32, String>,
    users: HashMap<u32, String>,
    batch: Batch,
    room: Vec<u8>,
}

impl Processes {
    pub(crate) fn of(proc: &Path) -> Processes {
        Processes {
            proc: proc.into(),
            known: HashMap::new(),
            cgroups: HashMap::new(),
            users: HashMap::new(),
            batch: Batch::new(),
            room: vec![0; 1 << 15],
        }
    }

    /// The process `pid`; none if it has ended.
    pub(crate) fn get(&mut self, pid: i32) -> Option<Process> {
        if let Some(known) = self.known.get(&pid) {
            return known.clone();
        }
        let process = self.look(pid);
        self.known.insert(pid, process.clone());
        process
    }

    /// Its name; `?` if it has ended.
    pub(crate) fn command(&mut self, pid: i32) -> String {
        self.get(pid).map_or("?".into(), |process| process.command)
    }

    /// The text of its /proc/PID/cgroup; empty if it has ended.
    pub(crate) fn cgroups(&mut self, pid: i32) -> String {
        if let Some(known) = self.cgroups.get(&pid) {
            return known.clone();
        }
        let text = self.read(pid, "cgroup").unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        self.cgroups.insert(pid, text.clone());
        text
    }

    /// Where its program is; none if the caller may not know.
    pub(crate) fn program(&self, pid: i32) -> Option<PathBuf> {
        fs::read_link(self.path(pid, "exe")).ok()
    }

    /// A file of a process.
    pub(crate) fn path(&self, pid: i32, file: &str) -> PathBuf {
        self.proc.join(pid.to_string()).join(file)
    }

    /// The bytes of a file of a process, as one read(2) gives them: 32 KiB at most, and of a file whose parts are made one
    /// by one, a page. None if the caller may not read it, or it has ended.
    pub(crate) fn read(&mut self, pid: i32, file: &str) -> Option<Vec<u8>> {
        let descriptor = self.open(pid, file)?;
        let length = rustix::io::read(&descriptor, &mut self.room).ok();
        self.batch.close(descriptor);
        Some(self.room[..length?].to_vec())
    }

    /// The bytes of a file of a process, to its end.
    pub(crate) fn read_all(&mut self, pid: i32, file: &str) -> Option<Vec<u8>> {
        let descriptor = self.open(pid, file)?;
        let mut bytes = Vec::new();
        while let Ok(length @ 1..) = rustix::io::read(&descriptor, &mut self.room) {
            bytes.extend(&self.room[..length]);
        }
        self.batch.close(descriptor);
        Some(bytes)
    }

    /// A namespace of a process, opened.
    ///
    /// # Errors
    /// ENOENT or ESRCH if it has ended; EACCES if the caller may not know.
    pub(crate) fn namespace(&self, pid: i32, kind: Kind) -> ns_core::Result<NsFile> {
        let path = self.path(pid, "ns").join(kind.link());
        NsFile::open(path.display().to_string())
    }

    /// Whether a process is in a namespace, as far as the caller may know.
    pub(crate) fn is_in(&self, pid: i32, id: NsId) -> bool {
        let link = fs::read_link(self.path(pid, "ns").join(id.kind.link()));
        link.is_ok_and(|link| namespace::parse_link(&link.to_string_lossy()) == Some((id.kind, id.ino)))
    }

    /// Asks an open namespace for its relations, and closes it.
    pub(crate) fn relate(&mut self, map: &mut Map, id: NsId, file: NsFile) {
        relate_one(map, id, file, &mut self.batch);
    }

    fn open(&self, pid: i32, file: &str) -> Option<OwnedFd> {
        openat(CWD, self.path(pid, file), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
    }

    fn look(&mut self, pid: i32) -> Option<Process> {
        let command = self.read(pid, "comm")?;
        let command = String::from_utf8_lossy(&command).trim_end_matches('\n').to_string();
        let uid = stat(self.proc.join(pid.to_string())).ok()?.st_uid;
        let name = |uid| User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
        let user = self.users.entry(uid).or_insert_with(|| name(uid).unwrap_or_else(|| uid.to_string()));
        Some(Process { pid, uid, user: user.clone(), command })
    }
}
