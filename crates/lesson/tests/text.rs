//! The text renderer, with fixed events and expected text.

use lesson::render::{Cast, Jsonl, Renderer, Text};
use lesson::{Actor, Arm, ClaimHead, Event, SCHEMA, Stage, Tally, Verdict};
use ns_core::{Errno, Fact, Kind, NsId, Outcome, Value};
use snapbox::{assert_data_eq, file};

/// A transcript with every event in it.
fn events() -> Vec<Event> {
    let claim = |id: &str, text: &str, correction: Option<&str>| ClaimHead {
        id: id.into(),
        text: text.into(),
        cause: "CLONE_NEWUTS".into(),
        expect: if correction.is_some() { "refuted" } else { "holds" }.into(),
        correction: correction.map(Into::into),
        notes: vec![134],
        more: vec![],
        misconceptions: Vec::new(),
    };
    let arm = |effect, outer: &str, pid: i32| Arm {
        effect,
        facts: vec![
            Fact::outside("gethostname()", Value::Name(outer.into())),
            Fact::inside("child", "sethostname(\"test\")", Outcome::Failed(Errno::EPERM)),
            Fact::inside("child", "getpid()", Value::Pid(pid)),
        ],
    };
    vec![
        Event::Begin {
            schema: SCHEMA,
            experiment: "sample".into(),
            question: "What is shown?".into(),
            notes: "UTS Namespace".into(),
            man: vec!["uts_namespaces(7)".into()],
            kernel: "6.12.48".into(),
            machine: "x86_64".into(),
            sabotage: false,
            stage: Stage { namespaces: vec![Kind::User, Kind::Uts], uid: 1000 },
            claims: vec![
                claim("stays", "A hostname stays in its UTS namespace.", None),
                claim("leaks", "A hostname leaks.", Some("stays")),
                claim("asks", "A claim that cannot be asked.", None),
                claim("asks-too", "Another that cannot.", None),
                ClaimHead { expect: "since 6.13".into(), ..claim("new", "A claim of a later kernel.", None) },
                ClaimHead {
                    expect: "varies: by layout".into(),
                    ..claim("varies", "A claim that varies.", None)
                },
            ],
        },
        Event::Step {
            number: 1,
            goal: "Set the hostname in a child, once without a namespace and once in a new one.".into(),
            calls: vec!["clone3(CLONE_NEWUTS)".into(), "sethostname(\"test\")".into()],
            by_hand: vec!["unshare --user --map-root-user --uts sh -c 'hostname test; hostname'".into()],
        },
        Event::Actor(Actor {
            label: "child".into(),
            pids: vec![31415, 1],
            elsewhere: vec![NsId { kind: Kind::Uts, dev: 4, ino: 4026532201 }],
            pid_namespaces: Vec::new(),
        }),
        Event::Judged {
            claim: "stays".into(),
            verdict: Verdict::Holds,
            expected: true,
            without: arm(false, "test", 31415),
            with: arm(true, "lab", 31416),
        },
        Event::Judged {
            claim: "leaks".into(),
            verdict: Verdict::Refuted,
            expected: true,
            without: arm(false, "lab", 31415),
            with: arm(false, "lab", 31416),
        },
        Event::Judged {
            claim: "new".into(),
            verdict: Verdict::Refuted,
            expected: true,
            without: arm(false, "lab", 31415),
            with: arm(false, "lab", 31415),
        },
        Event::Judged {
            claim: "varies".into(),
            verdict: Verdict::Refuted,
            expected: true,
            without: arm(false, "lab", 31415),
            with: arm(false, "lab", 31415),
        },
        Event::Saw(Fact::outside("uname -r", Value::Name("\x1b[2Jevil".into()))),
        Event::Table {
            title: "A grid".into(),
            columns: vec!["write".into(), "answer".into()],
            rows: vec![
                vec!["0 1000 1".into(), Value::Outcome(Outcome::Done)],
                vec!["junk".into(), "EINVAL".into()],
            ],
            picture: None,
        },
        Event::Skipped {
            claim: "asks".into(),
            missing: "CAP_SYS_ADMIN".into(),
            remedy: "run as root: sudo …".into(),
        },
        Event::Skipped {
            claim: "asks-too".into(),
            missing: "CAP_SYS_ADMIN".into(),
            remedy: "run as root: sudo …".into(),
        },
        Event::End {
            tally: Tally { holds: 1, refuted: 3, unproven: 0, skipped: 2, unexpected: 0 },
            broken: None,
            status: 0,
            elapsed: 12_345_678,
        },
    ]
}

