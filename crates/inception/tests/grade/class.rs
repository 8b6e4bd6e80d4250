//! A class, and what it hands in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use exercise::Seed;
use serde_json::{Value, json};

/// A name that a spreadsheet would calculate, and a page obey.
pub(crate) const EVE: &str = "=HYPERLINK(\"http://x\"), <script>Eve</script>";
const CLASS: &str = r#"
class = "2026a"
deadline = 2026-12-01T00:00:00Z
[points]
exercise = { one = 4 }
[penalty]
late_per_day = 0.25
hint = 0.1
solution = 1
[least]
two = 30
"#;

pub(crate) struct Class {
    directory: PathBuf,
}

impl Class {
    pub(crate) fn new(name: &str) -> Class {
        let directory =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("grade-{}-{name}", std::process::id()));
        for folder in ["hand-ins/moodle", "exercises"] {
            fs::create_dir_all(directory.join(folder)).unwrap();
        }
        for (name, level) in [("one", 1), ("two", 2)] {
            let text = format!(
                "title = \"Number {name}\"\nlevel = {level}\nlesson = \"uts-demo\"\nminutes = 3\ntask = \"Do.\"\n\
                 explanation = \"Done.\"\n[[requirement]]\nname = \"hostname\"\nof = \"the shell\"\nfact = \"hostname\"\n\
                 is = \"fox\"\nhints = [\"hostname fox\"]\n"
            );
            fs::write(directory.join(format!("exercises/{name}.toml")), text).unwrap();
        }
        let students: Vec<_> = (1..30).map(self::name).collect();
        fs::write(directory.join("class.toml"), format!("students = {students:?}\n{CLASS}")).unwrap();
        Class { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn hand_in(&self, file: &str, it: &Value) {
        fs::write(self.path("hand-ins").join(file), serde_json::to_string(it).unwrap()).unwrap();
    }

    pub(crate) fn inception(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inception"));
        command.args(arguments).current_dir(&self.directory).env("XDG_STATE_HOME", self.path("state"));
        command.env_remove("SUDO_UID").env_remove("PKEXEC_UID").env_remove("INCEPTION_EXERCISES");
        command.env_remove("INCEPTION_STUDENT").env_remove("INCEPTION_CLASS").output().unwrap()
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A moment: so many seconds after the class began, on a day of November.
fn at(day: usize, seconds: usize) -> String {
    format!(
        "2026-11-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        10 + seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        seconds % 997
    )
}

fn seed(student: &str, exercise: &str) -> String {
    Seed::of(student, "2026a", exercise, 1).to_string()
}

/// An attempt that is checked in vain, and then done.
fn attempt(student: &str, exercise: &str, number: usize) -> Value {
    let begins = number * 13;
    let state = |time: String, met: &[&str], unmet: &[&str]| json!({"time": time, "met": met, "unmet": unmet, "said": ["PID 7 (bash)"]});
    json!({
        "attempt": 1, "seed": seed(student, exercise), "started": at(20, begins), "done": at(20, begins + 200),
        "hints": [], "states": [state(at(20, begins + 100), &[], &["hostname"]), state(at(20, begins + 200), &["hostname"], &[])],
    })
}

/// Both exercises, done in time.
pub(crate) fn hand_in(student: &str, number: usize) -> Value {
    let works = ["one", "two"]
        .iter()
        .enumerate()
        .map(|(at, name)| json!({"exercise": name, "attempts": [attempt(student, name, number + at * 60)]}));
    json!({
        "schema": "inception-hand-in/1", "student": student, "class": "2026a", "host": "vm", "kernel": "6.12.0",
        "date": at(21, number), "exercises": works.collect::<Vec<_>>(),
    })
}

pub(crate) fn name(number: usize) -> String {
    if number == 30 { EVE.into() } else { format!("student-{number:02}") }
}

/// Thirty students, of whom twenty did all in time, and three files that are no hand-ins.
pub(crate) fn class_of_thirty() -> Class {
    let class = Class::new("thirty");
    let mut all: BTreeMap<usize, Value> =
        (1..=30).map(|number| (number, hand_in(&name(number), number))).collect();
    all.remove(&29); // hands in nothing
    let second = |it: &mut Value, key: &str, value: Value| it["exercises"][1]["attempts"][0][key] = value;
    for (number, done) in
        [(21, "2026-12-01T00:00:00Z"), (22, "2026-12-01T00:00:01Z"), (23, "2026-12-08T00:00:00Z")]
    {
        second(all.get_mut(&number).unwrap(), "done", json!(done));
    }
    // Copied as it is, with another name; and copied with seeds that were computed anew.
    all.insert(24, hand_in(&name(1), 1));
    all.get_mut(&24).unwrap()["student"] = json!(name(24));
    all.insert(25, hand_in(&name(2), 2));
    let copy = all.get_mut(&25).unwrap();
    copy["student"] = json!(name(25));
    for (at, exercise) in ["one", "two"].into_iter().enumerate() {
        copy["exercises"][at]["attempts"][0]["seed"] = json!(seed(&name(25), exercise));
    }
    second(all.get_mut(&26).unwrap(), "done", json!(at(19, 0)));
    let soon = at(20, (27 + 60) * 13 + 29);
    second(all.get_mut(&27).unwrap(), "done", json!(soon));
    let it = all.get_mut(&28).unwrap();
    second(it, "done", Value::Null);
    it["exercises"][0]["attempts"][0]["hints"] = json!([
        {"time": at(20, 28 * 13 + 110), "requirement": "hostname", "level": 1},
        {"time": at(20, 28 * 13 + 300), "requirement": "hostname", "level": 2},
    ]);
    all.get_mut(&20).unwrap()["class"] = json!("2025");
    second(all.get_mut(&19).unwrap(), "solution", json!(at(20, 1)));
    for (number, it) in &all {
        let folder = if number % 2 == 0 { "moodle/" } else { "" };
        class.hand_in(&format!("{folder}{number:02}.json"), it);
    }
    // An older one of a student counts for nothing.
    let mut older = hand_in(&name(18), 18);
    older["exercises"] = json!([]);
    older["date"] = json!(at(2, 0));
    class.hand_in("18-old.json", &older);
    class.hand_in("foreign.json", &json!({"schema": "scores/7"}));
    fs::write(class.path("hand-ins/notes.txt"), "Sorry, I was ill.").unwrap();
    let torn = serde_json::to_string(&hand_in("torn", 40)).unwrap();
    fs::write(class.path("hand-ins/torn.json"), &torn[..torn.len() / 2]).unwrap();
    fs::write(class.path("hand-ins/.DS_Store"), "hidden").unwrap();
    class
}
