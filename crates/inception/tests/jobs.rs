//! Experiments that run at the same time: shown in order, and with the verdicts that they have one by one.

mod bench;
mod built;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use bench::{Bench, DRIVER, begin, demos, end, judged, output, say, text};
use serde_json::Value;

/// Waits for a file that another experiment makes.
const AWAIT: &str =
    "n=0; while [ ! -e \"$HERE/second\" ] && [ $n -lt 6000 ]; do n=$((n + 1)); sleep 0.01; done\n";

fn says(claim: &str) -> String {
    say(&[begin(&[claim]), judged(claim, "holds", true), end(1, 0, 0, 0, 0)])
}

#[test]
fn the_first_is_shown_first_though_the_second_ends_first() {
    let bench = Bench::new("together");
    let [first, second] = [&demos()[0], &demos()[1]];
    bench.place(first, &(AWAIT.to_string() + &says("of-the-first")));
    bench.place(second, &(says("of-the-second") + "touch \"$HERE/second\""));
    let output = bench.run(&["run", first, second, "--jobs", "2", "--format", "jsonl"]);
    let lines = text(&output.stdout);
    let claims: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let judged: Vec<&str> = claims.iter().filter_map(|event| event["claim"].as_str()).collect();
    assert_eq!((judged, output.status.code()), (vec!["of-the-first", "of-the-second"], Some(0)), "{lines}");
}

#[test]
fn no_more_run_at_the_same_time_than_were_asked_for() {
    let bench = Bench::new("alone");
    let names = &demos()[..4];
    // A directory can be made once, so two at a time would be noticed.
    let turn = "mkdir \"$HERE/turn\" || exit 3\n".to_string() + &says("a") + "rmdir \"$HERE/turn\"";
    for name in names {
        bench.place(name, &turn);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let output = bench.run(&[&["run", "--quiet", "--jobs", "1"], names.as_slice()].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn one_that_breaks_breaks_no_other() {
    let bench = Bench::new("broken");
    let names = &demos()[..3];
    bench.place(&names[0], &says("a"));
    bench.place(&names[1], "exit 3");
    bench.place(&names[2], &says("b"));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let output = bench.run(&[&["run", "--quiet", "--jobs", "3"], names.as_slice()].concat());
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("BROKEN: {}", names[1])), "{said}");
}

/// The verdict on each claim of each experiment, in the order in which they were shown.
fn verdicts(jobs: &str) -> (Vec<String>, BTreeMap<(String, String), String>) {
    let output = output(Command::new(DRIVER).args(["run", "--all", "--format", "jsonl", "--jobs", jobs]));
    let (mut experiments, mut verdicts) = (Vec::new(), BTreeMap::new());
    for line in text(&output.stdout).lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let experiment = experiments.last().cloned().unwrap_or_default();
        match event["event"].as_str() {
            Some("begin") => experiments.push(event["experiment"].as_str().unwrap().to_string()),
            Some("judged" | "skipped") => {
                let claim = event["claim"].as_str().unwrap().to_string();
                let verdict = event["verdict"].as_str().unwrap_or("skipped").to_string();
                assert_ne!(event["expected"], Value::Bool(false), "{jobs} jobs: {experiment}: {line}");
                verdicts.insert((experiment, claim), verdict);
            }
            _ => {}
        }
    }
    (experiments, verdicts)
}

#[test]
fn verdicts_are_the_same_one_by_one_and_at_the_same_time() {
    built::programs(Path::new(DRIVER));
    let one_by_one = verdicts("1");
    assert_eq!(one_by_one.0.len(), demos().len());
    assert!(one_by_one.1.len() > 500, "{}", one_by_one.1.len());
    assert_eq!(verdicts("8"), one_by_one);
}
