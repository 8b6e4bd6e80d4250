//! Cgroups, in whatever version this machine has.

use std::time::Duration;

use ns_core::Namespaces;
use ns_core::cgroup::{Cgroup, CgroupParent, CgroupRequest, InterfaceFile, Version};

use crate::plain::Ending::{Passed, Skipped};
use crate::plain::{Answer, Check};
use crate::scene::{look, own, plain_child, reads, says, start};

pub(crate) const CHECKS: &[Check] = &[
    ("a_limit_on_processes_is_the_strictest", || {
        limits(
            "pids",
            "pids.max",
            |cgroup, large| cgroup.limit("pids.max", if large { 10 } else { 5 }),
            "5",
            "10",
        )
    }),
    ("a_limit_on_memory_is_the_strictest", || {
        let limit = |cgroup: &Cgroup, large| {
            cgroup.limit(cgroup.file(InterfaceFile::MEMORY), if large { 64 << 20 } else { 32 << 20 })
        };
        limits("memory", "memory.max", limit, "33554432", "67108864")
    }),
    ("a_limit_on_cpus_is_a_fraction", || {
        let ms = Duration::from_millis;
        let limit = |cgroup: &Cgroup, large| cgroup.limit_cpu(ms(if large { 50 } else { 25 }), ms(100));
        limits("cpu", "cpu.max", limit, "0.25", "0.5")
    }),
    ("a_cgroup_has_a_path_members_and_files", a_cgroup_has_a_path_members_and_files),
    ("a_path_inside_begins_at_its_own_root", a_path_inside_begins_at_its_own_root),
];

/// The limit that a cgroup sets, and with a stricter one above it that of the one above.
fn limits(
    controller: &str,
    file: &str,
    limit: impl Fn(&Cgroup, bool) -> ns_core::Result<()>,
    strict: &str,
    large: &str,
) -> Answer {
    let fact = format!("limit {file}");
    let without = plain_child()?;
    let cgroup = match CgroupParent::find(CgroupRequest::Controller(controller))? {
        Ok(place) => place.create("facts")?,
        Err(unmet) => return Ok(Skipped(unmet.to_string())),
    };
    let free = look(&fact, without.pid());
    let member = plain_child()?;
    cgroup.join(member.pid())?;
    reads!(member.pid(), &fact => free);
    let path = look(&format!("cgroup {controller}"), member.pid());
    assert!(cgroup.path().ends_with(path.trim_start_matches('/')), "{path}");
    reads!(member.pid(), &format!("cgroup members {controller}") => "1");
    limit(&cgroup, true)?;
    reads!(member.pid(), &fact => large);
    if cgroup.version() == Version::V1 {
        let below = cgroup.child(&ns_core::cgroup::CgroupName::new("below")?)?;
        below.join(member.pid())?;
        // On version 1 a child may not have more than its parent.
        limit(&below, false)?;
        reads!(member.pid(), &fact => strict);
        drop(member);
        below.wait_populated(false)?;
        below.remove()?;
    } else {
        says!(member.pid(), &fact => format!("its limit {file} is {}", if file == "memory.max" { "64M" } else { large }));
        drop(member);
    }
    cgroup.wait_populated(false)?;
    cgroup.remove()?;
    Ok(Passed)
}

fn a_cgroup_has_a_path_members_and_files() -> Answer {
    let without = plain_child()?;
    let cgroup = match CgroupParent::find(CgroupRequest::AnyV2)? {
        Ok(place) => place.create("facts")?,
        Err(unmet) => return Ok(Skipped(unmet.to_string())),
    };
    let (one, two) = (plain_child()?, plain_child()?);
    cgroup.join(one.pid())?;
    cgroup.join(two.pid())?;
    let path = look("cgroup", one.pid());
    let name = cgroup.path().file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    assert!(path.ends_with(&name) && look("cgroup", without.pid()) != path, "{path}");
    reads!(one.pid(),
        "cgroup members" => "2",
        "cgroups of threads" => "1",
        "frozen" => "no",
        "cgroup file cgroup.type" => "domain",
        "cgroup file cgroup.events populated" => "1",
        "cgroup file cgroup.events nothing" => "absent",
        "cgroup file cgroup.nothing" => "absent",
        "cgroup file cgroup.max.depth" => "max",
    );
    says!(one.pid(), "cgroup file cgroup.events populated" => "its cgroup's cgroup.events says populated 1");
    cgroup.freeze()?;
    reads!(one.pid(), "frozen" => "yes", "cgroup file cgroup.freeze" => "1");
    cgroup.thaw()?;
    drop(two);
    reads!(one.pid(), "cgroup members" => "1");
    drop(one);
    cgroup.wait_populated(false)?;
    cgroup.remove()?;
    Ok(Passed)
}

fn a_path_inside_begins_at_its_own_root() -> Answer {
    let without = plain_child()?;
    let cgroup = match CgroupParent::find(CgroupRequest::AnyV2)? {
        Ok(place) => place.create("facts")?,
        Err(unmet) => return Ok(Skipped(unmet.to_string())),
    };
    let mut child = start(own(Namespaces::NONE), |me| {
        me.checkpoint()?;
        ns_core::namespace::unshare(Namespaces::CGROUP)?;
        me.report("ready", "yes")?;
        me.stay()
    })?;
    cgroup.join(child.pid())?;
    child.wake()?;
    child.fact()?;
    reads!(child.pid(), "cgroup inside" => "/");
    assert_ne!(look("cgroup", child.pid()), "/");
    reads!(without.pid(), "cgroup inside" => look("cgroup", without.pid()));
    drop(child);
    cgroup.wait_populated(false)?;
    cgroup.remove()?;
    Ok(Passed)
}
