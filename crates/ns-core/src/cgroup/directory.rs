//! A cgroup's directory and the kernel's files in it, reached through a descriptor.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::unistd::Pid;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, openat, unlinkat};

use super::Version;
use crate::error::{Error, Named, Result};
use crate::resolve::openat2;

/// The open directory of a cgroup.
#[derive(Debug)]
pub(super) struct Directory {
    fd: OwnedFd,
    version: Version,
    /// How messages call it: short, with `…` for what comes before.
    label: String,
}

impl Directory {
    /// Opens the cgroup `name` in `parent`, and makes sure that it is a cgroup.
    pub(super) fn open(parent: impl AsFd, name: &OsStr, label: String) -> Result<Directory> {
        let opened = open_beneath(parent.as_fd(), name, OFlags::RDONLY | OFlags::DIRECTORY);
        let fd = opened.named(|| format!("open(\"{label}\")"))?;
        let version = Version::of(&fd).named(|| format!("statfs(\"{label}\")"))?;
        let version = version.ok_or_else(|| Error::Input(format!("{label} is not a cgroup")))?;
        Ok(Directory { fd, version, label })
    }

    /// Opens a cgroup directly below.
    pub(super) fn open_child(&self, name: &OsStr) -> Result<Directory> {
        Directory::open(&self.fd, name, self.label_of(name))
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn label_of(&self, child: &OsStr) -> String {
        format!("{}/{}", self.label, child.as_bytes().escape_ascii())
    }

    /// A file in it, open.
    pub(super) fn open_file(&self, file: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        open_beneath(self.fd.as_fd(), OsStr::new(file), flags)
    }

    /// The text of a file, without its last newline.
    pub(super) fn read(&self, file: &str) -> Result<String> {
        let call = || format!("cat {}/{}", self.label, file.escape_debug());
        let opened = self.open_file(file, OFlags::RDONLY).named(call)?;
        read_from_start(&opened).named(call)
    }

    /// Writes to a file in one write(2), with a newline, as echo(1) does.
    pub(super) fn write(&self, file: &str, text: &str) -> Result<()> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let call = || format!("echo {} > {}/{}", text.escape_debug(), self.label, file.escape_debug());
        let opened = self.open_file(file, OFlags::WRONLY).named(call)?;
        let line = format!("{text}\n");
        let length = nix::unistd::write(&opened, line.as_bytes()).named(call)?;
        if length < line.len() {
            let message = format!("the kernel took {length} of {} bytes", line.len());
            return Err(Error::Unreadable { what: call(), message });
        }
        Ok(())
    }

    /// The members, each once, in the order of their numbers.
    pub(super) fn pids(&self) -> Result<Vec<Pid>> {
        let text = self.read("cgroup.procs")?;
        parse_pids(&text).ok_or_else(|| self.unreadable("cgroup.procs", &text))
    }

    /// A file of lines `KEY NUMBER`, which cgroup-v2.rst calls flat keyed.
    pub(super) fn flat_keyed(&self, file: &str) -> Result<BTreeMap<String, u64>> {
        let text = self.read(file)?;
        parse_flat_keyed(&text).ok_or_else(|| self.unreadable(file, &text))
    }

    pub(super) fn unreadable(&self, file: &str, text: &str) -> Error {
        let start: String = text.chars().take(60).collect();
        let what = format!("cat {}/{}", self.label, file.escape_debug());
        Error::Unreadable {
            what,
            message: format!("not in the form of cgroups(7): \"{}\"", start.escape_debug()),
        }
    }

