//! A class of thirty hands in, and is graded.

mod class;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use class::{Class, EVE, class_of_thirty, hand_in, name, text};

#[test]
fn a_class_of_thirty_is_graded() {
    let class = class_of_thirty();
    let output = class.inception(&[
        "grade",
        "hand-ins",
        "-o",
        "class.csv",
        "--class",
        "class.toml",
        "--from",
        "exercises",
        "--gradescope",
        "results",
        "--junit",
        "class.xml",
        "--html",
        "class.html",
    ]);
    let (said, complaints) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}{complaints}");
    let complaints: Vec<_> = complaints.lines().collect();
    assert_eq!(complaints.len(), 3, "{complaints:?}");
    for (line, says) in complaints.iter().zip([
        "hand-ins/foreign.json is left out: it is no hand-in: its schema is \"scores/7\"",
        "hand-ins/notes.txt is left out: it is no JSON: line 1",
        "hand-ins/torn.json is left out: it is no JSON: line 1",
    ]) {
        assert!(line.contains(says), "{line}");
    }
    assert!(said.starts_with("30 students, 2 exercises\n"), "{said}");

    let mut table = csv::Reader::from_path(class.path("class.csv")).unwrap();
    let head: Vec<String> = table.headers().unwrap().iter().map(String::from).collect();
    assert_eq!(
        head,
        ["student", "points", "of", "done", "late", "hints", "solutions", "flags", "file", "one", "two"]
    );
    let rows: Vec<BTreeMap<String, String>> = table.deserialize().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), 30);
    let row = |student: &str| {
        rows.iter().find(|row| row["student"] == student).unwrap_or_else(|| panic!("{student}"))
    };
    for number in 1..=30 {
        let shown = if number == 30 { format!("'{EVE}") } else { name(number) };
        let row = row(&shown);
        let (points, flags) = match number {
            1 => (
                "6",
                "one: the same seed as student-24; two: the same seed as student-24; 6 events at the same times as student-24",
            ),
            2 => ("6", "6 events at the same times as student-25"),
            // The solution was shown before.
            19 => ("4", ""),
            18 => ("6", "2 hand-ins: the one exported last counts"),
            20 => (
                "6",
                "class \"2025\", not \"2026a\"; one, attempt 1: a seed that is not this student's; two, attempt 1: a seed that is not this student's",
            ),
            22 => ("5.5", "two: 1 day late"),
            23 => ("4", "two: 7 days late"),
            24 => (
                "6",
                "one, attempt 1: a seed that is not this student's; two, attempt 1: a seed that is not this student's; \
                         6 events at the same times as student-01; one: the same seed as student-01; two: the same seed as student-01",
            ),
            25 => ("6", "6 events at the same times as student-02"),
            26 => ("6", "two, attempt 1: done before it was started"),
            27 => ("6", "two, attempt 1: done in 29"),
            28 => ("3.6", ""),
            29 => ("0", "nothing was handed in"),
            30 => ("6", "not on the list of students"),
            _ => ("6", ""),
        };
        let sorted = |flags: &str| {
            let mut flags: Vec<String> =
                flags.split("; ").filter(|flag| !flag.is_empty()).map(String::from).collect();
            flags.sort();
            flags
        };
        let found = sorted(&row["flags"]);
        if number == 27 {
            assert!(
                found.len() == 1 && found[0].starts_with(flags) && found[0].ends_with("30 s is the least"),
                "{found:?}"
            );
        } else {
            assert_eq!(found, sorted(flags), "{number}");
        }
        assert_eq!((row["points"].as_str(), row["of"].as_str()), (points, "6"), "{number}");
    }
    assert_eq!((row("student-28")["one"].as_str(), row("student-28")["two"].as_str()), ("3.6", "0"));
    assert_eq!((row("student-29")["one"].as_str(), row("student-29")["file"].as_str()), ("", ""));
    assert!(row("student-02")["file"].ends_with("hand-ins/moodle/02.json"));

    students_see_nobody_else(&class);
    graders_read_it(&class);
    the_page_obeys_nobody(&class);
}

/// What Gradescope shows to a student names no other.
fn students_see_nobody_else(class: &Class) {
    let files: Vec<_> = fs::read_dir(class.path("results")).unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(files.len(), 30);
    let copied: Value =
        serde_json::from_slice(&fs::read(class.path("results/student-24.json")).unwrap()).unwrap();
    assert_eq!(copied["score"], json!(6.0));
    let tests = copied["tests"].as_array().unwrap();
    let (hidden, visible): (Vec<_>, Vec<_>) = tests.iter().partition(|test| test["visibility"] == "hidden");
    assert!(
        hidden.iter().any(|test| text(test["output"].as_str().unwrap().as_bytes()).contains("student-01"))
    );
    assert_eq!(visible.len(), 2);
    assert!(
        visible.iter().all(|test| test["status"] == "passed" && !test.to_string().contains("student-01"))
    );
}

