//! A file for what is told.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A path of its own for a file that is gone when this is.
pub(crate) struct Kept(PathBuf);

impl Kept {
    pub(crate) fn new() -> Kept {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ns-trace-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Kept(std::env::temp_dir().join(name))
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
