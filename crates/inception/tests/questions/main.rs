//! The questions of all experiments: none is answered by what stands above it, and Moodle takes them all.

#[path = "../built/mod.rs"]
mod built;
mod gift;
mod giveaway;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

static PROGRAMS: LazyLock<PathBuf> =
    LazyLock::new(|| built::programs(Path::new(env!("CARGO_BIN_EXE_inception"))));

/// A core claim's question.
#[derive(Debug)]
struct Declared {
    claim: String,
    asks: String,
    /// Each with why people give it who have it wrong.
    answers: Vec<(String, Option<String>)>,
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAMS.join(program));
    // What is predicted here is nobody's score.
    command.args(arguments).env("XDG_STATE_HOME", "/dev/null/nowhere").env_remove("CLICOLOR_FORCE");
    command.current_dir("/").stdin(Stdio::null()).output().expect("it can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The experiments, in their order.
fn experiments() -> Vec<String> {
    let list = text(&run("inception", &["list", "--format", "jsonl"]).stdout);
    let mut list: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    // The list is the path; what is exported goes by the numbers.
    list.sort_by_key(|demo| demo["number"].as_u64());
    list.iter().filter_map(|demo| demo["name"].as_str().map(String::from)).collect()
}

/// The questions that an experiment declares.
fn declared(experiment: &str) -> Vec<Declared> {
    let claims = text(&run(experiment, &["--list-claims", "--format", "jsonl"]).stdout);
    let string = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let claims = claims.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let core = claims.filter(|claim| claim["core"] == true);
    core.map(|claim| {
        let answer = |it: &Value| (string(&it["answer"]), it["why"].as_str().map(String::from));
        Declared {
            claim: string(&claim["id"]),
            asks: string(&claim["question"]),
            answers: claim["answers"].as_array().into_iter().flatten().map(answer).collect(),
        }
    })
    .collect()
}

fn right(question: &Declared) -> &str {
    question.answers.iter().find(|(_, why)| why.is_none()).map_or("", |(answer, _)| answer)
}

/// In the run of the core claims that whoever predicts sees, on a screen that breaks no line.
#[test]
fn no_answer_stands_on_the_screen_above_its_question() {
    let answers = std::env::temp_dir().join(format!("inception-questions-{}", std::process::id()));
    std::fs::write(&answers, "a\n".repeat(9)).expect("the temporary directory can be written");
    let path = answers.display().to_string();
    let (mut asked, mut given_away) = (0, Vec::new());
    for experiment in experiments() {
        let options =
            ["run", &experiment, "--predict", "--answers", &path, "--color", "never", "--width", "400"];
        let output = run("inception", &options);
        let screen = text(&output.stdout);
        let questions: BTreeMap<String, Declared> =
            declared(&experiment).into_iter().map(|it| (it.asks.clone(), it)).collect();
        for (at, lead) in screen.match_indices("\nPREDICT  ") {
            let asks = screen[at + lead.len()..].lines().next().unwrap_or_default();
            let question = questions.get(asks).unwrap_or_else(|| panic!("{experiment} declares no {asks:?}"));
            asked += 1;
            if let Some(line) = giveaway::line(&screen[..at], asks, right(question)) {
                let Declared { claim, .. } = question;
                given_away.push(format!("{experiment}/{claim}: {asks} {}\n    {line}", right(question)));
            }
        }
        // 77: nothing can be asked here.
        let is_asked = screen.contains("\nPREDICT  ") || output.status.code() == Some(77);
        assert!(is_asked, "{experiment}: {}\n{screen}", text(&output.stderr));
    }
    let _ = std::fs::remove_file(&answers);
    assert!(asked > 50, "only {asked} questions were asked");
    assert!(given_away.is_empty(), "{} answers are given away:\n{}", given_away.len(), given_away.join("\n"));
}

#[test]
fn a_letter_is_a_letter_and_no_answer() {
    for experiment in experiments() {
        for Declared { claim, answers, .. } in declared(&experiment) {
            let is_letter =
                answers.iter().any(|(answer, _)| answer.len() < 2 && answer.chars().all(char::is_alphabetic));
            assert!(!is_letter, "{experiment}/{claim} has a letter as an answer");
        }
    }
}

#[test]
fn moodle_takes_every_core_question() {
    let exported = text(&run("inception", &["claims", "--gift", "-"]).stdout);
    let mut questions = gift::read(&exported).into_iter();
    for experiment in experiments() {
        for declared in declared(&experiment) {
            let question = questions.next().expect("it is exported");
            assert_eq!(question.name, format!("{experiment}/{}", declared.claim));
            assert!(question.category.starts_with("Inception/") && question.category.ends_with(&experiment));
            assert_eq!(question.text, declared.asks);
            let feedback = |why: &String| format!("Why people say so: {why}.");
            let expected: Vec<gift::Answer> = declared
                .answers
                .iter()
                .map(|(text, why)| gift::Answer {
                    right: why.is_none(),
                    text: text.clone(),
                    feedback: why.as_ref().map(feedback),
                })
                .collect();
            assert_eq!(question.answers, expected);
        }
    }
    assert_eq!(questions.next(), None);
}
