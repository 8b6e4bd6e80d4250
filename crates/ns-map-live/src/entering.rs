//! How a namespace is entered: for a look inside, and by hand.

use std::borrow::Cow;

use map::{Keeper, Namespace};
use ns_core::{Kind, Namespaces, NsId, Pid, namespace};
use shell::{Plan, Target, by_hand};

use crate::inside::Way;

/// How `of` is entered, if anything leads there. `own` are the caller's namespaces.
pub(crate) fn way(of: &Namespace, own: &[NsId]) -> Option<Way> {
    if own.contains(&of.id) {
        return Some(Way::Here);
    }
    of.lowest
        .map(Way::Process)
        .or_else(|| of.kept_by.iter().find_map(|keeper| file(of.id.kind, keeper)).map(Way::File))
}

/// The file that stands for a namespace of `kind` because of what keeps it, if one does.
fn file(kind: Kind, keeper: &Keeper) -> Option<String> {
    match keeper {
        Keeper::Mount { path, pid } => {
            let is_here = || {
                let of = |process| namespace::of_kind(process, Kind::Mnt).ok();
                of(None).is_some() && of(None) == of(Some(Pid::from_raw(*pid)))
            };
            Some(if is_here() { path.clone() } else { format!("/proc/{pid}/root{path}") })
        }
        Keeper::Descriptor { pid, fd, .. } => Some(format!("/proc/{pid}/fd/{fd}")),
        Keeper::ForChildren { pid, .. } => Some(format!("/proc/{pid}/ns/{kind}_for_children")),
        Keeper::Socket { .. } | Keeper::Child { .. } | Keeper::Owned { .. } => None,
    }
}

/// The commands that enter it, as they are typed, and last one that enters all kinds; or a line that says why there is none.
pub(crate) fn commands(of: &Namespace, way: Option<&Way>) -> Result<Vec<(&'static str, String)>, String> {
    let kind = of.id.kind;
    match way {
        None => Err("no process is in it, and no file leads there".into()),
        Some(Way::Here) => Err("ns-map-live is in it".into()),
        Some(Way::Process(pid)) => {
            let target = Target::find(&pid.to_string()).map_err(|error| error.to_string())?;
            let this = by_hand(&Plan::entered(target.only(Namespaces::only(kind))), &[]);
            let lines = this.map_err(|error| error.to_string())?.into_iter().map(|line| ("by hand", line));
            Ok(lines.chain([("all kinds", format!("ns-enter {pid}"))]).collect())
        }
        Some(Way::File(path)) => {
            let option = if kind == Kind::Mnt { "mount" } else { kind.link() };
            let path = shlex::try_quote(path).map_or_else(|_| "''".into(), Cow::into_owned);
            Ok(vec![("by hand", format!("nsenter --{option}={path} sh"))])
        }
    }
}