    /// The names of the cgroups directly below.
    pub(super) fn children(&self) -> Result<Vec<OsString>> {
        let call = || format!("readdir(\"{}\")", self.label);
        // Opened anew, so that it is read from its start.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(&self.fd, ".", flags, Mode::empty()).named(call)?;
        // An entry has to fit in whole. A cgroup's name may be longer than 255 bytes: nearly as long as a path.
        let mut space = [MaybeUninit::uninit(); 8192];
        let mut entries = RawDir::new(directory, &mut space);
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = entry.named(call)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if entry.file_type() == FileType::Directory && name != "." && name != ".." {
                names.push(name.to_os_string());
            }
        }
        Ok(names)
    }

    /// Looks at this cgroup, then at all below it. What goes away meanwhile is passed over.
    pub(super) fn visit(&self, look: &mut dyn FnMut(&Directory) -> Result<()>) -> Result<()> {
        look(self).or_else(unless_gone)?;
        for name in self.children().or_else(unless_gone)? {
            match self.open_child(&name) {
                Ok(child) => child.visit(look)?,
                Err(error) => unless_gone(error)?,
            }
        }
        Ok(())
    }

    /// The members of this cgroup and of all below it.
    pub(super) fn pids_below(&self) -> Result<Vec<Pid>> {
        let mut all = Vec::new();
        self.visit(&mut |cgroup| match cgroup.pids() {
            Ok(pids) => {
                all.extend(pids);
                Ok(())
            }
            // A threaded cgroup: its processes are listed in the domain above it (cgroups(7), "Threaded domains").
            Err(error) if error.errno() == Some(Errno::EOPNOTSUPP) => Ok(()),
            Err(error) => Err(error),
        })?;
        all.sort();
        all.dedup();
        Ok(all)
    }

    /// Removes the directory `name` in `parent`, which is this cgroup, after all below it.
    pub(super) fn rmdir(&self, parent: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
        for below in self.children().or_else(unless_gone)? {
            match self.open_child(&below) {
                Ok(child) => child.rmdir(self.fd.as_fd(), &below)?,
                Err(error) => unless_gone(error)?,
            }
        }
        let removed = unlinkat(parent, name, AtFlags::REMOVEDIR);
        removed.named(|| format!("rmdir(\"{}\")", self.label)).or_else(unless_gone)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A cgroup that is removed meanwhile takes its files along: ENOENT for their names, ENODEV for open ones.
pub(super) fn unless_gone<T: Default>(error: Error) -> Result<T> {
    match error.errno() {
        Some(Errno::ENOENT | Errno::ENODEV) => Ok(T::default()),
        _ => Err(error),
    }
}

/// Opens `name` directly in `parent`: nothing above, behind a symbolic link or on another mount.
fn open_beneath(parent: BorrowedFd<'_>, name: &OsStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    use rustix::io::Errno;
    if name.is_empty() || name == "." || name == ".." || name.as_bytes().contains(&b'/') {
        return Err(Errno::INVAL);
    }
    let flags = flags | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match openat2(parent, name, flags, resolve) {
        // Seccomp filters that do not know openat2 answer so. For a name of one part, O_NOFOLLOW says nearly the same.
        Err(Errno::NOSYS | Errno::PERM) => openat(parent, name, flags | OFlags::NOFOLLOW, Mode::empty()),
        other => other,
    }
}

/// Reads a whole file from offset 0, however often it was read before. Without its last newline.
pub(super) fn read_from_start(file: &OwnedFd) -> rustix::io::Result<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::pread(file, &mut buffer, bytes.len() as u64) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The PIDs in the text of a `cgroup.procs`, sorted; `None` where a line is no number. The file itself is neither sorted
/// nor free of repetitions (cgroups(7)).
pub fn parse_pids(text: &str) -> Option<Vec<Pid>> {
    let mut pids: Vec<Pid> =
        text.lines().map(|line| line.parse().ok().map(Pid::from_raw)).collect::<Option<_>>()?;
    pids.sort();
    pids.dedup();
    Some(pids)
}

/// The text of a file of lines `KEY NUMBER`, such as `memory.events` (cgroup-v2.rst, "Format": flat keyed); `None` where
/// a line is of another form.
pub fn parse_flat_keyed(text: &str) -> Option<BTreeMap<String, u64>> {
    let pair = |line: &str| {
        let (key, number) = line.split_once(' ')?;
        Some((key.to_string(), number.parse().ok()?))
    };
    text.lines().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_sorted_and_listed_once() {
        assert_eq!(parse_pids("7\n3\n7\n0").unwrap(), [0, 3, 7].map(Pid::from_raw));
        assert_eq!(parse_pids("").unwrap(), []);
        assert_eq!(parse_pids("7\nx"), None);
    }

    #[test]
    fn events_are_keys_and_numbers() {
        let events = parse_flat_keyed("populated 1\nfrozen 0").unwrap();
        assert_eq!(events["populated"], 1);
        assert_eq!(events["frozen"], 0);
        assert_eq!(parse_flat_keyed("populated"), None);
        assert_eq!(parse_flat_keyed("some avg10=0.00 total=0"), None);
    }

    #[test]
    fn names_of_more_than_one_part_open_nothing() {
        let root = std::fs::File::open("/").unwrap();
        for name in ["", ".", "..", "proc/self", "/proc", "../proc"] {
            assert!(open_beneath(root.as_fd(), OsStr::new(name), OFlags::RDONLY).is_err(), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn members_are_read_as_they_were_written(mut pids in proptest::collection::vec(0_i32.., 0..40)) {
            let text: Vec<String> = pids.iter().map(ToString::to_string).collect();
            let found = parse_pids(&text.join("\n")).unwrap();
            pids.sort_unstable();
            pids.dedup();
            proptest::prop_assert_eq!(found, pids.into_iter().map(Pid::from_raw).collect::<Vec<_>>());
        }

        #[test]
        fn events_are_read_as_they_were_written(
            events in proptest::collection::btree_map("[a-z_.0-9]{1,12}", proptest::prelude::any::<u64>(), 0..12),
        ) {
            let text: String = events.iter().map(|(key, number)| format!("{key} {number}\n")).collect();
            proptest::prop_assert_eq!(parse_flat_keyed(&text), Some(events));
        }

        #[test]
        fn no_text_can_make_it_panic(text: String, other in "[a-z0-9 =.\\-\n]{0,60}") {
            for text in [text, other] {
                let _ = (parse_pids(&text), parse_flat_keyed(&text));
            }
        }
    }
}
