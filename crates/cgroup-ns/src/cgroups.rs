//! The cgroups of this experiment, the children in them, and the paths that these read.

use anyhow::Result;
use ns_core::cgroup::{self, Cgroup, CgroupParent, CgroupRequest, Layout, Version};
use ns_core::probe::Unmet;
use ns_core::{Child, Namespaces, Pid, Reporter, Spawn, Value, namespace};

/// Three cgroups: a parent with two children.
pub(crate) struct Tree {
    // The children are dropped before their parent.
    pub(crate) home: Cgroup,
    pub(crate) sibling: Cgroup,
    pub(crate) top: Cgroup,
}

impl Tree {
    pub(crate) fn new(parent: &CgroupParent) -> Result<Tree> {
        let top = parent.create("top")?;
        Ok(Tree { home: top.child(&"home".parse()?)?, sibling: top.child(&"sibling".parse()?)?, top })
    }
}

/// A child that is moved to `cgroup`, then moves into new `namespaces`, and runs `body`. It always has its own mount
/// namespace.
///
/// The order matters: the cgroup of the creator becomes the root of a new cgroup namespace.
pub(crate) fn into_cgroup(
    cgroup: &Cgroup,
    label: &str,
    namespaces: Namespaces,
    body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>,
) -> Result<Child> {
    let child = Spawn::new(label).namespaces(Namespaces::MNT).run(|me| {
        me.checkpoint()?;
        namespace::unshare(namespaces)?;
        body(me)
    })?;
    cgroup.join(child.pid())?;
    child.wake()?;
    Ok(child)
}

/// The cgroup of the first children.
pub(crate) struct Home {
    /// `None`: the cgroup of this process.
    cgroup: Option<Cgroup>,
    /// The controllers of its hierarchy, as /proc/PID/cgroup names them: empty on version 2.
    pub(crate) controllers: String,
}

impl Home {
    pub(crate) fn find() -> ns_core::Result<Result<Home, Unmet>> {
        let unmet = match CgroupParent::find(CgroupRequest::AnyV2)? {
            Ok(parent) => {
                let cgroup = Some(parent.create("home")?);
                return Ok(Ok(Home { cgroup, controllers: String::new() }));
            }
            Err(unmet) => unmet,
        };
        // A read needs no new cgroup. But in the root there is nothing to hide.
        let layout = Layout::detect()?;
        let below_root = |path: &str| path != "/" && !path.starts_with("/..");
        Ok(match layout.hierarchies().iter().find(|it| below_root(it.own())) {
            Some(hierarchy) if hierarchy.version() == Version::V2 => {
                Ok(Home { cgroup: None, controllers: String::new() })
            }
            Some(hierarchy) => Ok(Home { cgroup: None, controllers: hierarchy.controllers().join(",") }),
            None => Err(unmet),
        })
    }

    /// A child in this cgroup that moves into new `namespaces`, and then runs `body`.
    pub(crate) fn start(
        &self,
        label: &str,
        namespaces: Namespaces,
        body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>,
    ) -> Result<Child> {
        if let Some(cgroup) = &self.cgroup {
            return into_cgroup(cgroup, label, namespaces, body);
        }
        Ok(Child::spawn(label, Namespaces::NONE, |me| {
            namespace::unshare(namespaces)?;
            body(me)
        })?)
    }
}

/// The path of a process in the hierarchy of `controllers` (empty: version 2), as the caller reads it.
pub(crate) fn path_of(process: Option<Pid>, controllers: &str) -> ns_core::Result<String> {
    Ok(cgroup::path_of(process, controllers)?.unwrap_or_else(|| "none".into()))
}

/// The most characters of a path that is shown.
const LONGEST: usize = 20;

/// A path as a value. It leaves out the parent and the unique part of the experiment's names. A long path of others is
/// cut to its last name, or to nothing if that is long too.
pub(crate) fn shown(path: &str) -> Value {
    if let Some((_, name)) = path.split_once("/inception-") {
        // inception-PID-STARTTIME-N-PURPOSE
        let purpose = name.splitn(4, '-').last().unwrap_or_default();
        return Value::Text(format!("/…-{purpose}"));
    }
    let rest = path.trim_start_matches("/..");
    if matches!(rest, "" | "/" | "/sibling" | "/home") {
        return Value::Text(path.into());
    }
    let is_short = |path: &str| path.chars().count() <= LONGEST;
    if is_short(path) || path.starts_with("/..") {
        return Value::Name(path.into());
    }
    let last = format!("/…/{}", path.rsplit('/').next().unwrap_or_default());
    Value::Name(if is_short(&last) { last } else { "/…".into() })
}
