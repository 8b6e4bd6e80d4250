//! What `inception claims --coverage` makes of the claims. The experiments are shell scripts here, beside a copy of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

const DRIVER: &str = env!("CARGO_BIN_EXE_inception");

/// While a script is open for writing nothing may be started: the new process would hold it open for a moment, and
/// execve(2) of it would give ETXTBSY.
static ALONE: Mutex<()> = Mutex::new(());

/// A folder with the driver, in which every experiment declares the same claim.
struct Bench(PathBuf);

impl Bench {
    fn new(test: &str, claims: &[Value]) -> Bench {
        let _alone = ALONE.lock().unwrap();
        let folder = std::env::temp_dir().join(format!("inception-coverage-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert!(Command::new("cp").arg(DRIVER).arg(&folder).status().unwrap().success());
        let lines: String = claims.iter().map(|claim| format!("{claim}\n")).collect();
        for name in demos() {
            let path = folder.join(name);
            fs::write(&path, format!("#!/bin/sh\ncat <<'END'\n{lines}END\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Bench(folder)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let _alone = ALONE.lock().unwrap();
        let mut command = Command::new(self.0.join("inception"));
        command.args(["claims"]).args(arguments).env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        command.env_remove("CLICOLOR_FORCE").output().unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn demos() -> Vec<String> {
    let output = Command::new(DRIVER).args(["list", "--format", "jsonl"]).output().unwrap();
    let name =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["name"].as_str().unwrap().to_string();
    text(&output.stdout).lines().map(name).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn claim(notes: &[u16], more: &[u16]) -> Value {
    json!({"id": "is-so", "text": "It is so.", "factor": "a factor", "expect": {"refuted": {"correction": "is-not"}},
        "notes": notes, "more": more})
}

#[test]
fn every_sentence_is_listed_once() {
    let bench = Bench::new("listed", &[claim(&[84], &[122])]);
    let output = bench.run(&["--coverage", "--format", "jsonl"]);
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers = |letter: char, last: usize| (1..=last).map(move |number| format!("{letter}{number}"));
    let all: Vec<_> = numbers('P', 5).chain(numbers('N', 136)).chain(numbers('M', 138)).collect();
    assert_eq!(lines.iter().map(|line| line["number"].as_str().unwrap()).collect::<Vec<_>>(), all);
    for line in &lines {
        let judges = line["judged_by"].as_array().unwrap();
        let is_judged = line["number"] == "N84" || line["number"] == "M122";
        assert_eq!(judges.len(), if is_judged { demos().len() } else { 0 }, "{line}");
        assert!(judges.iter().all(|judge| judge["claim"] == "is-so"), "{line}");
    }
}

#[test]
fn a_sentence_of_the_notes_that_nobody_judges_is_a_fault() {
    let bench = Bench::new("fault", &[claim(&[84, 999], &[])]);
    let output = bench.run(&["--coverage", "--width", "60"]);
    let shown = text(&output.stdout);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), String::new()));
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("FAULT docs/notes.md: N85 is judged by no claim, and has no reason"), "{shown}");
    assert!(words.contains("'is-so' judges N999, which docs/notes.md lacks"), "{shown}");
    assert!(!words.contains("FAULT docs/notes.md: N84"), "{shown}");
    assert!(!words.contains("FAULT docs/notes.md: M"), "{shown}");
    let longest = shown.lines().map(UnicodeWidthStr::width).max();
    assert!(longest <= Some(60), "{longest:?}");
    // What is data says its faults elsewhere.
    let output = bench.run(&["--coverage", "--format", "jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("N85"));
}

#[test]
fn the_document_has_a_line_for_each_sentence_and_one_for_what_is_wrong() {
    let bench = Bench::new("document", &[claim(&[84], &[])]);
    let shown = text(&bench.run(&["--coverage", "--format", "markdown"]).stdout);
    let lines: Vec<_> = shown.lines().filter(|line| line.contains("**N84**")).collect();
    // Every experiment of the bench has the claim.
    let (judged, wrong) = lines.split_last().unwrap();
    assert_eq!(wrong.len(), demos().len());
    assert!(wrong[0].starts_with("| **N84** | It is so. (["), "{wrong:?}");
    assert!(judged.contains("[uts-demo](reference/16-uts-demo.md#the-claims): *is-so*"), "{judged}");
    assert!(judged.ends_with("; *is-so*: refuted |"), "{judged}");
}

#[test]
fn an_experiment_that_cannot_be_asked_breaks_it() {
    let bench = Bench::new("broken", &[claim(&[84], &[])]);
    fs::write(bench.0.join(demos().remove(0)), "#!/bin/sh\nexit 3\n").unwrap();
    let output = bench.run(&["--coverage"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--list-claims: exited 3"), "{}", text(&output.stderr));
}

#[test]
fn what_does_not_go_together_is_refused_in_a_line() {
    let bench = Bench::new("misuse", &[claim(&[84], &[])]);
    for arguments in
        [["--coverage", "--list"].as_slice(), &["--coverage", "11"], &["--list", "--format", "markdown"]]
    {
        let output = bench.run(arguments);
        let complaint = text(&output.stderr);
        assert_eq!(
            (output.status.code(), complaint.lines().count()),
            (Some(2), 1),
            "{arguments:?}: {complaint}"
        );
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
    }
}
