//! The launcher killed by SIGKILL at several moments: it cannot clean up, so the kernel has to.

mod plain;

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use plain::{Directory, PATIENCE, PROGRAM, mounts, rootfs};

/// How many moments are tried, from the start of the container until shortly after it.
const MOMENTS: u32 = 30;

/// How many processes have these arguments. The command has a unique argument, since the container sets its environment.
/// The launcher and init have the name of the root filesystem.
fn how_many(words: &[&str]) -> usize {
    let lines =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|it| fs::read(it.path().join("cmdline")).ok());
    lines
        .filter(|line| {
            let line = String::from_utf8_lossy(line);
            line.split('\0').any(|it| words.contains(&it))
        })
        .count()
}

fn start(rootfs: &Directory, number: &str) -> std::process::Child {
    Command::new(PROGRAM)
        .arg("run")
        .arg(&rootfs.0)
        .args(["sh", "-c", "echo ready; exec sleep $1", "sh", number])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn nothing_is_left_of_a_launcher_that_is_killed_at_any_moment() {
    let rootfs = rootfs("any-moment");
    let number = (200_000 + std::process::id()).to_string();
    let words = [number.as_str(), rootfs.0.to_str().unwrap()];
    let before = mounts();
    let began = Instant::now();
    let mut child = start(&rootfs, &number);
    child.stdout.take().unwrap().read_exact(&mut [0; 6]).unwrap();
    let usual = began.elapsed();
    for moment in 0..=MOMENTS {
        if moment > 0 {
            child = start(&rootfs, &number);
            // This sleep chooses the moment; there is no event to wait for.
            std::thread::sleep(usual.mul_f64(1.2) * moment / MOMENTS);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let late = Instant::now() + PATIENCE;
        while how_many(&words) > 0 {
            assert!(Instant::now() < late, "something lives on, killed at moment {moment} of {MOMENTS}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    assert_eq!(mounts(), before);
}
