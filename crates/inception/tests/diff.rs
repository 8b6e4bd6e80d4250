//! What `inception diff` makes of transcripts. They are made up here; the kernels in them have never run.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

const OLD: &str = "6.1.0-40-amd64";
const NEW: &str = "6.12.48+deb13-amd64";

/// A folder for transcripts.
struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    fn new(test: &str) -> Shelf {
        let name = format!("diff-{test}-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        Shelf { folder }
    }

    /// Puts a transcript there, an event a line.
    fn put(&self, file: impl AsRef<OsStr>, events: &[Value]) -> &Shelf {
        let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
        self.put_bytes(file, lines.as_bytes())
    }

    fn put_bytes(&self, file: impl AsRef<OsStr>, bytes: &[u8]) -> &Shelf {
        fs::write(self.folder.join(file.as_ref()), bytes).unwrap();
        self
    }

    fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inception"));
        command.arg("diff").args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        for variable in ["NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "TERM"] {
            command.env_remove(variable);
        }
        command
    }

    fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The exit status and what was shown; nothing was complained of.
    fn shown(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
        (output.status.code().unwrap(), text(&output.stdout))
    }

    /// The one line with which these arguments are refused.
    fn refusal(&self, arguments: &[impl AsRef<OsStr>]) -> String {
        let output = self.run(arguments);
        let line = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
        assert!(line.ends_with('\n') && line.lines().count() == 1, "{line:?}");
        assert!(!line.trim_end().contains(char::is_control), "{line:?}");
        line.trim_end().into()
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A claim of a made-up experiment: its id, what is expected, and what became of it.
type Claimed<'a> = (&'a str, &'a str, &'a str);

