//! What the experiments and the tests of ns-core said for one user of one machine.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use transcript::{Arm, Event, Run, Verdict};

use super::recorded::recorded;
use crate::project;

/// What was found: lines that say what was skipped and what failed, a sum in words, and how much there was of each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) skips: Vec<String>,
    pub(super) failures: Vec<String>,
    pub(super) passed: usize,
    pub(super) sum: String,
}

/// Reads what `user` left in `directory` (scripts/vm.d/suite says which files those are).
///
/// # Errors
/// When one of them is missing.
pub(super) fn judge(directory: &Path, user: &str) -> Result<Judged> {
    let mut judge = Judge { user, ..Judge::default() };
    judge.runs(&project::read(&directory.join(format!("{user}.runs")))?);
    for (file, sabotaged) in [(format!("{user}.jsonl"), false), (format!("{user}-sabotage.jsonl"), true)] {
        let (runs, faults) = recorded(directory, &file)?;
        faults.into_iter().for_each(|fault| judge.fail(fault));
        runs.all.iter().for_each(|run| judge.run(run, sabotaged));
    }
    let prefix = format!("{user}-test-");
    let mut tests = Vec::new();
    for entry in
        std::fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?
    {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(name) = file.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".txt")) {
            tests.push((name.to_string(), path.clone()));
        }
    }
    tests.sort();
    for (name, path) in tests {
        judge.test(&name, &String::from_utf8_lossy(&std::fs::read(&path)?));
    }
    Ok(judge.end())
}

#[derive(Debug, Default)]
struct Judge<'a> {
    user: &'a str,
    found: Judged,
    /// Programs whose exit status is another than expected, and what it is.
    odd: BTreeMap<String, String>,
    /// Tests of which no result was read yet.
    silent: BTreeMap<String, String>,
    as_expected: usize,
    claims_skipped: usize,
    /// Claims that were judged without their factors, and that hold still.
    without: usize,
    still: usize,
    tests: Counts,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Judge<'_> {
    fn fail(&mut self, what: String) {
        self.found.failures.push(what);
    }

    fn skip(&mut self, what: String) {
        match reproach(self.user, &what) {
            Some(why) => self.fail(format!("{why}: {what}")),
            None => self.found.skips.push(what),
        }
    }

    /// The programs' exit statuses. 77: nothing could be asked, which the skips tell.
    fn runs(&mut self, text: &str) {
        for (status, name) in text.lines().filter_map(|line| line.split_once('\t')) {
            if status != "0" && status != "77" {
                self.odd.insert(name.into(), status.into());
            }
            if let Some(test) = name.strip_prefix("test ") {
                self.silent.insert(test.into(), status.into());
            }
        }
    }

    /// What an experiment said.
    fn run(&mut self, run: &Run, sabotaged: bool) {
        let experiment = &run.begin.experiment;
        for event in run.steps().flatten() {
            match event {
                Event::Judged { claim, verdict, expected, control, treatment, .. } => {
                    let what = format!("{experiment}/{claim}");
                    if sabotaged {
                        self.without += 1;
                        if *verdict == Verdict::Holds {
                            self.still += 1;
                            self.fail(format!(
                                "{what} holds without its factor: {}",
                                arms(control, treatment)
                            ));
                        } else {
                            self.found.passed += 1;
                        }
                    } else if *expected {
                        self.as_expected += 1;
                        self.found.passed += 1;
                    } else {
                        self.fail(format!("{what} is {}: {}", verdict.word(), arms(control, treatment)));
                    }
                }
                Event::Skipped { claim, missing, remedy } if !sabotaged => {
                    self.claims_skipped += 1;
                    self.skip(format!("{experiment}/{claim}: {missing}; {remedy}"));
                }
                _ => {}
            }
        }
        if let Some(broken) = run.broken() {
            let options = if sabotaged { " --sabotage" } else { "" };
            self.fail(format!("{experiment}{options}: it broke: {broken}"));
        }
    }

    /// What a test program said, with cargo's harness or ours.
    fn test(&mut self, name: &str, text: &str) {
        for line in text.lines() {
            if let Some(counts) = result(line) {
                self.found.passed += counts.passed;
                self.tests.passed += counts.passed;
                self.tests.failed += counts.failed;
                self.tests.skipped += counts.skipped;
                self.silent.remove(name);
            } else if line.starts_with("FAIL") || line.contains("... FAILED") {
                self.fail(format!("test {name}: {line}{}", why(line, text)));
            } else if ["it needs nothing: typed", "types it"].iter().any(|why| line.contains(why)) {
                // Not for this user, or on the host too: nothing that this machine lacks.
            } else if line.starts_with("skip ")
                || line.contains("... skipped")
                || line.contains("... ignored")
            {
                let line = line.strip_prefix("skip ").or_else(|| line.strip_prefix("test ")).unwrap_or(line);
                let line = line.replacen(" ... skipped:", ":", 1).replacen(" ... ignored,", ":", 1);
                self.skip(format!("test {name}: {}", line.trim_start()));
            }
        }
    }

    fn end(mut self) -> Judged {
        for (name, status) in std::mem::take(&mut self.silent) {
            self.fail(format!("test {name}: it came to no end: exit status {status}"));
        }
        // Most often one of the failures is why. If there is none, nothing else says it.
        if self.found.failures.is_empty() {
            for (name, status) in std::mem::take(&mut self.odd) {
                self.fail(format!("{name}: exit status {status}"));
            }
        }
        let Judge {
            as_expected,
            claims_skipped,
            still,
            without,
            tests: Counts { passed, failed, skipped },
            ..
        } = self;
        let negative = match without {
            0 => String::new(),
            _ => format!("{still} of {without} hold without their factors; "),
        };
        self.found.sum = format!(
            "{as_expected} claims as expected, {claims_skipped} skipped; {negative}\
             tests: {passed} passed, {failed} failed, {skipped} skipped"
        );
        self.found
    }
}