fn graders_read_it(class: &Class) {
    let xml = fs::read_to_string(class.path("class.xml")).unwrap();
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert_eq!((report.test_suites.len(), report.tests), (30, 60));
    assert_eq!(report.failures, 3); // two of the one who hands in nothing, and one of number 28
}

fn the_page_obeys_nobody(class: &Class) {
    let page = fs::read_to_string(class.path("class.html")).unwrap();
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;Eve"), "{page}");
    for says in [
        "30 students, 2 exercises",
        "Deadline: 2026-12-01 00:00 UTC",
        "What this page cannot prevent",
        "notes.txt is left out",
    ] {
        assert!(page.contains(says), "{says}");
    }
    // 29 students, two exercises: the first check of each found it unmet.
    assert!(
        page.contains(
            "<th scope=\"row\">hostname</th><td class=\"number\">29</td><td class=\"number\">29</td>"
        ),
        "{page}"
    );
}

#[test]
fn what_cannot_be_graded_is_one_line() {
    let class = Class::new("misuse");
    for (arguments, says) in [
        (&["grade", "none", "-o", "-"][..], "cannot read none: name the directory of the hand-ins"),
        (&["grade", "hand-ins", "-o", "-"], "no hand-in in hand-ins: inception exercise export makes them"),
        (&["grade", "hand-ins"], "required arguments"),
        (&["grade", "hand-ins", "-o", "none/x.csv"], "cannot write none/x.csv"),
        (
            &["grade", "hand-ins", "-o", "-", "--class", "none.toml"],
            "cannot read none.toml: name a class.toml",
        ),
        (&["exercise", "export", "-o", "none/x.json"], "cannot write none/x.json"),
        (&["exercise", "export", "-o", "-"], "no exercise was begun"),
    ] {
        let output = class.inception(arguments);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[test]
fn the_class_of_the_document_for_teachers_is_read() {
    let class = Class::new("document");
    let document =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/teacher.md")).unwrap();
    let example = document.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    fs::write(class.path("class.toml"), example).unwrap();
    let mut it = hand_in("Ann Lee", 1);
    it["exercises"] = json!([]);
    class.hand_in("ann-lee.json", &it);
    let output = class.inception(&["grade", "hand-ins", "-o", "-", "--class", "class.toml"]);
    let said = text(&output.stdout);
    let rows: Vec<_> = said.lines().collect();
    assert_eq!(
        rows[0],
        "student,points,of,done,late,hints,solutions,flags,file,own-hostname,pid-1",
        "{}",
        text(&output.stderr)
    );
    assert_eq!(
        rows[1..],
        ["Ann Lee,0,4,0,0,0,0,,hand-ins/ann-lee.json,,", "Bob Ray,0,4,0,0,0,0,nothing was handed in,,,"]
    );
}

#[test]
fn what_a_student_exports_is_what_the_teacher_grades() {
    let class = Class::new("export");
    let name = ["--from", "exercises"];
    let student = ["exercise", "start", "one", "--student", "ada", "--class", "2026a"];
    let started = class.inception(&[&student[..], &name].concat());
    assert_eq!(started.status.code(), Some(0), "{}", text(&started.stderr));
    let checked = class.inception(&[&["exercise", "check"][..], &name].concat());
    assert_eq!(checked.status.code(), Some(1), "{}", text(&checked.stderr));
    let exported = class.inception(&["exercise", "export", "-o", "hand-ins/ada.json"]);
    assert_eq!(
        text(&exported.stdout),
        "inception: written: hand-ins/ada.json (ada, class 2026a: 0 of 1 exercises done)\n"
    );
    let graded = class.inception(
        &[&["exercise", "grade", "hand-ins", "--gradescope", "results.json", "-o", "-"][..], &name].concat(),
    );
    assert_eq!(graded.status.code(), Some(0), "{}", text(&graded.stderr));
    let said = text(&graded.stdout);
    assert_eq!(said.lines().nth(1), Some("ada,0,3,0,0,0,0,,hand-ins/ada.json,0,"), "{said}");
    let results: Value = serde_json::from_slice(&fs::read(class.path("results.json")).unwrap()).unwrap();
    assert!(results["tests"][0]["output"].as_str().unwrap().starts_with("not met: hostname\n"), "{results}");
}