/// What one kernel says to root about the experiment `fake`.
fn said(kernel: &str, claims: &[Claimed<'_>]) -> Vec<Value> {
    run("fake", kernel, 0, claims)
}

/// What is expected, as it stands in a transcript: `holds`, `since 6.2`, `varies: why`, or `refuted`.
fn expectation(text: &str) -> Value {
    if let Some((major, minor)) = text.strip_prefix("since ").and_then(|kernel| kernel.split_once('.')) {
        json!({"holds_since": [major.parse::<u32>().unwrap(), minor.parse::<u32>().unwrap()]})
    } else if let Some(why) = text.strip_prefix("varies: ") {
        json!({"varies": {"why": why}})
    } else if text == "refuted" {
        json!({"refuted": {"correction": "right"}})
    } else {
        json!(text)
    }
}

/// From `begin` to `end`. What became of a claim is a verdict's word, with `!` after it where it is not as expected,
/// `skipped`, or `broken`, which ends the run.
fn run(experiment: &str, kernel: &str, uid: u32, claims: &[Claimed<'_>]) -> Vec<Value> {
    let head = |(id, expect, _): &Claimed<'_>| {
        json!({"id": id, "text": format!("The sentence of {id}."), "factor": "a cause", "expect": expectation(expect),
            "notes": [84], "more": []})
    };
    let mut events = vec![
        json!({"event": "begin", "schema": 2, "experiment": experiment, "question": "Is it so?",
        "notes": "None", "man": [], "kernel": kernel, "sabotage": false, "sandbox": {"namespaces": [], "uid": uid},
        "claims": claims.iter().map(head).collect::<Vec<_>>()}),
    ];
    let mut tally = json!({"holds": 0, "refuted": 0, "inconclusive": 0, "skipped": 0, "unexpected": 0});
    let mut broken = Value::Null;
    for (id, _, became) in claims {
        let word = became.trim_end_matches('!');
        if word == "broken" {
            broken = json!("clone3() = ENOSPC");
            break;
        }
        tally[word] = json!(tally[word].as_u64().unwrap() + 1);
        let expected = word == *became;
        tally["unexpected"] = json!(tally["unexpected"].as_u64().unwrap() + u64::from(!expected));
        events.push(if word == "skipped" {
            json!({"event": "skipped", "claim": id, "missing": "CAP_MOON", "remedy": "fly there"})
        } else {
            let arm = |effect| json!({"effect": effect, "facts": []});
            json!({"event": "judged", "claim": id, "verdict": word, "expected": expected,
                "control": arm(word == "inconclusive"), "treatment": arm(word != "refuted")})
        });
    }
    let status = if broken.is_null() { 0 } else { 2 };
    events.push(
        json!({"event": "end", "tally": tally, "broken": broken, "status": status, "elapsed": 1_000_000}),
    );
    events
}

/// Two transcripts, and how they are told apart.
fn compared(test: &str, old: &[Value], new: &[Value]) -> (i32, String) {
    Shelf::new(test).put("old", old).put("new", new).shown(&["old", "new", "--width", "80"])
}

#[test]
fn the_same_transcript_does_not_differ() {
    let claims = [("a", "holds", "holds"), ("b", "refuted", "refuted"), ("c", "holds", "skipped")];
    let same = compared("same", &said(OLD, &claims), &said(NEW, &claims));
    assert_eq!(same, (0, "inception: 3 claims, none differs\n".into()));
    let broken = [("a", "holds", "broken")];
    let same = compared("same-broken", &said(OLD, &broken), &said(NEW, &broken));
    assert_eq!(same.0, 0);
}

#[test]
fn the_kernel_since_which_it_holds_explains() {
    let old = said(OLD, &[("a", "holds", "holds"), ("b", "since 6.2", "refuted")]);
    let new = said(NEW, &[("a", "holds", "holds"), ("b", "since 6.2", "holds")]);
    let expected = "\
┌────────────┬───────┬─────────┬───────┐
│ experiment │ claim │ 6.1     │ 6.12  │
├────────────┼───────┼─────────┼───────┤
│ fake       │ b     │ refuted │ holds │
└────────────┴───────┴─────────┴───────┘

EXPLAINED   holds since 6.2
            refuted on 6.1; holds on 6.12
            - fake b: The sentence of b.

inception: 1 of 2 claims differ, all explained
";
    assert_eq!(compared("since", &old, &new), (0, expected.into()));
}

#[test]
fn what_the_kernel_was_not_expected_to_say_is_unexplained() {
    let table = [
        ("holds", "holds", "refuted!", "the claim says: holds"),
        ("refuted", "holds!", "refuted", "the claim says: refuted"),
        ("since 6.2", "holds!", "refuted!", "the claim says: since 6.2"),
        ("varies: it depends", "holds", "inconclusive!", "the claim says: varies: it depends"),
    ];
    for (at, (expect, old, new, why)) in table.into_iter().enumerate() {
        let (status, text) = compared(
            &format!("unexpected-{at}"),
            &said(OLD, &[("a", expect, old)]),
            &said(NEW, &[("a", expect, new)]),
        );
        assert_eq!(status, 1, "{text}");
        assert!(text.contains("UNEXPLAINED ") && !text.contains("\nEXPLAINED"), "{text}");
        assert!(text.contains(why) && text.contains("(!) "), "{text}");
        assert!(
            text.contains("inception: 1 of 1 claims differ, 1 UNEXPLAINED; ")
                && text.ends_with(" verdicts not as expected (!)\n"),
            "{text}"
        );
    }
}

#[test]
fn the_reason_for_which_it_varies_explains() {
    let why = "varies: a hybrid system has a tmpfs there";
    let (status, text) =
        compared("varies", &said(OLD, &[("a", why, "holds")]), &said(NEW, &[("a", why, "refuted")]));
    assert_eq!(status, 0, "{text}");
    assert!(
        text.contains(&format!("EXPLAINED   {why}\n            holds on 6.1; refuted on 6.12\n")),
        "{text}"
    );
}

#[test]
fn a_skip_explains_itself_once() {
    let old = said(OLD, &[("a", "holds", "skipped"), ("b", "holds", "skipped"), ("c", "holds", "skipped")]);
    let new = said(NEW, &[("a", "holds", "holds"), ("b", "holds", "holds"), ("c", "holds", "skipped")]);
    let (status, text) = compared("skip", &old, &new);
    assert_eq!(status, 0, "{text}");
    let reason = "\
EXPLAINED   skipped on 6.1
            missing: CAP_MOON
            fix: fly there
            - fake: a, b
";
    assert!(text.contains(reason), "{text}");
    assert_eq!(text.matches("CAP_MOON").count(), 1, "{text}");
}

#[test]
fn a_skip_does_not_explain_what_others_judged() {
    let shelf = Shelf::new("skip-and");
    shelf.put("a", &said(OLD, &[("a", "holds", "skipped")]));
    shelf.put("b", &said("6.6", &[("a", "holds", "refuted!")]));
    shelf.put("c", &said(NEW, &[("a", "holds", "holds")]));
    let (status, text) = shelf.shown(&["a", "b", "c"]);
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("EXPLAINED   skipped on 6.1\n"), "{text}");
    assert!(text.contains("UNEXPLAINED refuted on 6.6; holds on 6.12\n"), "{text}");
}

