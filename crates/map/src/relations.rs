//! The relations of a namespace: its owner and its parent, ioctl_ns(2).

use ns_core::{Batch, Kind, NsFile, NsId};

use crate::model::{Keeper, Map};

/// Asks one namespace, and those that are found so, as long as they were not known. Closes `file` with the others of
/// `batch`.
pub(crate) fn relate_one(map: &mut Map, id: NsId, file: NsFile, batch: &mut Batch) {
    let owner = file.owner().ok();
    let parent = matches!(id.kind, Kind::Pid | Kind::User).then(|| file.parent().ok()).flatten();
    for (relative, kind, is_owner) in [(owner, Kind::User, true), (parent, id.kind, false)] {
        let Some(file) = relative else { continue };
        let Ok(relative) = file.id_as(kind) else { continue };
        let is_new = !map.namespaces.contains_key(&relative);
        let of = map.at(id);
        if is_owner {
            of.owner = Some(relative);
        } else {
            of.parent = Some(relative);
        }
        if is_new {
            relate_one(map, relative, file, batch);
        } else {
            batch.close(file);
        }
        keep(map, relative, id, is_owner);
    }
    batch.close(file);
}

/// A namespace without a member is kept by those that it owns, and by its children.
fn keep(map: &mut Map, relative: NsId, id: NsId, is_owner: bool) {
    let other = map.at(relative);
    if other.members == 0 {
        other.kept_by.push(if is_owner {
            Keeper::Owned { kind: id.kind.link(), inode: id.ino }
        } else {
            Keeper::Child { inode: id.ino }
        });
    }
}
