//! Orphans are waited for, as init would. A test of its own: it waits for every child of this process.

use std::process::Command;

/// Leaves an orphan that soon ends, and ends with 7 when it is gone; with 1 if it is a zombie still after so many looks.
const SCRIPT: &str = "pid=$(sh -c 'sleep 0.1 >/dev/null & echo $!'); i=0; \
                      while [ $i -lt $0 ]; do kill -0 $pid 2>/dev/null || exit 7; i=$((i+1)); sleep 0.01; done; exit 1";

#[test]
fn an_orphan_that_ends_is_no_zombie_for_who_looks() {
    residue::adopt().unwrap();
    let start = |looks: &str| Command::new("sh").args(["-c", SCRIPT, looks]).spawn().unwrap();
    // The control: who waits for the child alone leaves the orphan a zombie.
    let status = start("50").wait().unwrap();
    assert_eq!(status.code(), Some(1));
    let mut child = start("3000");
    let status = residue::wait_as_init(&mut child).unwrap();
    assert_eq!(status.code(), Some(7));
}