#[test]
fn what_is_not_in_a_transcript_is_unexplained() {
    let here = [said(OLD, &[("a", "holds", "holds")]), run("other", OLD, 0, &[("x", "holds", "holds")])];
    let there = said(NEW, &[("a", "holds", "holds"), ("b", "holds", "holds")]);
    let (status, text) = compared("missing", &here.concat(), &there);
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("│ other      │ x     │ holds      │ not run │"), "{text}");
    assert!(text.contains("│ fake       │ b     │ undeclared │ holds   │"), "{text}");
    assert!(text.contains("UNEXPLAINED not run on 6.12\n            - other: x\n"), "{text}");
    assert!(
        text.contains("UNEXPLAINED not declared on 6.1, by another build\n            - fake: b\n"),
        "{text}"
    );
    assert!(text.ends_with("inception: 2 of 3 claims differ, 2 UNEXPLAINED\n"), "{text}");
}

#[test]
fn a_claim_that_was_changed_is_another() {
    let mut new = said(NEW, &[("a", "holds", "holds")]);
    new[0]["claims"][0]["text"] = json!("Another sentence.");
    let (status, text) = compared("changed", &said(OLD, &[("a", "holds", "holds")]), &new);
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("UNEXPLAINED declared otherwise on 6.12, by another build\n"), "{text}");
}

#[test]
fn a_run_that_broke_says_why() {
    let old = said(OLD, &[("a", "holds", "holds"), ("b", "holds", "broken"), ("c", "holds", "holds")]);
    let new = said(NEW, &[("a", "holds", "holds"), ("b", "holds", "holds"), ("c", "holds", "holds")]);
    let (status, text) = compared("broken", &old, &new);
    assert_eq!(status, 1, "{text}");
    assert!(
        text.contains("UNEXPLAINED broken on 6.1: clone3() = ENOSPC\n            - fake: b, c\n"),
        "{text}"
    );
    assert!(!text.contains("│ a "), "{text}");
}

#[test]
fn columns_are_told_apart() {
    let shelf = Shelf::new("columns");
    fs::create_dir(shelf.folder.join("there")).unwrap();
    let claims = [("a", "holds", "holds")];
    for file in ["one", "two", "there/two"] {
        shelf.put(file, &said(NEW, &claims));
    }
    shelf.put("student", &run("fake", NEW, 1000, &claims)).put("old", &said(OLD, &claims));
    let columns = |files: &[&str], format: &str| {
        let (status, text) = shelf.shown(&[files, &["--all", "--format", format]].concat());
        assert_eq!(status, 0);
        let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let names =
            line["verdicts"].as_array().unwrap().iter().map(|it| it["column"].as_str().unwrap().to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(columns(&["old", "one"], "jsonl"), ["6.1", "6.12"]);
    assert_eq!(columns(&["old", "student", "one"], "jsonl"), ["6.1", "6.12 uid 1000", "6.12 root"]);
    assert_eq!(columns(&["one", "two"], "jsonl"), ["6.12 root one", "6.12 root two"]);
    assert_eq!(columns(&["there/two", "two"], "jsonl"), ["6.12 root there/two", "6.12 root two"]);
}

#[test]
fn every_claim_is_shown_on_demand() {
    let shelf = Shelf::new("all");
    let claims = [("a", "holds", "holds"), ("b", "refuted", "refuted")];
    shelf.put("old", &said(OLD, &claims)).put("new", &said(NEW, &claims));
    let (status, text) = shelf.shown(&["--all", "old", "new"]);
    assert_eq!(status, 0);
    assert!(text.contains("│ fake       │ b     │ refuted │ refuted │"), "{text}");
    let (status, text) = shelf.shown(&["--all", "old"]);
    assert_eq!(status, 0);
    assert!(text.contains("│ fake       │ b     │ refuted │"), "{text}");
}

#[test]
fn a_claim_is_a_line_of_json() {
    let shelf = Shelf::new("jsonl");
    shelf.put("old", &said(OLD, &[("a", "since 6.2", "refuted"), ("b", "holds", "holds")]));
    shelf.put("new", &said(NEW, &[("a", "since 6.2", "holds"), ("b", "holds", "broken")]));
    let (status, text) = shelf.shown(&["old", "new", "--format", "jsonl"]);
    assert_eq!(status, 1);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&lines[0]["experiment"], &lines[0]["id"], &lines[0]["notes"]),
        (&json!("fake"), &json!("a"), &json!([84]))
    );
    assert_eq!((&lines[0]["differs"], &lines[0]["explained"]), (&json!(true), &json!(true)));
    assert_eq!(lines[0]["because"], json!(["holds since 6.2; refuted on 6.1; holds on 6.12"]));
    let first = json!({"column": "6.1", "file": "old", "kernel": OLD, "uid": 0, "verdict": "refuted", "expected": true});
    assert_eq!(lines[0]["verdicts"][0], first);
    assert_eq!(
        (&lines[1]["explained"], &lines[1]["verdicts"][1]["verdict"]),
        (&json!(false), &json!("broken"))
    );
    assert_eq!((lines.len(), &lines[1]["verdicts"][1]["expected"]), (2, &Value::Null));
}