fn rendered(width: usize, stable: bool, verbose: bool) -> String {
    let mut out = Vec::new();
    let mut text = Text::new(anstream::StripStream::new(&mut out), width, stable, verbose);
    for event in events() {
        text.show(&event).unwrap();
    }
    drop(text);
    String::from_utf8(out).unwrap()
}

#[test]
fn outside_and_inside_stand_side_by_side_at_80_columns() {
    assert_data_eq!(rendered(80, false, false), file!["text/80.txt"].raw());
}

#[test]
fn they_are_stacked_at_60_columns() {
    assert_data_eq!(rendered(60, false, false), file!["text/60.txt"].raw());
}

#[test]
fn who_saw_what_is_said_when_asked_for() {
    assert_data_eq!(rendered(100, false, true), file!["text/verbose.txt"].raw());
}

#[test]
fn names_stand_in_the_place_of_what_differs() {
    assert_data_eq!(rendered(80, true, false), file!["text/stable.txt"].raw());
}

#[test]
fn no_line_is_longer_than_the_width() {
    for width in [24, 32, 40, 60, 63, 64, 65, 80, 100, 200] {
        for verbose in [false, true] {
            for line in rendered(width, false, verbose).lines() {
                let columns = unicode_width::UnicodeWidthStr::width(line);
                assert!(columns <= width, "{columns} columns of {width}: {line:?}");
            }
        }
    }
}

#[test]
fn colour_only_repeats_what_the_words_say() {
    let mut out = Vec::new();
    let mut text = Text::new(&mut out, 80, false, false);
    for event in events() {
        text.show(&event).unwrap();
    }
    drop(text);
    let coloured = String::from_utf8(out).unwrap();
    assert!(coloured.contains("\x1b[32m") || coloured.contains("\x1b[32;1m"), "a claim that holds is green");
    assert!(!coloured.contains("\x1b[2J"), "a value's own escape sequence is not obeyed");
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), rendered(80, false, false));
}

#[test]
fn json_lines_read_back_as_the_same_events() {
    let mut out = Vec::new();
    {
        let mut jsonl = Jsonl::new(&mut out);
        events().iter().for_each(|event| jsonl.show(event).unwrap());
    }
    let text = String::from_utf8(out).unwrap();
    let read: Vec<Event> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, events());
    assert_data_eq!(text, file!["text/events.jsonl"].raw());
}

#[test]
fn a_recording_is_the_text_at_the_pace_of_a_reader() {
    let mut out = Vec::new();
    let mut cast = Cast::new(&mut out, 80, false, false);
    for event in events() {
        cast.show(&event).unwrap();
    }
    drop(cast);
    let text = String::from_utf8(out).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let head = lines.next().unwrap();
    assert_eq!((&head["version"], &head["width"]), (&2.into(), &80.into()));
    let (mut shown, mut before) = (String::new(), 0.0);
    for entry in lines {
        let at = entry[0].as_f64().unwrap();
        assert!(at >= before && at < before + 120.0, "{before}, then {at}");
        before = at;
        assert_eq!(entry[1], "o");
        shown.push_str(entry[2].as_str().unwrap());
    }
    let shown = anstream::adapter::strip_str(&shown).to_string().replace("\r\n", "\n");
    assert_eq!(shown, format!("$ sample\n{}", rendered(80, false, false)));
}