/// Why it is a failure that this was skipped. In these VMs cgroup v2 is there to be asked, and v1 is not: root is refused
/// nothing. systemd hands a user some controllers, and what is the machine's only root may ask.
fn reproach(user: &str, what: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| what.contains(word));
    if has(&["nsdelegate among"]) {
        return Some("skipped, and no longer as systemd mounted it");
    }
    let about_cgroups = has(&["cgroup", "controller"]);
    // A service of systemd's has a slice between its cgroup and the root, and no slice is a partition.
    let not_there = has(&[
        "v1",
        "not to be run",
        "mount -t cgroup -o",
        "needs root",
        "a Docker engine",
        "cgroup that is a partition",
    ]);
    let handed_down = has(&["memory in its cgroup.subtree_control", "pids in its cgroup.subtree_control"]);
    if about_cgroups && !not_there && (user == "root" || handed_down) {
        Some("skipped, but it could be asked")
    } else if has(&["throw away"]) {
        Some("skipped, on a machine to throw away")
    } else {
        None
    }
}

/// What a test program says of the test whose failure `line` tells, indented: the last panic before it, or the first lines
/// below `---- TEST ----` or `---- TEST stdout ----`. Empty if it says nothing.
fn why(line: &str, text: &str) -> String {
    let test = line.trim_start_matches("test ").split(" ... ").next().unwrap_or_default();
    let head = format!("---- {test} ");
    let below = text.split('\n').skip_while(|line| !line.starts_with(&head)).skip(1);
    let below = below.take_while(|line| !line.starts_with("failures:") && !line.starts_with("---- "));
    let mut said: Vec<&str> = below.filter(|line| !line.is_empty()).take(8).collect();
    if line.contains("the panic says above") {
        let above: Vec<&str> = text.split('\n').take_while(|other| *other != line).collect();
        let panic = above.iter().rposition(|line| line.contains("panicked at")).unwrap_or(above.len());
        said.extend(above[panic..].iter().take(3));
    }
    said.iter().map(|line| format!("\n    {line}")).collect()
}

/// How a test program closes: `test result: ok. 3 passed; 0 failed; 1 ignored; …`, or `3 passed, 0 failed, 1 skipped`.
fn result(line: &str) -> Option<Counts> {
    let line = match line.strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ")?.1,
        None => line,
    };
    let mut words = line.split([' ', ';', ',']).filter(|word| !word.is_empty());
    let mut count = |names: &[&str]| {
        let number = words.next()?.parse().ok()?;
        names.contains(&words.next()?).then_some(number)
    };
    Some(Counts {
        passed: count(&["passed"])?,
        failed: count(&["failed"])?,
        skipped: count(&["skipped", "ignored"])?,
    })
}