/// The cells of a document's tables, as a reader sees them.
fn cells(markdown: &str) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut is_inside = false;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Start(Tag::TableHead | Tag::TableRow) => rows.push(Vec::new()),
            Event::Start(Tag::TableCell) => {
                is_inside = true;
                rows.last_mut().unwrap().push(String::new());
            }
            Event::End(TagEnd::TableCell) => is_inside = false,
            Event::Text(text) if is_inside => rows.last_mut().unwrap().last_mut().unwrap().push_str(&text),
            event => assert!(!is_inside, "{event:?}"),
        }
    }
    rows
}

#[test]
fn the_document_says_every_claim_word_for_word() {
    let odd = r"echo `a|b` > *x* [1](2) <3> &lt; ~~4~~ __5__ CLONE_NEW* CAP_SYS_ADMIN \| C:\ $PATH";
    let mut old =
        said(OLD, &[("a", "since 6.2", "refuted"), ("b", "holds", "holds"), ("c", "holds", "skipped")]);
    old[0]["claims"][1]["text"] = json!(odd);
    let mut new = said(NEW, &[("a", "since 6.2", "holds"), ("b", "holds", "holds"), ("c", "holds", "holds")]);
    new[0]["claims"][1]["text"] = json!(odd);
    let shelf = Shelf::new("markdown");
    shelf.put("old", &old).put("new", &new);
    let (status, text) = shelf.shown(&["old", "new", "--format", "markdown"]);
    assert_eq!(status, 0, "{text}");
    assert!(text.starts_with("<!-- Written by inception diff"), "{text}");
    assert!(text.contains("\n2 of 3 claims differ, all explained.\n"), "{text}");
    assert!(text.contains("\n## What a kernel changed\n"), "{text}");
    assert!(text.contains("\n## What could not be asked\n"), "{text}");
    assert!(text.contains("\n### fake: Is it so?\n"), "{text}");
    let expected: &[&[&str]] = &[
        &["claims", "6.1 root", "6.12 root"],
        &["holds", "1", "3"],
        &["refuted", "1", "0"],
        &["skipped", "1", "0"],
        &["since", "experiment", "claim"],
        &["6.2", "fake", "a: The sentence of a."],
        &["missing", "fix", "on", "claims"],
        &["CAP_MOON", "fly there", "6.1 root", "fake: c"],
        &["claim", "sentence", "6.1 root", "6.12 root"],
        &["a", "The sentence of a.", "refuted", "holds"],
        &["b", odd, "holds", "holds"],
        &["c", "The sentence of c.", "skipped", "holds"],
    ];
    assert_eq!(cells(&text), expected);
}

#[test]
fn a_document_may_have_one_column() {
    let shelf = Shelf::new("one");
    shelf.put("new", &said(NEW, &[("a", "holds", "holds")]));
    let (status, text) = shelf.shown(&["new", "--format", "markdown"]);
    assert_eq!(status, 0);
    assert!(
        text.contains("\nNo claim differs.\n") && text.contains("| a | The sentence of a. | holds |"),
        "{text}"
    );
}

