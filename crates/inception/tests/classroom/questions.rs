//! What is asked, and answered by letters, by votes, and from files.

use std::fs;

use libtest_mimic::Failed;
use serde_json::Value;

use crate::desk::{Desk, Person};
use crate::fit::CLEAR;
use crate::{KEYS, ensure, prompt_at};

/// The first question of pid-ns-init.
const ASKS: &str = "Your answer, a to d (? lists the keys):";

fn asked(person: &Person) -> Result<Desk, Failed> {
    let desk = Desk::new(person);
    desk.open(80, &["pid-ns-init", "--predict"]);
    desk.ends_with(ASKS)?;
    Ok(desk)
}

/// The letter before an answer on the screen.
fn letter(screen: &str, answer: &str) -> String {
    let mut lines = screen.lines().map(str::trim);
    lines.find_map(|line| line.strip_suffix(&format!("  {answer}"))).unwrap_or_default().to_string()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The Enter behind a letter is no key of the pause that comes next.
pub(crate) fn a_letter_and_its_enter_are_one_answer(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    desk.open(80, &["pid-ns-init", "--predict", "--pause"]);
    desk.ends_with(KEYS)?;
    ensure(!desk.screen().contains("clone3"), || format!("it gives itself away: {}", desk.screen()))?;
    desk.press("n");
    desk.ends_with(ASKS)?;
    let right = letter(&desk.screen(), "1");
    desk.type_line(&right);
    // The step is shown now, and its first claim.
    desk.ends_with(&prompt_at("step 1, 1 of 1"))?;
    desk.shows(&format!("Right. The kernel says {right}: 1"), 1)?;
    desk.shows("Why people say ", 3)?;
    desk.shows("1. Start the same code", 1)?;
    desk.press("Enter");
    desk.ends_with("Your answer, a to c (? lists the keys):")?;
    // What was typed is taken back, and a capital letter is one too.
    desk.type_line("");
    desk.press("x");
    desk.press("BSpace");
    desk.type_line("C");
    desk.shows("Your answer, a to c (? lists the keys): C", 1)?;
    desk.press("C-c");
    desk.ends_with("exit status 130")?;
    desk.settings_are_back()
}

/// On a screen that has no room for the question, the votes, the answer and the step.
pub(crate) fn the_answer_stays_on_a_small_screen_until_a_key(person: &Person) -> Result<(), Failed> {
    for number in ["16", "11", "14"] {
        let desk = Desk::new(person);
        desk.open_sized((80, 24), &["inception", "run", number, "--predict", "--pause"]);
        desk.ends_with(KEYS)?;
        desk.press("Enter");
        desk.ends_with("(? lists the keys):")?;
        desk.type_line("a 7 b 12 c 3");
        desk.ends_with("Vote, answer or Enter (? lists the keys):")?;
        desk.press("Enter");
        desk.ends_with("? help")?;
        // What was cleared is still in the terminal's history. What was written is kept a moment later than it is shown.
        desk.until(&format!("of {number} the answer, and it stands"), |_| {
            let written = desk.written();
            let stands = written.rsplit(CLEAR).next().unwrap_or_default();
            let says = ["The kernel says", "First vote:", "Why people say", "? help"];
            says.iter().all(|it| stands.contains(it))
        })?;
    }
    Ok(())
}

pub(crate) fn a_class_votes_twice_and_the_kernel_answers(person: &Person) -> Result<(), Failed> {
    let desk = asked(person)?;
    let screen = desk.screen();
    let right = letter(&screen, "1");
    let wrong = ["a", "b", "c", "d"].into_iter().find(|it| *it != right).unwrap_or_default();
    // Nobody has voted, so there is nothing that Enter could take.
    desk.press("Enter");
    desk.type_line(&format!("{wrong} 12, {right} 7"));
    desk.shows(&format!("      {right}     7   37 %  ##################\n"), 1)?;
    desk.shows(&format!("      {wrong}    12   63 %  ##############################\n"), 1)?;
    desk.shows("Discuss, then vote again. Enter alone: the kernel answers.", 1)?;
    desk.ends_with("Vote, answer or Enter (? lists the keys):")?;
    ensure(!desk.screen().contains("The kernel says"), || desk.screen())?;
    desk.type_line("a 7 x 1");
    desk.shows("No vote: 'x' is no answer; the answers are a to d.", 1)?;
    desk.type_line(&format!("{right}15 {wrong}4"));
    desk.shows("Enter alone: the kernel answers.", 2)?;
    desk.press("Enter");
    desk.shows("First vote: 7 of 19 right.", 1)?;
    desk.shows("Last vote: 15 of 19 right.", 1)?;
    desk.shows("Right. The kernel says", 1)?;
    desk.press("q");
    desk.ends_with("exit status 130")?;
    let kept = fs::read_to_string(desk.predictions())?;
    let lines: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect();
    let rounds: Vec<&Value> = lines.iter().map(|it| &it["round"]).collect();
    ensure(rounds == [&Value::from(1), &Value::from(2), &Value::Null], || kept.clone())?;
    ensure(lines[2]["right"] == true && lines[2]["letter"] == right.as_str(), || kept)?;
    // As a table: the head, an answer a row of each vote, and the prediction.
    let table = text(&desk.run(&["inception", "review", "--csv", "-"]).stdout);
    ensure(table.lines().count() == 1 + 2 * 4 + 1, || table.clone())?;
    let row = |round: &str, answer: &str, count: &str| format!(",{round},{right},{answer},true,{count}\r\n");
    for row in [row("1", "1", "7"), row("2", "1", "15"), row("", "1", "1")] {
        ensure(table.contains(&row), || format!("no {row:?} in {table}"))?;
    }
    let others = text(&desk.run(&["inception", "review", "16", "--csv", "-"]).stdout);
    ensure(others.lines().count() == 1, || others)?;
    let list = text(&desk.run(&["inception", "review", "--list"]).stdout);
    ensure(list.contains("1 of 1 right"), || list)
}

pub(crate) fn a_tie_takes_a_letter(person: &Person) -> Result<(), Failed> {
    let desk = asked(person)?;
    desk.type_line("a 4 d 4");
    desk.ends_with("Vote, answer or Enter (? lists the keys):")?;
    desk.press("Enter");
    desk.shows("As many voted for a and d: type the letter that counts, or vote again.", 1)?;
    desk.type_line("d");
    desk.shows("The kernel says", 1)
}

pub(crate) fn why_and_the_step_before_are_read_at_a_question(person: &Person) -> Result<(), Failed> {
    let desk = asked(person)?;
    desk.press("p");
    desk.shows("PREDICT  A process is created", 2)?;
    desk.press("w");
    desk.shows("No step has shown anything yet.", 1)?;
    desk.shows("PREDICT  A process is created", 3)?;
    let screen = desk.screen();
    ensure(!screen.contains("has PID 1"), || format!("it gives the answer away: {screen}"))?;
    desk.type_line(&letter(&screen, "1"));
    desk.shows("1. Start the same code", 1)?;
    desk.ends_with("Your answer, a to c (? lists the keys):")?;
    desk.press("p");
    desk.shows("plain child is PID", 2)?;
    desk.press("w");
    desk.shows("- The first process in a new PID namespace has PID 1.", 1)?;
    let screen = desk.screen();
    ensure(!screen.contains("is dropped"), || format!("it gives the answer away: {screen}"))?;
    // Whoever ends a key with Enter has not answered.
    desk.press("Enter");
    desk.ends_with("Your answer, a to c (? lists the keys):")?;
    desk.press("?");
    for key in ["a to c", "a 7 b 12", "p", "w", "r", "q", "?"] {
        desk.shows(&format!("\n   {key:8} "), 1)?;
    }
    desk.press("r");
    desk.shows("pid-ns-init: What can kill PID 1?", 2)?;
    desk.ends_with(ASKS)
}

pub(crate) fn the_exit_status_and_a_file_say_the_score(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    let claims = text(&desk.run(&["pid-ns-init", "--list-claims", "--format", "jsonl"]).stdout);
    let claims = claims.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_default());
    let mut right: Vec<String> = claims
        .filter_map(|claim| {
            let answers = claim["answers"].as_array()?.clone();
            let right = answers.iter().find(|it| it["right"] == true)?;
            Some(right["answer"].as_str()?.to_string())
        })
        .collect();
    let score = desk.folder().join("state/score.json");
    let path = score.display().to_string();
    let predict = |answers: &[String]| {
        let answers = desk.file("answers", &(answers.join("\n") + "\n"));
        let line =
            ["pid-ns-init", "--predict", "--answers", &answers, "--student", "Ann Lee", "--score", &path];
        desk.run(&line)
    };
    let output = predict(&right);
    ensure(output.status.code() == Some(0), || format!("{output:?}"))?;
    let read = || -> Result<Value, Failed> { Ok(serde_json::from_str(&fs::read_to_string(&score)?)?) };
    let all = read()?;
    ensure(all["right"] == right.len() && all["asked"] == right.len() && all["status"] == 0, || {
        all.to_string()
    })?;
    ensure(
        all["student"] == "Ann Lee"
            && ["host", "user", "time", "kernel"].iter().all(|it| all[it].is_string()),
        || all.to_string(),
    )?;
    right[0] = "0".into();
    let output = predict(&right);
    ensure(output.status.code() == Some(1), || format!("{output:?}"))?;
    let one = read()?;
    let first = &one["predictions"][0];
    ensure(one["right"] == right.len() - 1 && one["status"] == 1, || one.to_string())?;
    ensure(first["answered"] == "0" && first["right"] == false && first["kernel_says"] == "1", || {
        first.to_string()
    })?;
    // Too few answers: that wins.
    let output = predict(&right[..2]);
    ensure(output.status.code() == Some(2), || format!("{output:?}"))?;
    ensure(read()?["asked"] == 2, || "what was answered is written".into())
}
