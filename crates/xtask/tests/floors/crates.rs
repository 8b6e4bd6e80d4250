//! Which crate of the workspace uses which, as cargo has it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Each crate of this workspace, with those that it is built of; not those that only its tests use.
pub(crate) fn built_of() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let names: BTreeSet<String> = packages.iter().map(|package| text(package, "name")).collect();
    let used = |package: &Value| {
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        let built_in = dependencies.filter(|it| it["kind"].is_null()).map(|it| text(it, "name"));
        built_in.filter(|name| names.contains(name)).collect()
    };
    packages.iter().map(|package| (text(package, "name"), used(package))).collect()
}

/// The crates that a plain `cargo build` leaves out, with the Rust that each needs.
pub(crate) fn left_out() -> Vec<(String, String)> {
    let metadata = metadata();
    let built = metadata["workspace_default_members"].as_array().expect("default members");
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let left_out = packages.filter(|package| !built.contains(&package["id"]));
    left_out.map(|package| (text(package, "name"), text(package, "rust_version"))).collect()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_string()
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    // From a crate's directory, a plain `cargo build` would mean that crate.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(cargo).args(arguments).current_dir(root).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}
