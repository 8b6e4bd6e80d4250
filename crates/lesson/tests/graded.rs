//! The renderers for graders: a claim is a test, and what graders read of it is right.

use lesson::render::{Junit, Renderer, Tap};
use ns_core::{Fact, Value};
use quick_junit::{NonSuccessKind, Report, TestCaseStatus};
use snapbox::{assert_data_eq, file};
use transcript::{Arm, ClaimHead, Event, Origin, SCHEMA, Sandbox, Tally, Verdict};

/// A transcript with each fate of a claim. The experiment breaks in the end.
fn events(must_run: bool) -> Vec<Event> {
    let claim = |id: &str, text: &str| ClaimHead {
        id: id.into(),
        text: text.into(),
        factor: "CLONE_NEWUTS".into(),
        notes: vec![],
        more: vec![],
        ..ClaimHead::default()
    };
    let arm = |effect| Arm {
        effect,
        facts: vec![Fact::inside("child", "gethostname()", Value::Name("<\"&#\x1b[2J".into()))],
    };
    let judged = |claim: &str, verdict, expected| Event::Judged {
        claim: claim.into(),
        verdict,
        expected,
        control: arm(false),
        treatment: arm(expected),
        rows: Vec::new(),
    };
    vec![
        Event::Begin {
            schema: SCHEMA,
            experiment: "sample".into(),
            question: "What is graded?".into(),
            notes: "UTS Namespace".into(),
            man: vec![],
            kernel: "6.12".into(),
            machine: "x86_64".into(),
            sabotage: false,
            must_run,
            origin: Box::new(Origin {
                user: "ann".into(),
                host: "lab-7".into(),
                time: "2026-03-01T14:05:09Z".into(),
                student: "Ann <Lee> # 7".into(),
            }),
            sandbox: Sandbox { namespaces: vec![], uid: 1000 },
            setup: String::new(),
            in_short: String::new(),
            of: 3,
            claims: vec![
                claim("stays", "A name # stays."),
                claim("leaks", "It leaks & <spreads>."),
                claim("asks", "It asks."),
            ],
        },
        judged("stays", Verdict::Holds, true),
        judged("leaks", Verdict::Refuted, false),
        Event::Skipped { claim: "asks".into(), missing: "root".into(), remedy: "sudo …".into() },
        Event::End {
            tally: Tally { holds: 1, refuted: 1, inconclusive: 0, skipped: 1, unexpected: 1 },
            broken: Some("fork(): EAGAIN".into()),
            status: 2,
            elapsed: 12_345_678,
        },
    ]
}

fn show(renderer: &mut dyn Renderer, times: usize) {
    for event in (0..times).flat_map(|_| events(false)) {
        renderer.show(&event).unwrap();
    }
    renderer.finish().unwrap();
}

fn tap(times: usize) -> String {
    let mut out = Vec::new();
    show(&mut Tap::new(&mut out), times);
    String::from_utf8(out).unwrap()
}

fn junit(times: usize) -> String {
    let mut out = Vec::new();
    show(&mut Junit::new(&mut out), times);
    String::from_utf8(out).unwrap()
}

fn read(times: usize) -> Report {
    Report::deserialize_from_str(&junit(times)).unwrap()
}

#[test]
fn tap_tells_each_claim_and_why_one_failed() {
    assert_data_eq!(tap(1), file!["graded/sample.tap"].raw());
}

#[test]
fn tap_counts_through_several_experiments() {
    let text = tap(2);
    assert_eq!(text.matches("TAP version").count(), 1);
    assert!(text.contains("\nok 5 - sample stays: "));
    assert!(text.ends_with("\n1..8\n"));
    assert_eq!(tap(0), "TAP version 13\n1..0\n");
}

#[test]
fn junit_tells_each_claim_and_why_one_failed() {
    assert_data_eq!(junit(1), file!["graded/sample.xml"].raw());
}

#[test]
fn junit_is_read_with_all_that_was_said() {
    let report = read(2);
    assert_eq!(report.test_suites.len(), 2);
    let suite = &report.test_suites[0];
    assert_eq!((suite.tests, suite.failures, suite.errors), (4, 1, 1));
    let kinds: Vec<_> = suite
        .test_cases
        .iter()
        .map(|case| match &case.status {
            TestCaseStatus::Success { .. } => "passed".to_string(),
            TestCaseStatus::Skipped { message, .. } => format!("skipped: {}", message.as_deref().unwrap()),
            TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, message, description, .. } => {
                format!("failed: {}; {}", message.as_deref().unwrap(), description.as_deref().unwrap())
            }
            TestCaseStatus::NonSuccess { message, .. } => format!("error: {}", message.as_deref().unwrap()),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "passed",
            "failed: refuted, expected: holds; without CLONE_NEWUTS, child: gethostname() = <\"&#\\u{1b}[2J\nwith CLONE_NEWUTS, child: gethostname() = <\"&#\\u{1b}[2J",
            "skipped: root; to get it: sudo …",
            "error: fork(): EAGAIN",
        ]
    );
    assert_eq!(suite.test_cases[1].name.as_str(), "leaks: It leaks & <spreads>.");
    assert_eq!(read(0).test_suites.len(), 0);
}

#[test]
fn where_all_must_run_a_skip_is_a_failure() {
    let (mut tap, mut junit) = (Vec::new(), Vec::new());
    let (mut text, mut xml) = (Tap::new(&mut tap), Junit::new(&mut junit));
    for event in events(true) {
        text.show(&event).unwrap();
        xml.show(&event).unwrap();
    }
    text.finish().unwrap();
    xml.finish().unwrap();
    drop((text, xml));
    let why = "skipped, where all must run: root; to get it: sudo …";
    let tap = String::from_utf8(tap).unwrap();
    let expected = format!("\nnot ok 3 - sample asks: It asks.\n  ---\n  message: \"{why}\"\n  ...\n");
    assert!(tap.contains(&expected) && !tap.contains("# SKIP"), "{tap}");
    let report = Report::deserialize_from_str(&String::from_utf8(junit).unwrap()).unwrap();
    let suite = &report.test_suites[0];
    assert_eq!((suite.tests, suite.failures, suite.errors, suite.skipped), (4, 2, 1, 0));
    let TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, message, .. } =
        &suite.test_cases[2].status
    else {
        panic!("{:?}", suite.test_cases[2].status);
    };
    assert_eq!(message.as_deref(), Some(why));
}

#[test]
fn whose_run_it_was_and_where_and_when_is_told() {
    let text = tap(1);
    for line in ["# student: Ann <Lee> \\# 7", "# user: ann", "# host: lab-7", "# time: 2026-03-01T14:05:09Z"]
    {
        assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
    }
    let report = read(2);
    for suite in &report.test_suites {
        let properties: Vec<_> =
            suite.properties.iter().map(|it| (it.name.as_str(), it.value.as_str())).collect();
        assert_eq!(properties, [("student", "Ann <Lee> # 7"), ("user", "ann"), ("kernel", "6.12")]);
        assert_eq!(suite.timestamp.map(|it| it.to_rfc3339()).as_deref(), Some("2026-03-01T14:05:09+00:00"));
    }
    assert_eq!(junit(1).matches(" hostname=\"lab-7\"").count(), 1);
}
