//! Changes in cgroups, by inotify(7) on their directories.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ns_core::cgroup::Layout;
use ns_core::{Named, Result};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

/// More directories than these are not watched: a user's inotify watches are limited.
const MOST: usize = 256;

/// Watches over directories of cgroups. Writes to their files are seen, and what the kernel reports in cgroup.events.
#[derive(Debug)]
pub(super) struct CgroupChanges {
    fd: OwnedFd,
    watched: BTreeMap<i32, PathBuf>,
}

impl CgroupChanges {
    /// Watches the caller's cgroup of every hierarchy, in which new ones are likely to be made.
    ///
    /// # Errors
    /// EMFILE where the user has no inotify instance left.
    pub(super) fn open() -> Result<CgroupChanges> {
        let fd =
            inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).named(|| "inotify_init()".into())?;
        let mut changes = CgroupChanges { fd, watched: BTreeMap::new() };
        for hierarchy in Layout::detect()?.hierarchies() {
            if let Some(own) = hierarchy.directory(hierarchy.own()) {
                changes.watch_with_children(&own);
            }
        }
        Ok(changes)
    }

    /// Whether anything is watched.
    pub(super) fn any(&self) -> bool {
        !self.watched.is_empty()
    }

    /// Watches a cgroup's directory and those directly below it.
    fn watch_with_children(&mut self, directory: &Path) {
        self.watch(directory);
        let below = std::fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in below.filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir())) {
            self.watch(&entry.path());
        }
    }

    /// Watches a cgroup's directory. One that is gone, or one too many, is found by the next tick.
    pub(super) fn watch(&mut self, directory: &Path) {
        if self.watched.len() >= MOST {
            return;
        }
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::ONLYDIR;
        if let Ok(watch) = inotify::add_watch(&self.fd, directory, flags) {
            self.watched.insert(watch, directory.to_path_buf());
        }
    }

    /// Takes all that has been reported, and watches the cgroups that are new. True if there was any.
    pub(super) fn drain(&mut self) -> bool {
        let mut new = Vec::new();
        let mut any = false;
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.fd, &mut space);
        while let Ok(event) = reader.next() {
            any = true;
            let events = event.events();
            if events.contains(ReadFlags::IGNORED) {
                self.watched.remove(&event.wd());
            } else if events.contains(ReadFlags::CREATE | ReadFlags::ISDIR) {
                let name =
                    event.file_name().map(|name| Path::new(std::ffi::OsStr::from_bytes(name.to_bytes())));
                let parent = self.watched.get(&event.wd());
                new.extend(parent.zip(name).map(|(parent, name)| parent.join(name)));
            }
        }
        for directory in new {
            self.watch(&directory);
        }
        any
    }
}

impl AsFd for CgroupChanges {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
