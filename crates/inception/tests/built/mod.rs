//! The programs of all experiments, for tests that run them beside the driver.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder that `driver` is in, with it and the programs of all experiments.
///
/// `cargo test` has built them; `cargo test -p inception` has built the driver alone, so cargo is asked again. By the
/// tests of the promises, with which the programs are built as in a test of the workspace: where that was it, nothing
/// is left to do. Without cargo, as on a machine that the tests were carried to, what is there is taken.
///
/// # Panics
/// When cargo cannot build them.
pub(crate) fn programs(driver: &Path) -> PathBuf {
    let folder = driver.parent().expect("it is in a directory");
    let Some(cargo) = std::env::var_os("CARGO") else { return folder.into() };
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let mut build = Command::new(cargo);
    build.args([
        "test",
        "--quiet",
        "--workspace",
        "--exclude",
        "ns-map-live",
        "--test",
        "promises",
        "--test",
        "driver",
        "--no-run",
    ]);
    build.args(["--profile", profile]);
    build.arg("--target-dir").arg(folder.parent().expect("cargo builds two folders down"));
    let output = build.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the experiments cannot be built: {said}");
    folder.into()
}
