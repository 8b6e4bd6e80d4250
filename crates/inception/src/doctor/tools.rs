//! What is installed: the programs that one types by hand, the manual pages, and the experiments themselves.

use std::fs;
use std::path::{Path, PathBuf};

use ns_core::probe::{self, Unmet};

use super::check::Group;
use crate::{demos, program};

/// Programs, and Debian's packages that have them.
const PROGRAMS: &[(&str, &str)] = &[
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("lsns", "util-linux"),
    ("ip", "iproute2"),
    ("strace", "strace"),
    ("tmux", "tmux"),
    ("man", "man-db"),
    ("newuidmap", "uidmap"),
    ("docker", "docker.io"),
];

/// A page of each package that has some of ours.
const PAGES: &[(&str, u8, &str)] = &[("namespaces", 7, "manpages"), ("clone", 2, "manpages-dev")];

/// Where Debian has manual pages, and where one puts one's own.
const MANUALS: [&str; 2] = ["/usr/share/man", "/usr/local/share/man"];

pub(super) fn programs() -> Group {
    let mut group = Group::new("Programs");
    for (name, package) in PROGRAMS {
        match program::on_path(name) {
            Some(path) => group.add(*name, path.display().to_string(), Ok(None)),
            None => group.add(
                *name,
                "",
                Ok(probe::program(name).map(|unmet| lesson::unmet::in_package(unmet, package))),
            ),
        }
    }
    group
}

pub(super) fn manual_pages() -> Group {
    let mut group = Group::new("Manual pages");
    for (page, section, package) in PAGES {
        let found = MANUALS.iter().find_map(|folder| find_page(Path::new(folder), page, *section));
        let missing = found
            .is_none()
            .then(|| Unmet::new("no such file under /usr/share/man", format!("apt-get install {package}")));
        let found = found.map_or_else(String::new, |path| path.display().to_string());
        group.add(format!("{page}({section})"), found, Ok(missing));
    }
    group
}

/// The file of a page, compressed or not.
fn find_page(manual: &Path, page: &str, section: u8) -> Option<PathBuf> {
    let stem = format!("{page}.{section}");
    let entries = fs::read_dir(manual.join(format!("man{section}"))).ok()?.flatten();
    let is_it =
        |name: &str| name.strip_prefix(&stem).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    entries
        .map(|entry| entry.path())
        .find(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_it))
}

pub(super) fn experiments() -> Group {
    let mut group = Group::new("Experiments");
    let lacking: Vec<_> = demos::ALL.iter().filter(|demo| program::find(demo.name).is_none()).collect();
    let names: Vec<_> = lacking.iter().map(|demo| demo.name).collect();
    let found = format!("{} of {}", demos::ALL.len() - lacking.len(), demos::ALL.len());
    let missing = (!names.is_empty())
        .then(|| Unmet::new(format!("{found}; not built: {}", names.join(", ")), "cargo build"));
    group.add("binaries", found, Ok(missing));
    group
}
