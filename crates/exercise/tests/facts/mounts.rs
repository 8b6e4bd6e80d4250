//! Mounts and roots.

use std::env::temp_dir;
use std::fs;
use std::path::Path;

use ns_core::mount::{self, Propagation, Restriction};
use ns_core::{Named, Namespaces, Reporter, Result, root};

use crate::plain::Ending::Passed;
use crate::plain::{Answer, Check};
use crate::scene::{child, look, own, plain_child, reads, says};

pub(crate) const CHECKS: &[Check] = &[
    ("a_mount_is_that_of_its_namespace", a_mount_is_that_of_its_namespace),
    ("a_mount_propagates_as_it_says", a_mount_propagates_as_it_says),
    ("a_root_is_told_from_another", a_root_is_told_from_another),
];

fn mkdir(path: &Path) -> Result<()> {
    fs::create_dir(path).named(|| format!("mkdir(\"{}\")", path.display()))
}

/// A tmpfs over the directory for temporary files, in a mount namespace of its own.
pub(crate) fn own_tmp(_: &mut Reporter) -> Result<()> {
    mount::make_private()?;
    mount::mount("tmpfs", &temp_dir())
}

fn a_mount_is_that_of_its_namespace() -> Answer {
    let tmp = temp_dir().display().to_string().trim_end_matches('/').to_string();
    let plain = plain_child()?;
    let new = child(own(Namespaces::MNT), |me| {
        own_tmp(me)?;
        let (from, to) = (temp_dir().join("from"), temp_dir().join("to"));
        mkdir(&from)?;
        mkdir(&to)?;
        mount::bind(&from, &to)?;
        mount::restrict(&to, &[Restriction::ReadOnly])
    })?;
    let at = |what: &str| format!("mount {tmp}{what}");
    reads!(new.pid(),
        &at("") => "tmpfs",
        &at("/ source") => "tmpfs",
        &at("/to") => "tmpfs",
        &at("/to directory") => "/from",
        &at("/from") => "absent",
    );
    let (options, restricted) = (look(&at(" options"), new.pid()), look(&at("/to options"), new.pid()));
    let has = |options: &str, word: &str| options.split(' ').any(|option| option == word);
    assert!(has(&options, "rw") && has(&options, "nosuid") && !has(&options, "ro"), "{options}");
    assert!(has(&restricted, "ro"), "{restricted}");
    reads!(plain.pid(), &at("/to") => "absent", &at("/to options") => "absent");
    says!(plain.pid(), &at("/to") => format!("nothing is mounted at {tmp}/to"));
    says!(new.pid(), &at("") => format!("tmpfs is mounted at {tmp}"));
    let count = |pid| look("mounts", pid).parse::<usize>();
    assert_eq!(count(new.pid())?, count(plain.pid())? + 2);
    Ok(Passed)
}

fn a_mount_propagates_as_it_says() -> Answer {
    let fact = format!("mount {} propagation", temp_dir().display());
    for propagation in Propagation::ALL {
        let new = child(own(Namespaces::MNT), |me| {
            own_tmp(me)?;
            if propagation == Propagation::Slave {
                // What has no peer group that it could be a slave of becomes private.
                mount::set_propagation(&temp_dir(), Propagation::Shared)?;
                let other = temp_dir().join("other");
                mkdir(&other)?;
                mount::bind(&temp_dir(), &other)?;
            }
            mount::set_propagation(&temp_dir(), propagation)
        })?;
        reads!(new.pid(), &fact => propagation.word());
    }
    Ok(Passed)
}

fn a_root_is_told_from_another() -> Answer {
    let tmp = temp_dir().display().to_string().trim_end_matches('/').to_string();
    let plain = plain_child()?;
    reads!(plain.pid(), "root" => "/", "chrooted" => "no");
    let new = child(own(Namespaces::MNT), own_tmp)?;
    reads!(new.pid(), "root" => "/", "chrooted" => "no");
    let chrooted = child(own(Namespaces::MNT), |_| {
        mount::make_private()?;
        root::chroot(&temp_dir())
    })?;
    reads!(chrooted.pid(), "root" => tmp, "chrooted" => "yes", "mount /proc" => "absent");
    let pivoted = child(own(Namespaces::MNT), |me| {
        own_tmp(me)?;
        let old = temp_dir().join("old");
        mkdir(&old)?;
        root::pivot(&temp_dir(), &old)
    })?;
    reads!(pivoted.pid(), "root" => "tmpfs:/", "chrooted" => "no", "mount /" => "tmpfs");
    says!(pivoted.pid(), "root" => "its root is tmpfs:/");
    Ok(Passed)
}
