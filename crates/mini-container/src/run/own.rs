//! A root filesystem of this machine's programs, where no ROOTFS is given: a static busybox, or its /usr.
//!
//! It stands in memory. A file of the host is in it only as a copy, or below an overlay or a read-only mount. So root
//! inside cannot change it, even if root outside could.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ns_core::mount::Tree;
use ns_core::{Errno, Named, Result};
use rustix::fs::{Mode, OFlags, chmodat, openat, symlinkat};

use super::overlay::Overlays;
use super::{executable, place};

/// What it is made of.
pub(crate) enum Own {
    /// Busybox, and the names of its commands.
    Busybox { file: File, path: PathBuf, commands: Vec<OsString> },
    /// The directories of the host that hold programs.
    Usr,
}

/// The names in the root directory that lead to programs and libraries: links into /usr, or directories.
const PROGRAMS: [&str; 7] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// The directories that every root filesystem has.
const EMPTY: [&str; 8] = ["dev", "etc", "proc", "root", "run", "sys", "tmp", "var"];
/// The files of /etc that programs need, with their content.
const FILES: [(&str, &str); 3] = [
    ("passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("group", "root:x:0:\nnogroup:x:65534:\n"),
    ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
];
/// Debian's links from a command, such as awk, to the program that is installed for it: update-alternatives(1).
const ALTERNATIVES: &str = "/etc/alternatives";

impl Own {
    /// A busybox that has `command`, and needs no library; else /usr.
    pub(super) fn for_command(command: &OsStr) -> Own {
        let search = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&search).find_map(|directory| busybox(directory.join("busybox")));
        found.filter(|busybox| busybox.has(command)).unwrap_or(Own::Usr)
    }

    fn has(&self, command: &OsStr) -> bool {
        let Own::Busybox { commands, .. } = self else { return true };
        let name = command.as_bytes().strip_prefix(b"/bin/").unwrap_or(command.as_bytes());
        commands.iter().any(|it| it.as_bytes() == name)
    }
}

/// Busybox at `path`, if it is a static program that lists its commands.
fn busybox(path: PathBuf) -> Option<Own> {
    let mut file = File::open(&path).ok()?;
    let mut head = Vec::new();
    file.by_ref().take(4096).read_to_end(&mut head).ok()?;
    if !head.starts_with(b"\x7fELF") || executable::loader(&head).is_some() {
        return None;
    }
    let listed =
        Command::new(&path).arg("--list").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let names =
        listed.stdout.split(|byte| *byte == b'\n').filter(|name| !name.is_empty() && !name.contains(&b'/'));
    let commands: Vec<_> = names.map(|name| OsString::from_vec(name.into())).collect();
    (listed.status.success() && !commands.is_empty()).then_some(Own::Busybox { file, path, commands })
}

/// The directories and links of the host that are shown, open.
pub(crate) struct Opened<'a> {
    own: &'a Own,
    programs: Vec<(&'static str, Shown)>,
}

enum Shown {
    Link(PathBuf),
    Directory(Tree),
}

/// Opens what is to be shown, with the caller's user ID and root.
pub(super) fn open(own: &Own) -> Result<Opened<'_>> {
    let mut programs = Vec::new();
    let names = if matches!(own, Own::Usr) { PROGRAMS.as_slice() } else { &[] };
    for name in names {
        let path = Path::new("/").join(name);
        if let Ok(target) = std::fs::read_link(&path) {
            programs.push((*name, Shown::Link(target)));
        } else if path.is_dir() {
            programs.push((*name, Shown::Directory(Tree::copy_of_all(&path)?)));
        }
    }
    Ok(Opened { own, programs })
}

/// Fills the empty directory `root`, which is in memory. `overlays` are mounted on directories in it. Returns what of
/// this machine it shows.
pub(super) fn fill(root: BorrowedFd<'_>, opened: &Opened<'_>, overlays: &Overlays<'_>) -> Result<String> {
    for name in EMPTY {
        place::directory(root, name)?;
    }
    let mode = Mode::from_raw_mode(0o1777);
    chmodat(root, "tmp", mode, rustix::fs::AtFlags::empty()).named(|| "chmod 1777 ROOTFS/tmp".into())?;
    let etc = place::directory(root, "etc")?;
    for (name, content) in FILES {
        write(etc.as_fd(), name, 0o644, &mut content.as_bytes())?;
    }
    match opened.own {
        Own::Busybox { file, path, commands } => {
            let bin = place::directory(root, "bin")?;
            write(bin.as_fd(), "busybox", 0o755, &mut rewound(file)?)?;
            for command in commands.iter().filter(|it| *it != "busybox") {
                link(bin.as_fd(), command, Path::new("busybox"))?;
            }
            Ok(format!("{}, with {} commands", path.display(), commands.len()))
        }
        Own::Usr => {
            alternatives(etc.as_fd())?;
            if let Ok(mut cache) = File::open("/etc/ld.so.cache") {
                write(etc.as_fd(), "ld.so.cache", 0o644, &mut cache)?;
            }
            show(root, &opened.programs, overlays)
        }
    }
}

fn show(root: BorrowedFd<'_>, programs: &[(&str, Shown)], overlays: &Overlays<'_>) -> Result<String> {
    let (mut covered, mut fixed) = (Vec::new(), Vec::new());
    for (name, shown) in programs {
        match shown {
            Shown::Link(target) => link(root, OsStr::new(name), target)?,
            Shown::Directory(tree) => {
                let place = place::directory(root, name)?;
                match overlays.over(tree, name) {
                    Ok(overlay) => {
                        overlay.attach_to(place, name)?;
                        covered.push(format!("/{name}"));
                    }
                    // Other filesystems are mounted in it, as WSL2 does.
                    Err(error) if error.errno() == Some(Errno::EINVAL) => {
                        tree.make_read_only()?;
                        tree.attach_to(place, name)?;
                        fixed.push(format!("/{name} (read-only)"));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
    covered.extend(fixed);
    Ok(format!("this machine's {}", covered.join(", ")))
}

/// Copies the links of [`ALTERNATIVES`]. Not every machine has them.
fn alternatives(etc: BorrowedFd<'_>) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(ALTERNATIVES) else { return Ok(()) };
    let directory = place::directory(etc, "alternatives")?;
    for entry in entries.flatten() {
        if let Ok(target) = std::fs::read_link(entry.path()) {
            link(directory.as_fd(), &entry.file_name(), &target)?;
        }
    }
    Ok(())
}

fn link(directory: BorrowedFd<'_>, name: &OsStr, target: &Path) -> Result<()> {
    symlinkat(target, directory, name).named(|| format!("symlink(\"{}\", {name:?})", target.display()))
}

fn write(directory: BorrowedFd<'_>, name: &str, mode: u32, content: &mut impl Read) -> Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let call = || format!("open(\"{name}\", O_CREAT|O_EXCL)");
    let file: OwnedFd = openat(directory, name, flags, Mode::from_raw_mode(mode)).named(call)?;
    std::io::copy(content, &mut File::from(file)).named(|| format!("write {name} into memory")).map(drop)
}

/// The same file from its start: its first bytes were read.
fn rewound(file: &File) -> Result<&File> {
    rustix::fs::seek(file, rustix::fs::SeekFrom::Start(0)).named(|| "lseek(busybox)".into())?;
    Ok(file)
}
