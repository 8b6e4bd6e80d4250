//! What a report promises: a page that is well-formed and whole, the same for the same events, of what was observed
//! alone; and a file that is there whole or not at all. scripts/test-page looks at it in a browser.

#[path = "../bench/mod.rs"]
mod bench;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bench::{
    Bench, DRIVER, begin, end, fine, first_demo, heeding, is_one_line, judged, output, say, start, text,
    within_patience,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A transcript with every picture, and every fate of a claim.
const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/report/events.jsonl");

/// What the page's script is, and no other may be.
const SCRIPT: &str = include_str!("../../src/report/copy.js");

/// Where links lead that leave the page.
const MANUAL_PAGES: &str = "https://manpages.debian.org/";

/// An element of a page: its name, its attributes, and the words in it and below.
#[derive(Debug)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    words: String,
}

impl Element {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// All elements, in the order in which they begin. That the page is well-formed XML, too, makes any parser do.
fn parse(page: &str) -> Vec<Element> {
    let mut reader = Reader::from_str(page);
    let (mut elements, mut open): (Vec<Element>, Vec<usize>) = (Vec::new(), Vec::new());
    let element = |start: &BytesStart<'_>| Element {
        name: text(start.name().as_ref()),
        attributes: start
            .attributes()
            .map(|attribute| {
                let attribute = attribute.unwrap();
                (
                    text(attribute.key.as_ref()),
                    attribute.normalized_value(XmlVersion::Implicit1_0).unwrap().into_owned(),
                )
            })
            .collect(),
        words: String::new(),
    };
    loop {
        let mut say = |words: &str| open.iter().for_each(|at| elements[*at].words += words);
        match reader.read_event().unwrap_or_else(|error| panic!("byte {}: {error}", reader.error_position()))
        {
            Event::Start(start) => {
                open.push(elements.len());
                elements.push(element(&start));
            }
            Event::Empty(start) => elements.push(element(&start)),
            Event::End(_) => drop(open.pop().unwrap()),
            Event::Text(words) => say(&words.decode().unwrap()),
            Event::GeneralRef(name) => {
                let name = format!("&{};", name.decode().unwrap());
                say(&quick_xml::escape::unescape(&name).unwrap());
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(open.is_empty(), "every element has its end");
    elements
}

fn report(arguments: &[&str]) -> Output {
    output(Command::new(DRIVER).arg("report").args(arguments).stdin(Stdio::null()))
}

fn page_of(events: &str, more: &[&str]) -> String {
    let output = report(&[&["--from", events, "--output", "-"], more].concat());
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// A file beside a bench, with these events.
fn transcript(bench: &Bench, name: &str, events: &[Value]) -> PathBuf {
    let path = bench.folder.join(name);
    fs::write(&path, events.iter().map(|event| format!("{event}\n")).collect::<String>()).unwrap();
    path
}

fn begin_as(experiment: &str, claims: &[&str]) -> Value {
    let mut begin = begin(claims);
    begin["experiment"] = experiment.into();
    begin
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_page_is_well_formed_and_needs_no_other_file() {
    let page = page_of(EVENTS, &[]);
    let elements = parse(&page);
    let mut ids = BTreeSet::new();
    for id in elements.iter().filter_map(|element| element.get("id")) {
        assert!(ids.insert(id.to_string()), "two elements are called {id}");
    }
    let mut level = 0;
    for element in &elements {
        for word in element.get("aria-labelledby").unwrap_or_default().split_whitespace() {
            assert!(ids.contains(word), "nothing is called {word}");
        }
        if let Some(place) = element.get("href").and_then(|href| href.strip_prefix('#')) {
            assert!(ids.contains(place), "nothing is called {place}");
        }
        let away = ["href", "src"].into_iter().filter_map(|name| element.get(name));
        let known = |it: &str| it.starts_with('#') || it == "data:," || it.starts_with(MANUAL_PAGES);
        assert!(away.into_iter().all(known), "{element:?} leads away");
        assert!(!["iframe", "object", "form"].contains(&element.name.as_str()), "{element:?}");
        assert!(element.attributes.iter().all(|(name, _)| !name.starts_with("on")), "{element:?}");
        if let Some(number) = element.name.strip_prefix('h').and_then(|number| number.parse::<u32>().ok()) {
            assert!(number <= level + 1, "{element:?} follows a heading of level {level}");
            level = number;
        }
    }
}

#[test]
fn a_page_says_what_was_asked_seen_and_judged() {
    let elements = parse(&page_of(EVENTS, &[]));
    let body = &elements.iter().find(|element| element.name == "body").unwrap().words;
    for words in [
        "Linux 6.12.0-test on x86_64",
        "run by root",
        "11 pid-ns-init: What can kill PID 1?",
        "pid_namespaces(7)",
        "All of it runs in new mnt and uts namespaces",
        "One code, run twice.",
        "In short: the first is PID 1.",
        "1. Nest them.",
        "grep <NSpid> \"/proc/self/status\" && true",
        "The first process in a new PID namespace has PID 1.",
        "Correct: The first process in a new PID namespace has PID 1.",
        "this kernel was to say “holds”",
        "without CLONE_NEWPID",
        "init, inside: getpid()4250",
        "Missing: a moon",
        "Fix: fly there",
        "outside: uname -r = 6.12",
        "inception read pid-ns-init",
        "1.234 s",
    ] {
        assert!(body.contains(words), "the page does not say: {words}");
    }
    let pictures = elements.iter().filter(|element| element.name == "svg");
    assert_eq!(pictures.count(), 5, "the heat map is a table");
    let descriptions: Vec<_> = elements.iter().filter(|element| element.name == "desc").collect();
    assert!(
        descriptions
            .iter()
            .any(|it| it.words.contains("veth3f in host, is a port of br0, its other end is eth0 in one"))
    );
}

#[test]
fn each_claim_is_a_row_that_its_contents_lead_to() {
    let elements = parse(&page_of(EVENTS, &[]));
    let with = |name: &'static str| elements.iter().filter(move |element| element.name == name);
    let nav = with("nav").next().unwrap();
    for words in [
        "11 pid-ns-init: What can kill PID 1?",
        "✓ 1 hold",
        "✗ 1 refuted",
        "! 1 not as expected",
        "– 1 skipped",
    ] {
        assert!(nav.words.contains(words), "the contents do not say: {words}");
    }
    assert!(with("a").any(|link| link.get("href") == Some("#pid-ns-init")));
    let row = |id: &str| {
        let id = format!("pid-ns-init.{id}");
        let at = elements.iter().position(|element| element.get("id") == Some(&id)).unwrap();
        let (details, summary) = (&elements[at], &elements[at + 1]);
        assert_eq!((details.name.as_str(), summary.name.as_str()), ("details", "summary"), "{id}");
        (details.get("class").unwrap().to_string(), summary.words.clone(), details.words.clone())
    };
    let (class, shown, folded) = row("is-one");
    assert_eq!(class, "holds");
    assert_eq!(
        shown.replace('\n', ""),
        "its PID, seen insideplain child: 4250≠CLONE_NEWPID: 1✓ HOLDSkill()plain child: OK=CLONE_NEWPID: OK"
    );
    assert!(folded.contains("unshare --fork --pid"), "the commands stand below it: {folded}");
    let (class, shown, _) = row("too-strong");
    assert_eq!(class, "refuted");
    for words in ["✗ REFUTED", "“Nothing can kill it.”", "Correct: The first process in a new PID namespace"]
    {
        assert!(shown.contains(words), "{words} is not in: {shown}");
    }
    let (class, shown, _) = row("wrong");
    assert_eq!(
        (class.as_str(), shown.as_str()),
        ("unexpected", "This one, wrong, is not as expected.! INCONCLUSIVE")
    );
    let (class, shown, _) = row("moon");
    assert_eq!((class.as_str(), shown.as_str()), ("skipped", "It is so on the moon.– SKIPPED"));
}

#[test]
fn what_stands_between_backticks_is_code() {
    let page = page_of(EVENTS, &[]);
    for code in ["<code>PID 1</code>", "<code>them</code>", "<code>kill()</code>", "<code>wrong</code>"] {
        assert!(page.contains(code), "{code}");
    }
}

#[test]
fn a_heat_map_is_a_table_whose_colours_have_a_legend() {
    let elements = parse(&page_of(EVENTS, &[]));
    let caption = elements.iter().find(|it| it.name == "caption" && it.words.contains("What a signal does"));
    let legend = caption.unwrap().words.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(legend, "What a signal does dropped: 2 EPERM: 1 handled: 1 OK: 1 killed: 1");
    let colour = |words: &str| {
        let cell = elements.iter().find(|it| it.name == "td" && it.words == words);
        cell.unwrap().get("class").map(ToString::to_string)
    };
    assert_eq!((colour("OK"), colour("EPERM")), (Some("a0".into()), Some("a1".into())));
    assert_ne!(colour("dropped"), colour("killed"));
}

#[test]
fn the_page_forbids_each_script_but_its_own() {
    let elements = parse(&page_of(EVENTS, &[]));
    let scripts: Vec<_> = elements.iter().filter(|it| it.name == "script").collect();
    assert!(scripts.len() == 1 && scripts[0].words == SCRIPT);
    let policy = elements.iter().find(|it| it.get("http-equiv") == Some("Content-Security-Policy")).unwrap();
    let allowed = format!("'sha256-{}'", base64(&Sha256::digest(SCRIPT)));
    assert!(policy.get("content").unwrap().contains(&allowed), "page.html has to allow {allowed}");
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let triple = |three: &[u8]| {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        let digit = |at: usize| {
            if at > three.len() { '=' } else { char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]) }
        };
        (0..4).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(triple).collect()
}

#[test]
fn the_same_events_make_the_same_page() {
    assert_eq!(page_of(EVENTS, &[]), page_of(EVENTS, &[]));
    let demo = first_demo();
    let events = [begin_as(&demo, &["a"]), judged("a", "holds", true), end(1, 0, 0, 0, 0)];
    let bench = Bench::with("report-same", &say(&events));
    let kept = transcript(&bench, "kept.jsonl", &events);
    let told = bench.run(&["report", &demo, "-o", "-"]);
    assert_eq!(text(&told.stdout), page_of(shown(&kept), &[]));
    // And so does the page of all that a run wrote.
    let run = bench.run(&["run", &demo, "--format", "jsonl"]);
    fs::write(&kept, run.stdout).unwrap();
    assert_eq!(text(&told.stdout), page_of(shown(&kept), &[]));
}

#[test]
fn a_stable_page_is_the_same_for_other_numbers() {
    let bench = Bench::new("report-stable");
    let events = fs::read_to_string(EVENTS).unwrap();
    // Another kernel's, with other PIDs, inodes, names and times.
    let other = events
        .replace("\"pid\": 42", "\"pid\": 73")
        .replace("[42", "[73")
        .replace("\"ino\": 40265", "\"ino\": 50265")
        .replace("veth3f", "vethab")
        .replace("172.17", "10.9")
        .replace("6.12", "6.18")
        .replace("\"name\": \"1000\"", "\"name\": \"1001\"")
        .replace("1234567890", "987654321");
    let path = bench.folder.join("other.jsonl");
    fs::write(&path, &other).unwrap();
    assert_ne!(other, events);
    let stable = page_of(EVENTS, &["--stable"]);
    assert_eq!(stable, page_of(shown(&path), &["--stable"]));
    assert!(stable.contains("&lt;pid A&gt;"));
}

#[test]
fn what_was_seen_is_shown_as_text() {
    let evil = "</td></svg><script>alert(\"1\")</script>&amp;'\u{1b}[2J";
    let seen = "</td></svg><script>alert(\"1\")</script>&amp;'\\u{1b}[2J";
    let fact = json!({"who": evil, "view": "inside", "what": evil, "value": {"name": evil}});
    let arm = json!({"effect": false, "facts": [fact]});
    let cells = json!([[{"name": evil}, {"text": evil}]]);
    let id = json!({"kind": "net", "dev": 4, "ino": 7});
    let mut begin = begin_as(&first_demo(), &["a", "b"]);
    for field in ["question", "notes", "kernel"] {
        begin[field] = evil.into();
    }
    for field in ["text", "factor"] {
        begin["claims"][0][field] = evil.into();
    }
    for field in ["setup", "in_short"] {
        begin[field] = evil.into();
    }
    begin["man"] = json!([evil]);
    begin["claims"][0]["core"] = true.into();
    begin["claims"][0]["arms"] = json!([evil, evil]);
    let rows = json!([{"label": evil, "control": {"name": evil}, "treatment": {"text": evil}}]);
    begin["claims"][0]["expect"] = json!({"varies": {"why": evil}});
    let mut last = end(0, 1, 1, 1, 2);
    last["broken"] = evil.into();
    let links = json!([[{"text": evil}, {"text": evil}, {"text": evil}, {"text": evil}, {"text": evil}]]);
    let bands = json!([[{"text": evil}, {"number": 0}, {"number": 1}, {"number": 2}]]);
    let clocks = json!([[{"text": evil}, {"nanoseconds": 0}, {"nanoseconds": 1}]]);
    let table = |columns: usize, rows: &Value, picture: Value| json!({"event": "table", "title": evil, "columns": vec![evil; columns], "rows": rows, "picture": picture});
    let events = [
        begin,
        json!({"event": "step", "number": 1, "title": evil, "calls": [evil], "by_hand": [evil]}),
        json!({"event": "actor", "label": evil, "pids": [5], "elsewhere": [id]}),
        json!({"event": "saw", "who": evil, "view": "inside", "what": evil, "value": {"text": evil}}),
        table(2, &cells, json!({"heat": 1})),
        table(2, &cells, json!("tree")),
        table(5, &links, json!("links")),
        table(3, &clocks, json!("clocks")),
        table(4, &bands, json!("bands")),
        json!({"event": "judged", "claim": "a", "verdict": "refuted", "expected": false, "control": arm, "treatment": arm, "rows": rows}),
        json!({"event": "skipped", "claim": "b", "missing": evil, "remedy": evil}),
        last,
    ];
    let bench = Bench::new("report-text");
    let kept = transcript(&bench, "evil.jsonl", &events);
    let output = report(&["--from", shown(&kept), "-o", "-", "--pictures", shown(&bench.folder)]);
    let page = text(&output.stdout);
    let elements = parse(&page);
    assert!(elements.iter().all(|element| element.name != "script" || element.words == SCRIPT));
    assert_eq!(elements.iter().filter(|element| element.name == "svg").count(), 5);
    let count = |name: &str| {
        elements.iter().filter(|element| element.name == name && element.words.contains(seen)).count()
    };
    for name in
        ["title", "h2", "h4", "code", "p", "span", "summary", "td", "th", "caption", "text", "desc", "b", "i"]
    {
        assert!(count(name) > 0, "no <{name}> shows it as it is");
    }
    assert!(!page.contains('\u{1b}'));
    for picture in fs::read_dir(&bench.folder).unwrap().map(|entry| entry.unwrap().path()) {
        if picture.extension().is_some_and(|extension| extension == "svg") {
            let elements = parse(&fs::read_to_string(&picture).unwrap());
            assert!(elements.iter().all(|element| element.name != "script"), "{picture:?}");
            assert!(elements.iter().any(|element| element.words.contains(seen)), "{picture:?}");
        }
    }
}

/// `SNAPSHOTS=overwrite cargo test -p inception --test report` writes them anew. Look at them then.
#[test]
fn pictures_are_as_they_were_looked_at() {
    let bench = Bench::new("report-pictures");
    let output = report(&["--from", EVENTS, "--pictures", shown(&bench.folder)]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    for (number, name) in ["namespaces", "heat", "tree", "links", "clocks", "bands"].into_iter().enumerate() {
        let drawn = bench.folder.join(format!("11-pid-ns-init-{}.svg", number + 1));
        let expected =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/report/pictures/{name}.svg"));
        snapbox::assert_data_eq!(
            fs::read_to_string(drawn).unwrap(),
            snapbox::Data::read_from(&expected, None)
        );
    }
    assert!(!bench.has("11-pid-ns-init-7.svg"));
}

#[test]
fn the_status_is_that_of_the_run() {
    let told = |events: &[Value], name: &str| {
        let bench = Bench::new(&format!("report-status-{name}"));
        let kept = transcript(&bench, "kept.jsonl", events);
        report(&["--from", shown(&kept), "-o", shown(&bench.folder.join("page.html"))]).status.code()
    };
    let begin = || begin_as(&first_demo(), &["a"]);
    assert_eq!(told(&[begin(), judged("a", "holds", true), end(1, 0, 0, 0, 0)], "fine"), Some(0));
    assert_eq!(told(&[begin(), judged("a", "refuted", false), end(0, 1, 0, 1, 1)], "other"), Some(1));
    assert_eq!(told(&[begin(), bench::skipped("a"), end(0, 0, 1, 0, 77)], "none"), Some(77));
    let mut broken = end(0, 0, 0, 0, 2);
    broken["broken"] = "it fell".into();
    assert_eq!(told(&[begin(), broken], "broken"), Some(2));
}

#[test]
fn what_broke_is_on_the_page() {
    let bench = Bench::with("report-broken", &say(&[begin_as(&first_demo(), &["a"])]));
    let output = bench.run(&["report", &first_demo(), "-o", "-"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(is_one_line(&text(&output.stderr)), "{}", text(&output.stderr));
    let elements = parse(&text(&output.stdout));
    let body = &elements.iter().find(|element| element.name == "body").unwrap().words;
    assert!(body.contains("BROKEN: it ended without its last word"), "{body}");
    assert!(body.contains("neither judged nor skipped"), "{body}");
    assert!(body.contains("The sentence of a."), "{body}");
    // One that says nothing at all is there, too.
    let bench = Bench::with("report-silent", "exit 1");
    let output = bench.run(&["report", &first_demo(), "-o", "-"]);
    assert!(text(&output.stdout).contains("BROKEN"), "{output:?}");
}

#[test]
fn what_cannot_be_written_is_known_before_anything_runs() {
    let bench = Bench::with("report-unwritable", &format!("touch \"$HERE\"/ran\n{}", fine()));
    let none = bench.folder.join("none/lab.html");
    for path in [shown(&none), shown(&bench.folder), "/proc/lab.html"] {
        let output = bench.run(&["report", &first_demo(), "-o", path]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{path}: {said}");
        assert!(is_one_line(&said) && said.contains(&format!("cannot write {path}:")), "{said}");
        assert!(said.contains("name a file in a directory that you may write to"), "{said}");
        assert!(!bench.has("ran"), "{path}: it was found too late");
    }
    let output = bench.run(&["report", &first_demo(), "--pictures", shown(&bench.folder.join("none"))]);
    assert_eq!((output.status.code(), bench.has("ran")), (Some(2), false));
    let output = bench.run(&["report", &first_demo()]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(2) && is_one_line(&said) && said.contains("--output"), "{said}");
}

#[test]
fn a_transcript_that_is_none_is_told_in_one_line() {
    let bench = Bench::new("report-faults");
    let fault = |events: &[Value]| {
        let kept = transcript(&bench, "kept.jsonl", events);
        let output = report(&["--from", shown(&kept), "-o", shown(&bench.folder.join("page.html"))]);
        assert_eq!(output.status.code(), Some(2));
        assert!(!bench.has("page.html"));
        let said = text(&output.stderr);
        assert!(is_one_line(&said), "{said}");
        said
    };
    let demo = first_demo();
    assert!(fault(&[]).contains("empty, and no transcript"));
    assert!(fault(&[json!({"event": "other"})]).contains("line 1: no event"));
    assert!(fault(&[begin_as(&demo, &["a"])]).contains("cut short"));
    assert!(fault(&[begin_as("nobody", &["a"])]).contains("no demo is called 'nobody'"));
    assert!(fault(&[judged("a", "holds", true)]).contains("begins with 'begin'"));
}

#[test]
fn whoever_is_interrupted_leaves_the_old_page_and_nothing_else() {
    for (name, signal) in [("int", Signal::SIGINT), ("kill", Signal::SIGKILL)] {
        let bench = Bench::with(&format!("report-{name}"), "touch \"$HERE\"/runs; exec sleep 60");
        let pages = bench.folder.join("pages");
        fs::create_dir(&pages).unwrap();
        fs::write(pages.join("lab.html"), "old").unwrap();
        let path = pages.join("lab.html");
        let mut driver = start(&mut heeding(&bench.command(&["report", &first_demo(), "-o", shown(&path)])));
        within_patience("the experiment to run", || bench.has("runs"));
        kill(Pid::from_raw(i32::try_from(driver.id()).unwrap()), signal).unwrap();
        driver.wait().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(&pages).unwrap().count(), 1, "nothing is left beside it");
    }
}