#[test]
fn misuse_gets_one_line_that_names_file_and_line() {
    let shelf = Shelf::new("misuse");
    let fine = said(OLD, &[("a", "holds", "holds")]);
    let whole: Vec<u8> = fine.iter().flat_map(|event| format!("{event}\n").into_bytes()).collect();
    let changed = |change: fn(&mut Vec<Value>)| {
        let mut events = fine.clone();
        change(&mut events);
        events
    };
    shelf.put("fine", &fine);
    shelf.put_bytes("empty", b"");
    shelf.put_bytes("junk", b"\x1b[2Jjunk\n");
    shelf.put_bytes("binary", b"\xff\xfe\n");
    shelf.put_bytes("other", b"{\"number\":1}\n");
    shelf.put_bytes("torn", &whole[..whole.len() - 10]);
    shelf.put("cut", &fine[..2]);
    shelf.put("cut-between", &[&fine[..2], &run("next", OLD, 0, &[])].concat());
    shelf.put("headless", &fine[1..]);
    shelf.put("older", &[json!({"event": "begin", "schema": 1, "stage": {"namespaces": [], "uid": 0}})]);
    shelf.put("newer", &changed(|events| events[0]["schema"] = json!(3)));
    shelf.put("newest", &[json!({"event": "begin", "schema": 4})]);
    shelf.put("sabotaged", &changed(|events| events[0]["sabotage"] = json!(true)));
    shelf.put("twice", &[fine.clone(), fine.clone()].concat());
    shelf.put("mixed", &[fine.clone(), run("next", NEW, 1000, &[])].concat());
    shelf.put("wrong", &changed(|events| events[1]["claim"] = json!("b")));
    shelf.put(
        "unsettled",
        &said(OLD, &[("a", "holds", "broken")])
            .into_iter()
            .map(|mut event| {
                if event["event"] == "end" {
                    event["broken"] = Value::Null;
                }
                event
            })
            .collect::<Vec<_>>(),
    );
    let table = [
        ("nowhere", "cannot open nowhere: No such file or directory (os error 2)"),
        (".", "cannot read .: Is a directory (os error 21)"),
        ("empty", "empty: empty, and no transcript"),
        ("junk", r"junk: line 1: no event (expected value at line 1 column 1): \u{1b}[2Jjunk"),
        ("binary", "binary: line 1: no event ("),
        ("other", "other: line 1: no event (missing field `event`"),
        ("torn", "torn: line 3: cut short, no event (EOF while parsing"),
        ("cut", "cut: line 2: cut short, 'fake' has not ended"),
        ("cut-between", "cut-between: line 3: cut short before it, 'fake' has not ended"),
        ("headless", "headless: line 1: a transcript begins with 'begin'"),
        ("older", "older: line 1: an event of version 1, and this program reads 2: take both from one build"),
        ("newer", "newer: line 1: an event of version 3, and this program reads 2: take both from one build"),
        (
            "newest",
            "newest: line 1: an event of version 4, and this program reads 2: take both from one build",
        ),
        ("sabotaged", "sabotaged: line 1: a run with --sabotage says nothing about the kernel"),
        ("twice", "twice: line 4: 'fake' a second time; give each run a file"),
        (
            "mixed",
            "mixed: line 4: another run begins, of uid 1000 on 6.12.48+deb13-amd64, after that of root on",
        ),
        ("wrong", "wrong: line 2: it settles 'b', which it has not declared"),
        ("unsettled", "unsettled: line 2: it has not settled 'a'"),
    ];
    for (file, said) in table {
        for arguments in [["fine", file], [file, "fine"]] {
            let line = shelf.refusal(&arguments);
            assert!(line.starts_with(&format!("inception: {said}")), "{line}");
        }
    }
    assert!(shelf.refusal(&["fine"]).contains("one transcript differs from nothing"));
    assert!(shelf.refusal(&[""; 0]).contains("<FILE>"));
    assert!(
        shelf.refusal(&["fine", "fine", "--format", "xml"]).contains("choose from text, jsonl, markdown")
    );
}

#[test]
fn a_path_need_not_be_text() {
    let shelf = Shelf::new("path");
    let odd = OsString::from_vec(b"caf\xff\x1b[2J".to_vec());
    let claims = [("a", "holds", "holds")];
    shelf.put(&odd, &said(NEW, &claims)).put("plain", &said(NEW, &claims));
    for format in ["text", "jsonl", "markdown"] {
        let arguments = [odd.clone(), "plain".into(), "--all".into(), "--format".into(), format.into()];
        let output = shelf.run(&arguments);
        let shown = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(shown.contains("caf\u{fffd}") && !shown.contains('\u{1b}'), "{shown:?}");
    }
    shelf.put_bytes(&odd, b"junk\n");
    let line = shelf.refusal(&[odd, "plain".into()]);
    assert!(line.contains("caf\u{fffd}\\u{1b}[2J: line 1: no event"), "{line}");
}

