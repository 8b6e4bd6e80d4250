//! The head of a file that is to be executed: which loader an ELF file names.
#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/mini-container/src/run"]
mod run {
    mod executable;

    pub(crate) fn look(head: &[u8]) {
        if let Some(name) = executable::loader(head) {
            assert!(!name.contains(&0) && name.len() <= head.len());
        }
    }
}

fuzz_target!(|data: &[u8]| run::look(data));
