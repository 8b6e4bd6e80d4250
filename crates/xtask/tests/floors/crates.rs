//! Which crate of the workspace uses which, as cargo has it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each crate of this workspace, with those that it is built of; not those that only its tests use.
pub(crate) fn built_of() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(cargo).args(arguments).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_string();
    let packages = metadata["packages"].as_array().expect("packages");
    let names: BTreeSet<String> = packages.iter().map(|package| text(package, "name")).collect();
    let used = |package: &Value| {
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        let built_in = dependencies.filter(|it| it["kind"].is_null()).map(|it| text(it, "name"));
        built_in.filter(|name| names.contains(name)).collect()
    };
    packages.iter().map(|package| (text(package, "name"), used(package))).collect()
}
