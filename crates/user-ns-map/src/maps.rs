//! ID maps: what an ordinary user may write, and how IDs and maps are shown.

use ns_core::idmap::IdMaps;
use ns_core::{Kind, Result, Value, host};

use crate::user;

/// The only line that an ordinary user may write to uid_map: their own ID.
pub(crate) fn own_id() -> String {
    format!("0 {} 1\n", user::ids().uid)
}

/// Maps that make the ordinary user root inside.
pub(crate) fn root_inside() -> IdMaps {
    IdMaps::own(0, user::ids().uid, user::ids().gid)
}

/// Writes maps for the caller if it is in a new user namespace. Otherwise it has nothing to map.
pub(crate) fn write_where_new(maps: &IdMaps) -> Result<()> {
    if host::left(Kind::User)? { maps.write_for(None) } else { Ok(()) }
}

/// An ID as a value. 0 and the overflow ID are the same on all machines, and the others are users of this one.
pub(crate) fn id(number: u32) -> Value {
    match number {
        0..=99 | 65534 => number.into(),
        user => Value::Name(user.to_string()),
    }
}

/// A map of one line as a value: inside, outside, how many.
pub(crate) fn map(text: &str) -> Value {
    let numbers: Vec<u32> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
    match numbers.as_slice() {
        [inside, outside, length] => vec![id(*inside), id(*outside), (*length).into()].into(),
        _ if text.is_empty() => "empty".into(),
        _ => text.into(),
    }
}

/// The columns of a map.
pub(crate) const COLUMNS: [&str; 4] = ["map", "inside", "outside", "how many"];

/// A row for each line of a map that was read.
pub(crate) fn rows(file: &str, map: &str) -> Vec<Vec<Value>> {
    let ids = user::ids();
    let row = |line: &str| -> Option<Vec<Value>> {
        let numbers: Vec<u32> = line.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let &[inside, outside, length] = numbers.as_slice() else { return None };
        let of_user = outside == ids.uid || outside == ids.gid;
        let outside = if of_user { id(outside) } else { outside.into() };
        Some(vec![file.into(), inside.into(), outside, length.into()])
    };
    map.split(", ").filter_map(row).collect()
}
