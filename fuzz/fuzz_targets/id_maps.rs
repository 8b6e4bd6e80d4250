//! ID maps: as `mini-container run --user` has them, and as numbers, four bytes each.
#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;
use ns_core::idmap::{Extent, IdMap};
use ns_core::is_deceptive;

#[path = "../../crates/mini-container/src/run"]
mod run {
    mod identity;

    pub(crate) fn read(text: &str) {
        if let Ok(identity::Ids::Range(extent)) = text.parse() {
            let again = format!("{}:{}:{}", extent.inside, extent.outside, extent.length);
            assert!(again.parse::<identity::Ids>().is_ok(), "{again}");
        }
    }
}

fuzz_target!(|data: &[u8]| {
    run::read(&String::from_utf8_lossy(data));
    let (numbers, _) = data.as_chunks::<4>();
    let (extents, _) = numbers.as_chunks::<3>();
    let extents = extents.iter().map(|it| it.map(u32::from_le_bytes));
    let extents: Vec<Extent> =
        extents.map(|[inside, outside, length]| Extent { inside, outside, length }).collect();
    match IdMap::new(extents.clone()) {
        Ok(map) => {
            let lines: String = extents.iter().map(|extent| format!("{extent}\n")).collect();
            assert_eq!(map.to_string(), lines);
        }
        Err(refusal) => {
            let refusal = refusal.to_string();
            assert!(refusal.len() < 300 && !refusal.chars().any(is_deceptive), "{refusal:?}");
        }
    }
});
