//! The text renderer, with fixed events and expected text.

use lesson::render::{Cast, Jsonl, OneScreen, Renderer, Text};
use ns_core::{Errno, Fact, Kind, NsId, Outcome, Value};
use snapbox::{assert_data_eq, file};
use transcript::{
    About, Actor, Arm, ClaimHead, Event, Expectation, Hand, Hands, Kernel, Origin, Row, SCHEMA, Sandbox,
    Table, Tally, Verdict,
};

/// A transcript with every event in it.
fn events() -> Vec<Event> {
    let claim = |id: &str, text: &str, correction: Option<&str>| ClaimHead {
        id: id.into(),
        text: text.into(),
        factor: "CLONE_NEWUTS".into(),
        expect: correction.map_or(Expectation::Holds, |it| Expectation::Refuted { correction: it.into() }),
        notes: vec![134],
        more: vec![],
        ..ClaimHead::default()
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
            must_run: false,
            origin: Box::new(Origin { user: "ann".into(), host: "lab".into(), ..Origin::default() }),
            sandbox: Sandbox { namespaces: vec![Kind::User, Kind::Uts], uid: 1000 },
            setup: "A child sets the hostname.".into(),
            in_short: "A hostname stays where it is set.".into(),
            of: 6,
            claims: vec![
                claim("stays", "A hostname stays in its UTS namespace.", None),
                claim("leaks", "A hostname leaks.", Some("stays")),
                claim("asks", "A claim that cannot be asked.", None),
                claim("asks-too", "Another that cannot.", None),
                ClaimHead {
                    expect: Expectation::HoldsSince(Kernel(6, 13)),
                    ..claim("new", "A claim of a later kernel.", None)
                },
                ClaimHead {
                    expect: Expectation::Varies { why: "by layout".into() },
                    ..claim("varies", "A claim that varies.", None)
                },
            ],
        },
        Event::Step {
            number: 1,
            title: "Set the hostname in a child, once without a namespace and once in a new one.".into(),
            calls: vec!["clone3(CLONE_NEWUTS)".into(), "sethostname(\"test\")".into()],
            by_hand: Hands {
                typed: vec![Hand {
                    command: "unshare --user --map-root-user --uts sh -c 'hostname test; hostname'".into(),
                    about: About { prints: Some(vec!["test".into()]), ..About::default() },
                }],
                shell: None,
            },
            claims: Vec::new(),
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
            control: arm(false, "test", 31415),
            treatment: arm(true, "lab", 31416),
            rows: vec![Row {
                label: "hostname outside".into(),
                control: Some("test".into()),
                treatment: Some("lab".into()),
            }],
        },
        Event::Judged {
            claim: "leaks".into(),
            verdict: Verdict::Refuted,
            expected: true,
            control: arm(false, "lab", 31415),
            treatment: arm(false, "lab", 31416),
            rows: Vec::new(),
        },
        Event::Judged {
            claim: "new".into(),
            verdict: Verdict::Refuted,
            expected: true,
            control: arm(false, "lab", 31415),
            treatment: arm(false, "lab", 31415),
            rows: Vec::new(),
        },
        Event::Judged {
            claim: "varies".into(),
            verdict: Verdict::Refuted,
            expected: true,
            control: arm(false, "lab", 31415),
            treatment: arm(false, "lab", 31415),
            rows: Vec::new(),
        },
        Event::Saw(Fact::outside("uname -r", Value::Name("\x1b[2Jevil".into()))),
        Event::Table(Table {
            title: "A grid".into(),
            columns: vec!["write".into(), "answer".into()],
            rows: vec![
                vec!["0 1000 1".into(), Value::Outcome(Outcome::Done)],
                vec!["junk".into(), "EINVAL".into()],
            ],
            picture: None,
        }),
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
            tally: Tally { holds: 1, refuted: 3, inconclusive: 0, skipped: 2, unexpected: 0 },
            broken: None,
            status: 0,
            elapsed: 12_345_678,
        },
    ]
}

fn rendered(width: usize, stable: bool, verbose: bool) -> String {
    set(&events(), width, stable, verbose, false)
}

fn set(events: &[Event], width: usize, stable: bool, verbose: bool, plain: bool) -> String {
    let mut out = Vec::new();
    let mut text = Text::new(anstream::StripStream::new(&mut out), width, stable, verbose).plain(plain);
    for event in events {
        text.show(event).unwrap();
    }
    drop(text);
    String::from_utf8(out).unwrap()
}

/// The same run as a negative control, in which each claim of `held` holds all the same.
fn sabotaged(held: &[&str]) -> Vec<Event> {
    let mut events = events();
    for event in &mut events {
        match event {
            Event::Begin { sabotage, .. } => *sabotage = true,
            Event::Judged { claim, verdict, expected, .. } => {
                let holds = held.contains(&claim.as_str());
                (*verdict, *expected) = (if holds { Verdict::Holds } else { Verdict::Refuted }, !holds);
            }
            Event::End { tally, .. } => {
                let holds = held.len();
                *tally = Tally { holds, refuted: 4 - holds, unexpected: holds, ..*tally };
            }
            _ => {}
        }
    }
    events
}

