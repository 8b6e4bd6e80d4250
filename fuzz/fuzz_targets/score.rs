//! The file in which predictions are kept.
#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

mod plain;

#[path = "../../crates/inception/src/classroom"]
mod classroom {
    mod score;
    mod user;

    use crate::plain;

    pub(crate) fn read(data: &[u8]) {
        let score = score::Score::read("/score".into(), plain::file(data)).unwrap();
        let (right, asked) = score.so_far();
        let missed: usize = score.missed().values().map(Vec::len).sum();
        assert_eq!(right + missed, asked);
        let lines = data.split(|byte| *byte == b'\n').count();
        assert!(asked + score.unreadable.len() <= lines, "no line counts twice");
        assert!(score.unreadable.iter().all(|line| (1..=lines).contains(line)));
    }
}

fuzz_target!(|data: &[u8]| classroom::read(data));
