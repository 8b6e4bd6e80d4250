//! Files below the root of a process.

use std::env::temp_dir;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};
use ns_core::{Named, Namespaces, root};

use crate::mounts::own_tmp;
use crate::plain::Ending::Passed;
use crate::plain::{Answer, Check};
use crate::scene::{child, plain_child, reads, says};

pub(crate) const CHECKS: &[Check] = &[
    ("a_file_is_read_below_its_root", a_file_is_read_below_its_root),
    ("a_link_leads_nowhere_but_below_the_root", a_link_leads_nowhere_but_below_the_root),
];

fn a_file_is_read_below_its_root() -> Answer {
    let tmp = temp_dir().display().to_string().trim_end_matches('/').to_string();
    let plain = plain_child()?;
    let new = child(own_mounts(), |me| {
        own_tmp(me)?;
        let path = temp_dir().join("note for you");
        let call = || "write".to_string();
        fs::write(&path, "  two\nlines\n").named(call)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).named(call)?;
        fs::create_dir(temp_dir().join("directory")).named(call)?;
        mkfifo(&temp_dir().join("fifo"), Mode::S_IRWXU).named(call)?;
        std::env::set_current_dir(temp_dir().join("directory")).named(call)
    })?;
    let file = |rest: &str| format!("file {tmp}/{rest}");
    reads!(new.pid(),
        &file("note for you") => "two\nlines",
        &file("note for you mode") => "0600",
        &file("note for you owner") => geteuid().to_string(),
        &file("directory") => "directory",
        &file("fifo") => "FIFO",
        &file("nothing") => "absent",
        "file /proc/sys/kernel/ostype" => "Linux",
        "working directory" => format!("{tmp}/directory"),
    );
    reads!(plain.pid(),
        &file("note for you") => "absent",
        &file("note for you mode") => "absent",
        &file("note for you owner") => "absent",
        "working directory" => std::env::current_dir()?.display().to_string(),
    );
    says!(new.pid(), &file("note for you") => format!("its {tmp}/note for you says two\\nlines"));
    Ok(Passed)
}

fn a_link_leads_nowhere_but_below_the_root() -> Answer {
    let new = child(own_mounts(), |me| {
        own_tmp(me)?;
        let call = || "write".to_string();
        fs::write(temp_dir().join("inside"), "inside").named(call)?;
        symlink("/inside", temp_dir().join("absolute")).named(call)?;
        symlink("../../../../inside", temp_dir().join("climbing")).named(call)?;
        symlink("/proc/1/environ", temp_dir().join("outside")).named(call)?;
        root::chroot(&temp_dir())
    })?;
    reads!(new.pid(),
        "file /absolute" => "inside",
        "file /climbing" => "inside",
        "file /../../inside" => "inside",
        "file /outside" => "absent",
        "file /inside/x" => "absent",
    );
    Ok(Passed)
}

fn own_mounts() -> Namespaces {
    Namespaces::USER | Namespaces::MNT
}
