//! What several targets need.

use std::fs::File;
use std::io::Write;

use rustix::fs::{MemfdFlags, memfd_create};

/// A file that holds `data`.
pub(crate) fn file(data: &[u8]) -> File {
    let mut file = File::from(memfd_create("input", MemfdFlags::CLOEXEC).unwrap());
    file.write_all(data).unwrap();
    file
}
