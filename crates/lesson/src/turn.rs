//! Whose turn it is, where several experiments run at the same time.
//!
//! The driver gives the same file to all of them. Each takes a turn a step, by locks on two of the file's bytes (fcntl(2),
//! open file description locks). An ordinary step shares the second byte with others, and a step that has to be alone
//! takes it whole. The first byte is a gate in front of it, which one that waits for the whole keeps closed. So it waits
//! for the steps that go on, and not for those to come.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::rc::Rc;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{self, c_int, c_short, off_t};
use ns_core::{Errno, Named, Result};

const GATE: off_t = 0;
const STEPS: off_t = 1;

/// Takes part in the turns, or does not where an experiment runs by itself.
#[derive(Debug, Default)]
pub(crate) struct Turns(Option<Rc<File>>);

/// A turn, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    file: Option<Rc<File>>,
}

impl Turns {
    /// By the file that the driver gives. One that cannot be opened is that of a driver that has ended.
    pub(crate) fn among_others(file: Option<&Path>) -> Turns {
        let open = |file: &Path| OpenOptions::new().read(true).write(true).open(file).ok().map(Rc::new);
        Turns(file.and_then(open))
    }

    /// Waits for a turn: beside others, or `alone`.
    ///
    /// # Errors
    /// None that fcntl(2) documents for such a file, but ENOLCK.
    pub(crate) fn take(&self, alone: bool) -> Result<Turn> {
        let Some(file) = &self.0 else { return Ok(Turn { file: None }) };
        lock(file, GATE, libc::F_WRLCK)?;
        // The gate is dropped too where the second lock cannot be had.
        let turn = Turn { file: Some(Rc::clone(file)) };
        lock(file, STEPS, if alone { libc::F_WRLCK } else { libc::F_RDLCK })?;
        if !alone {
            lock(file, GATE, libc::F_UNLCK)?;
        }
        Ok(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = lock(file, STEPS, libc::F_UNLCK);
            let _ = lock(file, GATE, libc::F_UNLCK);
        }
    }
}

/// A lock of one byte: `how` is F_RDLCK, F_WRLCK or F_UNLCK.
fn record(byte: off_t, how: c_int) -> libc::flock {
    libc::flock {
        l_type: how as c_short,
        l_whence: libc::SEEK_SET as c_short,
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}

fn lock(file: &File, byte: off_t, how: c_int) -> Result<()> {
    let wanted = record(byte, how);
    loop {
        match fcntl(file, FcntlArg::F_OFD_SETLKW(&wanted)) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop).named(|| "fcntl(the driver's file, F_OFD_SETLKW)".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::os::fd::AsRawFd;
    use std::path::PathBuf;
    use std::sync::{Arc, Mutex};
    use std::thread::{self, JoinHandle};

    /// What happens, in its order.
    type Log = Arc<Mutex<Vec<&'static str>>>;

    /// A file as the driver gives it. The path is good as long as the file is open.
    fn file() -> (File, PathBuf) {
        let file = File::from(memfd_create(c"turns", MFdFlags::MFD_CLOEXEC).unwrap());
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        (file, path)
    }

    /// Takes a turn by an open file of its own, as another process does, and notes that.
    fn begin(path: &Path, alone: bool, name: &'static str, log: &Log) -> JoinHandle<()> {
        let (path, log) = (path.to_path_buf(), Arc::clone(log));
        thread::spawn(move || {
            let _turn = Turns::among_others(Some(&path)).take(alone).unwrap();
            log.lock().unwrap().push(name);
        })
    }

    /// Whether another open file has locked that byte.
    fn is_locked(path: &Path, byte: off_t) -> bool {
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let mut asked = record(byte, libc::F_WRLCK);
        fcntl(&file, FcntlArg::F_OFD_GETLK(&mut asked)).unwrap();
        c_int::from(asked.l_type) != libc::F_UNLCK
    }

    #[test]
    fn one_that_is_alone_waits_for_what_goes_on_and_goes_before_what_comes() {
        let (_file, path) = file();
        let log = Log::default();
        let first = Turns::among_others(Some(&path)).take(false).unwrap();
        begin(&path, false, "beside", &log).join().unwrap();
        let alone = begin(&path, true, "alone", &log);
        ns_core::until("the gate", || Ok(is_locked(&path, GATE).then_some(()))).unwrap();
        let late = begin(&path, false, "late", &log);
        log.lock().unwrap().push("the first ends");
        drop(first);
        for thread in [alone, late] {
            thread.join().unwrap();
        }
        assert_eq!(*log.lock().unwrap(), ["beside", "the first ends", "alone", "late"]);
        assert!(![GATE, STEPS].into_iter().any(|byte| is_locked(&path, byte)), "all is given back");
    }

    #[test]
    fn while_one_is_alone_nobody_else_has_a_turn() {
        let (_file, path) = file();
        let log = Log::default();
        let alone = Turns::among_others(Some(&path)).take(true).unwrap();
        let others = [false, true].map(|is_alone| begin(&path, is_alone, "another", &log));
        log.lock().unwrap().push("the one alone ends");
        drop(alone);
        others.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*log.lock().unwrap(), ["the one alone ends", "another", "another"]);
    }

    #[test]
    fn who_runs_by_itself_waits_for_nobody() {
        for turns in [Turns::default(), Turns::among_others(Some(Path::new("/nowhere")))] {
            drop(turns.take(true).unwrap());
        }
    }
}
