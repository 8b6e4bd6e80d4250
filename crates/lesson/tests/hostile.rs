//! Renderers, with events that hold whatever a process's name, a path or a hostname may hold.

use lesson::render::{Cast, Jsonl, Junit, OneScreen, Renderer, Tap, Text};
use ns_core::{Fact, Kind, Value, is_deceptive};
use proptest::prelude::*;
use transcript::{
    About, Actor, Arm, ClaimHead, DeclaredAnswer, Event, Expectation, Hand, Hands, Origin, Row, SCHEMA,
    Sandbox, Table, Tally, Verdict,
};

/// Text of others: pieces that a terminal obeys, that turn the direction or hide, and any characters.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "\u{1b}]0;owned\u{7}",
            "\u{9b}2J",
            "\r",
            "\u{8}",
            "\u{7f}",
            "\u{202e}",
            "\u{2066}",
            "\u{200f}",
            "\u{2028}",
            "\u{200b}",
            "\u{feff}",
            "\u{ad}",
            "\u{e0041}",
            "]]>",
            "<&\"'",
            "# SKIP",
            "`|*_",
            "호스트",
            "שלום",
            " ",
            "a b",
        ])
        .prop_map(String::from),
        any::<char>().prop_filter("a line end may stay", |c| *c != '\n').prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// A transcript in which all that can be others' is `text`.
fn events(text: &[String]) -> Vec<Event> {
    let mut at = 0;
    let mut next = || {
        at += 1;
        text[at % text.len()].clone()
    };
    let facts = |next: &mut dyn FnMut() -> String| {
        vec![
            Fact::outside(next(), Value::Name(next())),
            Fact::inside(next(), next(), Value::List(vec![Value::Text(next()), Value::Pid(7)])),
        ]
    };
    let claim = |id: &str, next: &mut dyn FnMut() -> String| ClaimHead {
        id: id.into(),
        text: next(),
        factor: next(),
        expect: Expectation::Varies { why: next() },
        answers: vec![DeclaredAnswer { answer: next(), right: false, why: Some(next()) }],
        question: Some(next()),
        ..ClaimHead::default()
    };
    vec![
        Event::Begin {
            schema: SCHEMA,
            experiment: next(),
            question: next(),
            notes: next(),
            man: vec![next()],
            kernel: next(),
            machine: next(),
            sabotage: true,
            must_run: false,
            origin: Box::new(Origin { user: next(), host: next(), time: next(), student: next() }),
            sandbox: Sandbox { namespaces: vec![Kind::Uts], uid: 7 },
            setup: next(),
            in_short: next(),
            of: 2,
            claims: vec![claim("a", &mut next), claim("b", &mut next)],
        },
        Event::Step {
            number: 1,
            title: next(),
            calls: vec![next(), next()],
            by_hand: Hands {
                typed: vec![Hand {
                    command: next(),
                    about: About { prints: Some(vec![next()]), ..About::default() },
                }],
                shell: None,
            },
            claims: vec!["a".into()],
        },
        Event::Actor(Actor {
            label: next(),
            pids: vec![812, 1],
            elsewhere: Vec::new(),
            pid_namespaces: Vec::new(),
        }),
        Event::Saw(facts(&mut next).remove(0)),
        Event::Table(Table {
            title: next(),
            columns: vec![next(), next()],
            rows: vec![vec![Value::Name(next()), Value::Text(next())]],
            picture: None,
        }),
        Event::Judged {
            claim: "a".into(),
            verdict: Verdict::Inconclusive,
            expected: false,
            control: Arm { effect: true, facts: facts(&mut next) },
            treatment: Arm { effect: true, facts: facts(&mut next) },
            rows: vec![Row { label: next(), control: Some(Value::Name(next())), treatment: None }],
        },
        Event::Skipped { claim: "b".into(), missing: next(), remedy: next() },
        Event::End {
            tally: Tally { inconclusive: 1, skipped: 1, unexpected: 1, ..Tally::default() },
            broken: Some(next()),
            status: 2,
            elapsed: 1,
        },
    ]
}

fn rendered<R: Renderer>(events: &[Event], mut renderer: R) {
    for event in events {
        renderer.show(event).unwrap();
    }
    renderer.finish().unwrap();
}

/// The text without the styles that we paint, which end in `m`. None of [`text`]'s pieces does.
fn unstyled(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        let end = rest[at + 2..]
            .find(|c: char| !c.is_ascii_digit() && c != ';')
            .map_or(rest.len(), |it| at + 2 + it);
        let is_style = rest[end..].starts_with('m');
        out += &rest[..if is_style { at } else { end }];
        rest = &rest[end + usize::from(is_style)..];
    }
    out + rest
}

fn is_safe(what: &str, text: &str) -> Result<(), TestCaseError> {
    let left: Vec<char> = text.chars().filter(|c| *c != '\n' && is_deceptive(*c)).collect();
    prop_assert!(left.is_empty(), "{} shows {:?}: {:?}", what, left, text);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through(
        text in proptest::collection::vec(text(), 1..12),
        width in 1_usize..140,
        stable: bool,
        verbose: bool,
    ) {
        let events = events(&text);
        let mut out = Vec::new();
        rendered(&events, Text::new(&mut out, width, stable, verbose).plain(width % 2 == 0));
        is_safe("text", &unstyled(&String::from_utf8(out).unwrap()))?;

        let mut out = Vec::new();
        rendered(&events, OneScreen::new(&mut out, width, stable, verbose));
        is_safe("one screen", &unstyled(&String::from_utf8(out).unwrap()))?;

        let mut out = Vec::new();
        rendered(&events, Tap::new(&mut out));
        let tap = String::from_utf8(out).unwrap();
        is_safe("tap", &tap)?;
        prop_assert!(tap.ends_with("1..3\n"), "no line is made of text: {}", tap);
        prop_assert_eq!(tap.lines().filter(|it| it.starts_with("ok ") || it.starts_with("not ok ")).count(), 3);

        let mut out = Vec::new();
        rendered(&events, Junit::new(&mut out));
        is_safe("junit", &String::from_utf8(out).unwrap())?;

        let mut out = Vec::new();
        rendered(&events, Jsonl::new(&mut out));
        let lines = String::from_utf8(out).unwrap();
        is_safe("jsonl", &lines)?;
        let again: Vec<Event> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(again, events.clone(), "what is read is what was written");

        let mut out = Vec::new();
        rendered(&events, Cast::new(&mut out, width, stable, verbose));
        for line in String::from_utf8(out).unwrap().lines().skip(1) {
            let entry: (f64, String, String) = serde_json::from_str(line).unwrap();
            is_safe("cast", &unstyled(&entry.2.replace("\r\n", "\n")))?;
        }
    }
}
