//! The head of a file that is to be executed: which loader an ELF file names.
#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/mini-container/src/run"]
mod run {
    mod archive;
    mod bytes;
    mod devices;
    mod entry;
    mod layers;
    mod place;
    mod program;
    mod root;
    mod streams;

    pub(crate) fn look(head: &[u8]) {
        if let Some(name) = program::loader(head) {
            assert!(!name.contains(&0) && name.len() <= head.len());
        }
    }
}

fuzz_target!(|data: &[u8]| run::look(data));