#[test]
fn what_transcripts_say_is_shown_and_not_obeyed() {
    let shelf = Shelf::new("hostile");
    let mut old =
        said("\u{1b}]0;6\u{7}", &[("\u{1b}[1ma", "varies: \u{1b}[2J", "holds"), ("b", "holds", "skipped")]);
    old[2]["missing"] = json!("\u{9b}31m\n\r");
    old[0]["question"] = json!("\u{1b}c\n# A heading");
    let new = said(NEW, &[("\u{1b}[1ma", "varies: \u{1b}[2J", "refuted"), ("b", "holds", "holds")]);
    shelf.put("old", &old).put("new", &new);
    for width in ["20", "39", "80", "400"] {
        for format in ["text", "markdown"] {
            let (_, text) =
                shelf.shown(&["old", "new", "--color", "never", "--width", width, "--format", format]);
            assert_eq!(text.chars().find(|c| c.is_control() && *c != '\n'), None, "{text:?}");
            assert!(!text.contains("\n# A heading"), "{text}");
        }
    }
}

#[test]
fn lines_fit_and_colour_adds_nothing() {
    let shelf = Shelf::new("fit");
    let long = "memory-of-a-killed-process-is-charged-no-more";
    let claims = |became| [(long, "since 6.2", became), ("b", "holds", "holds"), ("c", "holds", "broken")];
    shelf.put("a", &said(OLD, &claims("refuted")));
    shelf.put("b", &run("fake", OLD, 1000, &claims("skipped")));
    shelf.put("c", &said(NEW, &[claims("holds")[0], ("b", "holds", "inconclusive!")]));
    shelf.put("d", &run("fake", NEW, 1000, &claims("holds")));
    shelf.put("e", &said("6.18", &claims("holds")));
    let files = ["a", "b", "c", "d", "e"];
    for width in (20..=120).chain([400]) {
        let options = ["--all", "--width", &width.to_string()].map(String::from);
        let arguments: Vec<&str> = files.into_iter().chain(options.iter().map(String::as_str)).collect();
        let (status, plain) = shelf.shown(&arguments);
        assert_eq!(status, 1);
        assert!(!plain.contains('\u{1b}'));
        for line in plain.lines() {
            assert!(line.width() <= width, "{width}: {line}");
        }
        let (_, styled) = shelf.shown(&[&arguments[..], &["--color", "always"]].concat());
        assert!(styled.contains('\u{1b}'));
        assert_eq!(anstream::adapter::strip_str(&styled).to_string(), plain);
        // Five kernels have room on any usual screen.
        let framed = plain.starts_with('┌');
        assert!(if width < 60 { !framed } else { framed || width < 80 }, "{width}:\n{plain}");
    }
}

#[test]
fn output_that_is_lost_is_told_unless_the_reader_went() {
    let shelf = Shelf::new("lost");
    let claims = [("a", "holds", "holds")];
    shelf.put("old", &said(OLD, &claims)).put("new", &said(NEW, &claims));
    for format in ["text", "jsonl", "markdown"] {
        let arguments = ["old", "new", "--all", "--format", format];
        let full = File::options().write(true).open("/dev/full").unwrap();
        let told = shelf.command(&arguments).stdout(full).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(told.status.code(), Some(2));
        assert!(text(&told.stderr).contains("No space left"), "{}", text(&told.stderr));

        let mut gone =
            shelf.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(gone.stdout.take());
        let output = gone.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));

        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$0\" diff \"$@\" >&-", env!("CARGO_BIN_EXE_inception")]).args(arguments);
        let output = shell.current_dir(&shelf.folder).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("standard output is closed"), "{}", text(&output.stderr));
    }
}

#[test]
fn a_pipe_will_do_for_a_file() {
    let shelf = Shelf::new("pipe");
    shelf.put("old", &said(OLD, &[("a", "holds", "holds")]));
    let mut command = shelf.command(&["/dev/stdin", "old"]);
    let file = File::open(shelf.folder.join("old")).unwrap();
    let mut cat = Command::new("cat").stdin(file).stdout(Stdio::piped()).spawn().unwrap();
    let output = command.stdin(cat.stdout.take().unwrap()).output().unwrap();
    cat.wait().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn help_leads_with_examples() {
    let output = Command::new(env!("CARGO_BIN_EXE_inception")).args(["diff", "--help"]).output().unwrap();
    let lines: Vec<_> = BufReader::new(&output.stdout[..]).lines().map(Result::unwrap).collect();
    assert_eq!(output.status.code(), Some(0));
    assert!(lines[0].starts_with("inception diff: "), "{lines:?}");
    assert_eq!(lines[2], "Examples:");
    assert!(
        lines.iter().any(|line| line.starts_with("Usage: inception diff [OPTIONS] <FILE>...")),
        "{lines:?}"
    );
}
