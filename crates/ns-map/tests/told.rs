//! What the map tells of namespaces besides who is in them: what made them, what limits them; and its document.

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use ns_core::cgroup::{EffectiveLimits, Layout, Membership};
use serde_json::Value;

use common::{MAP, map, namespace};

/// A child that is ended with its whole process group.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a command in a new user and UTS namespace, and gives the inode number of the latter. None where no user namespace
/// can be created.
fn in_a_namespace(command: &[&str]) -> Option<(Ended, String)> {
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--uts", "--fork", "--kill-child"]).args(command);
    let child = Ended(unshare.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let own = fs::read_link("/proc/self/ns/uts").unwrap();
    let link = || fs::read_link(format!("/proc/{}/ns/uts", child.0.id())).ok();
    let children = || fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.0.id())).ok();
    let started = ns_core::until("a namespace with a second process", || {
        let is_new = link().is_some_and(|link| link != own);
        Ok((is_new && children().is_some_and(|text| !text.trim().is_empty())).then_some(()))
    });
    started.ok()?;
    let inode = link()?.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    Some((child, inode))
}

#[test]
fn a_shell_of_ours_is_told_by_the_mark_that_its_attendant_lacks() {
    let marked = &["env", "INCEPTION_SHELL=uts-demo 1 2 3 4", "sleep", "60"];
    let Some((_child, inode)) = in_a_namespace(marked) else {
        return eprintln!("skip: no user namespace can be created here");
    };
    let made_by = || {
        let map = map(&[]);
        let found = namespace(&map, "uts", &inode).cloned();
        found.map(|found| (found["made_by"].clone(), found["runtime"].clone()))
    };
    // env(1) executes sleep(1) once it has set the variable.
    let told = ns_core::until("the mark", || {
        Ok(made_by().filter(|(made_by, _)| made_by == "Inception uts-demo").map(|(_, runtime)| runtime))
    });
    assert_eq!(told.unwrap(), "inception");
}

#[test]
fn what_runs_in_a_shell_of_ours_is_not_made_by_it() {
    let mark = "INCEPTION_SHELL=uts-demo 1 2 3 4";
    let mut unshare = Command::new("env");
    unshare.args([mark, "unshare", "--user", "--uts", "--fork", "--kill-child", "sleep", "60"]);
    let mut child = Ended(unshare.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let own = fs::read_link("/proc/self/ns/uts").unwrap();
    let path = format!("/proc/{}/ns/uts", child.0.id());
    let is_new = |link: &PathBuf| *link != own;
    let link = ns_core::until("a namespace", || Ok(fs::read_link(&path).ok().filter(is_new)));
    let Ok(link) = link else { return eprintln!("skip: no user namespace can be created here") };
    let inode: String = link.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    let map = map(&[]);
    let found = namespace(&map, "uts", &inode).expect("it is on the map");
    assert_eq!(found["made_by"], Value::Null, "{found}");
    let _ = child.0.kill();
}

/// A cgroup that is removed with its process.
struct Limited {
    directory: PathBuf,
    child: Option<Ended>,
}

impl Drop for Limited {
    fn drop(&mut self) {
        drop(self.child.take());
        let _ = ns_core::until("the cgroup to be empty", || Ok(fs::remove_dir(&self.directory).ok()));
    }
}

#[test]
fn the_limits_are_those_that_hold_for_the_first_process() {
    let layout = Layout::detect().unwrap();
    let hierarchy = layout.v2().filter(|v2| v2.has_controller("pids")).or_else(|| layout.v1("pids"));
    let parent = hierarchy.and_then(|hierarchy| hierarchy.own_path().unwrap());
    let Some(parent) = parent else { return eprintln!("skip: no hierarchy here has the controller pids") };
    let directory = parent.join(format!("ns-map-test-{}", std::process::id()));
    if let Err(why) = fs::create_dir(&directory) {
        return eprintln!("skip: mkdir {}: {why}", directory.display());
    }
    let mut limited = Limited { directory: directory.clone(), child: None };
    if fs::write(directory.join("pids.max"), "77").is_err() {
        return eprintln!("skip: the controller pids is not enabled below {}", parent.display());
    }
    let Some((child, inode)) = in_a_namespace(&["sleep", "60"]) else {
        return eprintln!("skip: no user namespace can be created here");
    };
    let pid = child.0.id();
    limited.child = Some(child);
    if let Err(why) = fs::write(directory.join("cgroup.procs"), pid.to_string()) {
        return eprintln!("skip: a process cannot be moved: {why}");
    }
    let memberships = Membership::all_of(Some(ns_core::Pid::from_raw(pid as i32))).unwrap();
    let expected = EffectiveLimits::of(&memberships, &layout).unwrap();
    assert!(expected.pids.is_some_and(|pids| pids <= 77), "{expected:?}");
    let map = map(&[]);
    let found = namespace(&map, "uts", &inode).expect("it is on the map");
    assert_eq!(found["cgroup"]["pids_max"].as_u64(), expected.pids, "{found}");
    assert_eq!(found["cgroup"]["memory_max"].as_u64(), expected.memory, "{found}");
    let table = Command::new(MAP).args(["--cgroups", "--plain", "--width", "200"]).output().unwrap();
    assert!(String::from_utf8(table.stdout).unwrap().contains("pids.max"), "the table says it");
}

/// The keys of all objects in a value.
fn keys(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                found.push(key.clone());
                keys(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn the_document_names_every_field() {
    let document = include_str!("../../../docs/ns-map.md");
    let map = map(&["--held"]);
    let mut found = Vec::new();
    keys(&map, &mut found);
    found.sort();
    found.dedup();
    assert!(found.len() >= 15, "{found:?}");
    let lacks: Vec<_> = found.iter().filter(|key| !document.contains(&format!("`{key}`"))).collect();
    assert!(lacks.is_empty(), "docs/ns-map.md lacks {lacks:?}");
    assert!(document.contains(&format!("schema **{}**", map["schema"])), "docs/ns-map.md has another number");
    for word in map::Keeper::WORDS {
        assert!(document.contains(&format!("`{word}`")), "docs/ns-map.md lacks {word}");
    }
}

#[test]
fn a_page_and_a_picture_are_written_whole_and_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("<script>");
    fs::copy("/bin/sleep", &named).unwrap();
    let child = in_a_namespace(&[named.to_str().unwrap(), "60"]);
    if child.is_none() {
        return eprintln!("skip: no user namespace can be created here");
    }
    let [page, picture] = ["map.html", "map.svg"].map(|name| folder.path().join(name));
    let mut command = Command::new(MAP);
    command.args(["--html", page.to_str().unwrap(), "--svg", picture.to_str().unwrap()]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for path in [&page, &picture] {
        let text = fs::read_to_string(path).unwrap();
        assert!(!text.contains("<script"), "{}", path.display());
        assert!(text.contains("namespaces"), "{}", path.display());
    }
    let mut left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["<script>", "map.html", "map.svg"], "and nothing beside them");
}
