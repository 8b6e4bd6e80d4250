//! Whoever waits for bytes has a deadline.

use std::io::Read;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// In seconds.
const DEADLINE: i64 = 60;

/// What a program writes, as it comes.
pub(crate) struct Input<R> {
    from: R,
    /// What came, and was not taken.
    pub(crate) seen: String,
}

impl<R: Read + AsFd> Input<R> {
    pub(crate) fn new(from: R) -> Input<R> {
        Input { from, seen: String::new() }
    }

    /// Waits until `part` has come, and gives all up to its end, which is taken.
    pub(crate) fn up_to(&mut self, part: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(part) {
                return self.seen.drain(..at + part.len()).collect();
            }
            assert!(self.more(), "its end comes before '{part}', after: {}", self.seen);
        }
    }

    /// Whether more came before its end.
    fn more(&mut self) -> bool {
        let mut fds = [PollFd::new(&self.from, PollFlags::IN)];
        let ready = poll(&mut fds, Some(&Timespec { tv_sec: DEADLINE, tv_nsec: 0 })).unwrap();
        assert_eq!(ready, 1, "nothing came in {DEADLINE} s, after: {}", self.seen);
        let mut room = [0; 4096];
        let length = self.from.read(&mut room).unwrap();
        self.seen += &String::from_utf8_lossy(&room[..length]);
        length > 0
    }
}
