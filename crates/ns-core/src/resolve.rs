//! Paths that must not lead out of a directory.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// Opens `path` at `directory` by openat2(2), with O_CLOEXEC and `flags`, within what `resolve` allows. It creates nothing.
///
/// Where `path` or a link in it has `..`, and something was renamed or mounted meanwhile, anywhere on the machine, the
/// kernel answers EAGAIN: `..` may have led out. It is asked again, as openat2(2) proposes.
///
/// # Errors
/// Those of openat2(2). EAGAIN only after 1,000 times, where it is no coincidence.
pub fn openat2(
    directory: impl AsFd,
    path: impl Arg + Copy,
    flags: OFlags,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    for _ in 0..1000 {
        #[expect(clippy::disallowed_methods, reason = "here it is repeated")]
        match rustix::fs::openat2(directory.as_fd(), path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            answer => return answer,
        }
    }
    Err(Errno::AGAIN)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn no_rename_elsewhere_makes_it_fail() {
        let directory = tempfile::tempdir().unwrap();
        let (there, elsewhere) = (directory.path().join("there"), directory.path().join("elsewhere"));
        fs::create_dir_all(there.join("below")).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        let opened = File::open(&there).unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                fs::create_dir(elsewhere.join("one")).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    fs::rename(elsewhere.join("one"), elsewhere.join("other")).unwrap();
                    fs::rename(elsewhere.join("other"), elsewhere.join("one")).unwrap();
                }
            });
            // Each `..` takes a while to check.
            let path = "below/../".repeat(50);
            let open = || openat2(&opened, &*path, OFlags::PATH, ResolveFlags::BENEATH).map(drop);
            let answer = (0..5000).try_for_each(|_| open());
            stop.store(true, Ordering::Relaxed);
            assert_eq!(answer, Ok(()));
        });
    }

    #[test]
    fn what_leads_out_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let opened = File::open(directory.path()).unwrap();
        let answer = openat2(&opened, "..", OFlags::PATH, ResolveFlags::BENEATH).map(drop);
        assert_eq!(answer, Err(Errno::XDEV));
    }
}
