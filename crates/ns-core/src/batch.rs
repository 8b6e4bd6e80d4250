//! Descriptors that are closed together.

use std::os::fd::OwnedFd;

use nix::sys::resource::{Resource, getrlimit};

use crate::sys;

/// So many are kept at most.
const MOST: usize = 64;

/// Descriptors that were looked at, and are closed many at a time: one close_range(2) is cheaper than many a close(2).
#[derive(Debug)]
pub struct Batch {
    waiting: Vec<OwnedFd>,
    most: usize,
}

impl Batch {
    /// An empty one. It keeps at most a quarter of the descriptors that this process may have (RLIMIT_NOFILE).
    pub fn new() -> Batch {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft / 4);
        Batch { waiting: Vec::new(), most: usize::try_from(limit).unwrap_or(MOST).min(MOST) }
    }

    /// Closes `descriptor` with the next ones.
    pub fn close(&mut self, descriptor: impl Into<OwnedFd>) {
        self.waiting.push(descriptor.into());
        if self.waiting.len() >= self.most {
            self.close_all();
        }
    }

    fn close_all(&mut self) {
        sys::close_all(std::mem::take(&mut self.waiting));
    }
}

impl Default for Batch {
    fn default() -> Batch {
        Batch::new()
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.close_all();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_closed_together_is_closed_and_nothing_else() {
        let (mut kept, write) = nix::unistd::pipe().map(|(read, write)| (File::from(read), write)).unwrap();
        let other = File::open("/proc/self/status").unwrap();
        let mut batch = Batch::new();
        // Not in the order of their numbers, and with a descriptor of another owner between.
        batch.close(write);
        batch.close(File::open("/dev/null").unwrap());
        drop(batch);
        assert_eq!(kept.read(&mut [0]).unwrap(), 0, "the pipe has no writer any more");
        assert!(other.metadata().is_ok());
    }
}