/// What was seen in both arms, as it stands in the transcript with less punctuation.
fn arms(control: &Arm, treatment: &Arm) -> String {
    let json = |arm| serde_json::to_string(arm).unwrap_or_default();
    let mut text = format!("\"control\":{},\"treatment\":{}", json(control), json(treatment));
    for word in ["\"view\":\"outside\",", "\"view\":\"inside\",", "\"facts\":", "\"value\":", "{", "}", "\""]
    {
        text = text.replace(word, "");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const BEGIN: &str = r#"{"event":"begin","schema":2,"experiment":"x","question":"?","notes":"","man":[],"kernel":"6.1","sabotage":false,"sandbox":{"namespaces":[],"uid":0},"claims":[{"id":"c","text":"C.","factor":"","expect":"holds","notes":[],"more":[]}]}"#;
    /// The end of a run with one claim, which came out so.
    fn end(verdict: &str, unexpected: usize) -> String {
        let count = |word| usize::from(word == verdict);
        let [holds, refuted, skipped] = ["holds", "refuted", "skipped"].map(count);
        format!(
            r#"{{"event":"end","tally":{{"holds":{holds},"refuted":{refuted},"inconclusive":0,"skipped":{skipped},"unexpected":{unexpected}}},"broken":null,"status":0,"elapsed":1}}"#
        )
    }

    fn judged(verdict: &str, expected: bool) -> String {
        let arm = |effect: bool| {
            format!(
                r#"{{"effect":{effect},"facts":[{{"who":"us","view":"outside","what":"getpid()","value":{{"pid":7}}}}]}}"#
            )
        };
        format!(
            r#"{{"event":"judged","claim":"c","verdict":"{verdict}","expected":{expected},"control":{},"treatment":{}}}"#,
            arm(false),
            arm(true)
        )
    }

    /// What is said of a run with these events, of the same sabotaged, of these exit statuses and of a test.
    fn of(user: &str, events: &[&str], sabotaged: &[&str], runs: &str, test: &str) -> Judged {
        let folder = tempfile::tempdir().unwrap();
        let lines = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        for (file, text) in [
            (format!("{user}.runs"), runs.to_string()),
            (format!("{user}.jsonl"), lines(events)),
            (format!("{user}-sabotage.jsonl"), lines(sabotaged)),
            (format!("{user}-test-net.txt"), test.to_string()),
        ] {
            fs::write(folder.path().join(file), text).unwrap();
        }
        judge(folder.path(), user).unwrap()
    }

    const RUNS: &str = "0\tinception run all\n0\tx --sabotage\n0\ttest net\n";
    const TEST: &str =
        "test a ... ok\n\ntest result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";

    /// The events of a run in which all is as expected, and of the same sabotaged.
    fn good() -> [[String; 3]; 2] {
        [
            [BEGIN.into(), judged("holds", true), end("holds", 0)],
            [BEGIN.into(), judged("refuted", false), end("refuted", 1)],
        ]
    }

    #[test]
    fn a_run_in_which_all_is_as_expected_has_no_failure() {
        let sum = "1 claims as expected, 0 skipped; 0 of 1 hold without their factors; tests: 3 passed, 0 failed, 0 skipped";
        let [plain, sabotaged] = good();
        let plain = plain.each_ref().map(String::as_str);
        let judged = of("root", &plain, &sabotaged.each_ref().map(String::as_str), RUNS, TEST);
        assert_eq!(judged, Judged { passed: 5, sum: sum.into(), ..Judged::default() });
    }

    #[test]
    fn each_thing_that_is_not_as_expected_is_a_failure() {
        let good = good();
        let [plain, sabotaged] = good.each_ref().map(|events| events.each_ref().map(String::as_str));
        let [begin, holds, ended] = plain;
        let broken = ended.replace("null", "\"why\"");
        let failing = |said: &str| of("root", &plain, &sabotaged, RUNS, &format!("{said}{TEST}"));
        let cases = [
            (of("root", &sabotaged, &sabotaged, RUNS, TEST), "x/c is refuted: control:effect:false,"),
            (of("root", &plain, &plain, RUNS, TEST), "x/c holds without its factor: control:effect:false,"),
            (
                of("root", &plain[..2], &sabotaged, RUNS, TEST),
                "root.jsonl: line 2: cut short, 'x' has not ended",
            ),
            (
                of("root", &plain, &[&[begin], &sabotaged[..]].concat(), RUNS, TEST),
                "root-sabotage.jsonl: line 2: cut short before it, 'x' has not ended",
            ),
            (of("root", &[begin, holds, &broken], &sabotaged, RUNS, TEST), "x: it broke: why"),
            (
                of("root", &[begin, holds, ended, "{\"ev"], &sabotaged, RUNS, TEST),
                "root.jsonl: line 4: no event (",
            ),
            (
                of("root", &plain, &sabotaged, &RUNS.replace("0\tx", "1\tx"), TEST),
                "x --sabotage: exit status 1",
            ),
            (
                of("root", &plain, &sabotaged, RUNS, "test a ... ok\n"),
                "test net: it came to no end: exit status 0",
            ),
            (failing("test b ... FAILED\n"), "test net: test b ... FAILED"),
            (
                failing("test b ... FAILED\n\nfailures:\n\n---- b ----\nno\nlink\n\nfailures:\n    b\n"),
                "test net: test b ... FAILED\n    no\n    link",
            ),
            (
                failing(
                    "panicked at a\nx\ntest a ... ok\n\
                     panicked at b\ny\ntest b ... FAILED, as the panic says above\n",
                ),
                "test net: test b ... FAILED, as the panic says above\n    panicked at b\n    y",
            ),
        ];
        for (judged, failure) in cases {
            assert!(
                judged.failures.len() == 1 && judged.failures[0].starts_with(failure),
                "{failure}: {judged:?}"
            );
        }
    }

    #[test]
    fn what_both_arms_saw_has_less_punctuation() {
        let (refuted, end) = (judged("refuted", false), end("refuted", 1));
        let failure = &of("root", &[BEGIN, &refuted, &end], &[], RUNS, TEST).failures[0];
        let seen = "[who:us,what:getpid(),pid:7]";
        assert_eq!(
            *failure,
            format!("x/c is refuted: control:effect:false,{seen},treatment:effect:true,{seen}")
        );
    }

    #[test]
    fn a_skip_is_a_failure_where_the_machine_could_be_asked() {
        let skipped = |missing: &str| {
            let event = format!(r#"{{"event":"skipped","claim":"c","missing":"{missing}","remedy":"r"}}"#);
            move |user: &'static str| of(user, &[BEGIN, &event, &end("skipped", 0)], &[], RUNS, TEST)
        };
        let memory = "memory in its cgroup.subtree_control";
        assert_eq!(skipped("busybox")("root").skips, ["x/c: busybox; r"]);
        assert_eq!(
            skipped(memory)("root").failures,
            [format!("skipped, but it could be asked: x/c: {memory}; r")]
        );
        assert_eq!(skipped(memory)("student").failures.len(), 1);
        assert_eq!(skipped("a cgroup of another")("student").skips.len(), 1);
        assert_eq!(skipped("a cgroup v1")("root").skips.len(), 1);
        assert_eq!(
            skipped("a machine to throw away")("student").failures,
            ["skipped, on a machine to throw away: x/c: a machine to throw away; r"]
        );
        assert_eq!(skipped("nsdelegate among the options")("student").failures.len(), 1);
    }

    #[test]
    fn tests_without_a_harness_are_read_too() {
        let test = "ok a\nskip b: no ip\nFAIL c\n1 passed, 1 failed, 1 skipped\n";
        let judged = of("root", &[], &[], RUNS, test);
        assert_eq!(judged.skips, ["test net: b: no ip"]);
        assert_eq!(judged.failures, ["test net: FAIL c"]);
        assert!(judged.sum.ends_with("tests: 1 passed, 1 failed, 1 skipped"), "{}", judged.sum);
        assert_eq!(
            result("test result: FAILED. 1 passed; 2 failed; 3 ignored; 0 measured"),
            Some(Counts { passed: 1, failed: 2, skipped: 3 })
        );
        assert_eq!(result("3 passed"), None);
    }
}
