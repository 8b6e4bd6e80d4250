//! The renderers for graders: a claim is a test, and what graders read of it is right.

use lesson::render::{Junit, Renderer, Tap};
use lesson::{Arm, ClaimHead, Event, SCHEMA, Stage, Tally, Verdict};
use ns_core::{Fact, Value};
use quick_junit::{NonSuccessKind, Report, TestCaseStatus};
use snapbox::{assert_data_eq, file};

/// A transcript with each fate of a claim. The experiment breaks in the end.
fn events() -> Vec<Event> {
    let claim = |id: &str, text: &str| ClaimHead {
        id: id.into(),
        text: text.into(),
        cause: "CLONE_NEWUTS".into(),
        expect: "holds".into(),
        correction: None,
        notes: vec![],
        more: vec![],
        misconceptions: Vec::new(),
    };
    let arm = |effect| Arm {
        effect,
        facts: vec![Fact::inside("child", "gethostname()", Value::Name("<\"&#\x1b[2J".into()))],
    };
    let judged = |claim: &str, verdict, expected| Event::Judged {
        claim: claim.into(),
        verdict,
        expected,
        without: arm(false),
        with: arm(expected),
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
            stage: Stage { namespaces: vec![], uid: 1000 },
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
            tally: Tally { holds: 1, refuted: 1, unproven: 0, skipped: 1, unexpected: 1 },
            broken: Some("fork(): EAGAIN".into()),
            status: 2,
            elapsed: 12_345_678,
        },
    ]
}

fn show(renderer: &mut dyn Renderer, times: usize) {
    for event in (0..times).flat_map(|_| events()) {
        renderer.show(&event).unwrap();
    }
    renderer.finish().unwrap();
}

fn tap(times: usize) -> String {
    let mut out = Vec::new();
    show(&mut Tap::new(&mut out), times);
    String::from_utf8(out).unwrap()
}

fn junit(times: usize) -> Report {
    let mut out = Vec::new();
    show(&mut Junit::new(&mut out), times);
    Report::deserialize_from_str(&String::from_utf8(out).unwrap()).unwrap()
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
fn junit_is_read_with_all_that_was_said() {
    let report = junit(2);
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
    assert_eq!(junit(0).test_suites.len(), 0);
}
