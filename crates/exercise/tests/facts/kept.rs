//! Namespaces that a mount or a descriptor keeps.

use std::env::temp_dir;
use std::fs;
use std::path::Path;

use ns_core::{Child, Kind, Named, Namespaces, NsFile, mount, namespace, uts};

use crate::mounts::own_tmp;
use crate::plain::Ending::Passed;
use crate::plain::{Answer, Check};
use crate::scene::{child, own, plain_child, reads, says, start};

pub(crate) const CHECKS: &[Check] = &[
    ("a_mount_holds_a_namespace_without_members", a_mount_holds_a_namespace_without_members),
    ("a_descriptor_holds_a_namespace_without_members", a_descriptor_holds_a_namespace_without_members),
    ("a_descriptor_may_lead_to_our_own_namespace", a_descriptor_may_lead_to_our_own_namespace),
];

fn a_mount_holds_a_namespace_without_members() -> Answer {
    let path = temp_dir().join("kept");
    let mut holder = start(own(Namespaces::MNT), |me| {
        own_tmp(me)?;
        let path = temp_dir().join("kept");
        fs::write(&path, "").named(|| "write()".into())?;
        let mut fox = Child::spawn("fox", Namespaces::UTS, |me| {
            uts::set_hostname("fox")?;
            me.report("ready", "yes")?;
            me.stay()
        })?;
        fox.fact()?;
        mount::bind(Path::new(&format!("/proc/{}/ns/uts", fox.pid())), &path)?;
        me.report("uts", namespace::of_kind(Some(fox.pid()), Kind::Uts)?)?;
        me.checkpoint()?;
        drop(fox);
        me.report("fox", "gone")?;
        me.stay()
    })?;
    let id = holder.fact()?.value.to_string();
    let at = |rest: &str| format!("{}{rest}", path.display());
    reads!(holder.pid(),
        &format!("held uts {}", at("")) => id,
        &format!("held net {}", at("")) => "absent",
        &format!("held uts {}", at(" members")) => "1",
        &format!("held uts {}", at(" hostname")) => "fox",
    );
    holder.wake()?;
    holder.fact()?;
    reads!(holder.pid(), &format!("held uts {}", at(" members")) => "0");
    reads!(holder.pid(), &format!("held uts {}", at(" hostname")) => "fox");
    let plain = plain_child()?;
    reads!(plain.pid(),
        &format!("held uts {}", at("")) => "absent",
        &format!("held uts {}", at(" members")) => "absent",
        &format!("held uts {}", at(" hostname")) => "absent",
    );
    says!(plain.pid(), &format!("held uts {}", at("")) => format!("no UTS namespace is mounted at {}", at("")));
    Ok(Passed)
}

fn a_descriptor_holds_a_namespace_without_members() -> Answer {
    let mut holder = start(own(Namespaces::NONE), |me| {
        let fox = child(Namespaces::UTS, |_| uts::set_hostname("fox"))?;
        let open = NsFile::of(Some(fox.pid()), Kind::Uts)?;
        me.report("uts", open.id()?)?;
        me.checkpoint()?;
        drop(fox);
        me.report("fox", "gone")?;
        me.stay()
    })?;
    let id = holder.fact()?.value.to_string();
    reads!(holder.pid(),
        "descriptor uts" => id,
        "descriptor net" => "absent",
        "descriptor uts members" => "1",
        "descriptor uts hostname" => "fox",
    );
    holder.wake()?;
    holder.fact()?;
    reads!(holder.pid(), "descriptor uts members" => "0", "descriptor uts hostname" => "fox");
    reads!(plain_child()?.pid(), "descriptor uts" => "absent", "descriptor uts hostname" => "absent");
    Ok(Passed)
}

/// Which nobody without privilege could enter, and nobody needs to.
fn a_descriptor_may_lead_to_our_own_namespace() -> Answer {
    let ours = NsFile::of(None, Kind::Uts)?;
    let holder = child(own(Namespaces::UTS), |_| uts::set_hostname("fox"))?;
    reads!(holder.pid(),
        "descriptor uts" => ours.id()?.to_string(),
        "descriptor uts hostname" => uts::hostname(),
        "hostname" => "fox",
    );
    Ok(Passed)
}