#[test]
fn a_negative_control_in_which_nothing_holds_is_as_it_should_be() {
    let text = set(&sabotaged(&[]), 80, false, false, false);
    assert!(text.contains("\nNegative control: both arms lack the factor. No claim may hold.\n"), "{text}");
    assert!(text.ends_with("\nNone of 4 claims holds without its factor: as it should be.\n"), "{text}");
    assert!(!text.contains("UNEXPECTED") && !text.contains("AS EXPECTED"), "{text}");
}

#[test]
fn a_negative_control_names_the_claims_that_hold() {
    let text = set(&sabotaged(&["leaks", "stays"]), 80, false, false, false);
    for id in ["stays", "leaks"] {
        let named = format!("\nHOLDS    {id} holds without its factor: it proves nothing.\n");
        assert!(text.contains(&named), "{text}");
    }
    assert!(text.ends_with("\n2 of 4 claims HOLD without their factor.\n"), "{text}");
}

#[test]
fn what_is_skipped_for_one_reason_stands_once_at_the_end() {
    let text = rendered(80, false, false);
    let expected = "\nSKIPPED  2 (step 1): missing: CAP_SYS_ADMIN. Fix: run as root: sudo …\nsample: 1 hold";
    assert!(text.contains(expected), "{text}");
    assert_eq!(text.matches("SKIPPED").count(), 1);
    let verbose = rendered(80, false, true);
    assert!(verbose.contains("sudo …\n         Claims: asks, asks-too\n"), "{verbose}");
}

#[test]
fn the_arms_are_called_what_they_are() {
    let mut events = events();
    if let Event::Begin { claims, .. } = &mut events[0] {
        claims[0].arms = ["no namespace".into(), "a new one".into()];
    }
    let text = set(&events, 80, false, false, false);
    assert!(text.contains("\n         no namespace") && text.contains("\n         a new one"), "{text}");
    // Where nobody said what they are.
    assert!(text.contains("\n         without CLONE_NEWUTS"), "{text}");
}

#[test]
fn plain_text_has_one_fact_a_line() {
    assert_data_eq!(set(&events(), 80, false, false, true), file!["text/plain.txt"].raw());
}

#[test]
fn plain_text_is_ascii_but_for_values() {
    for width in [24, 40, 60, 80, 200] {
        for (stable, verbose) in [(false, false), (true, true)] {
            let mut events = events();
            events.push(Event::Saw(Fact::outside("a name", Value::Name("ñ".into()))));
            let text = set(&events, width, stable, verbose, true);
            let value = if stable { "<name " } else { "a name = ñ" };
            assert!(text.contains(value), "{text}");
            let ours = text.replace("a name = ñ", "");
            assert!(ours.is_ascii(), "{ours}");
            for line in text.lines() {
                let columns = unicode_width::UnicodeWidthStr::width(line);
                assert!(columns <= width, "{columns} columns of {width}: {line:?}");
            }
        }
    }
}

#[test]
fn the_one_screen_in_plain_text_is_ascii_too() {
    for width in [24, 40, 60, 80, 200] {
        for events in [events(), sabotaged(&["stays"])] {
            let mut out = Vec::new();
            let mut screen = OneScreen::new(anstream::StripStream::new(&mut out), width, false, true);
            events.iter().for_each(|event| screen.show(event).unwrap());
            drop(screen);
            let text = String::from_utf8(out).unwrap();
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains("hostname outside: different. without CLONE_NEWUTS: test"), "{text}");
            assert!(text.is_ascii(), "{text}");
            let too_long = text.lines().find(|line| unicode_width::UnicodeWidthStr::width(*line) > width);
            assert_eq!(too_long, None, "{width}");
        }
    }
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
fn an_experiment_of_which_the_notes_have_nothing_says_so() {
    let mut begin = events().remove(0);
    let Event::Begin { notes, .. } = &mut begin else { panic!("the first is another") };
    notes.clear();
    let mut out = Vec::new();
    Text::new(anstream::StripStream::new(&mut out), 80, false, false).show(&begin).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.lines().any(|line| line.starts_with("Not in the notes; uts_namespaces(7);")), "{text}");
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
    assert!(coloured.contains("\x1b[38;5;29;1mHOLDS\x1b[0m"), "a claim that holds is green: {coloured:?}");
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
    let (mut shown, mut marks, mut before) = (String::new(), Vec::new(), 0.0);
    for entry in lines {
        let at = entry[0].as_f64().unwrap();
        assert!(at >= before && at < before + 120.0, "{before}, then {at}");
        before = at;
        let data = entry[2].as_str().unwrap();
        match entry[1].as_str().unwrap() {
            "o" => shown.push_str(data),
            "m" => marks.push(format!("{data} after {:?}", shown.lines().last().unwrap())),
            other => panic!("{other}"),
        }
    }
    let shown = anstream::adapter::strip_str(&shown).to_string().replace("\r\n", "\n");
    assert_eq!(shown, format!("$ sample\n{}", rendered(80, false, false)));
    // A player finds each step by it, before what is shown of it.
    let [mark] = marks.as_slice() else { panic!("{marks:?}") };
    assert!(
        mark.starts_with("1. Set the hostname in a child, once") && mark.contains("root there"),
        "{mark}"
    );
}
