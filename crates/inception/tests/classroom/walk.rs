//! Walkthroughs, by `inception walk`.

use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::desk::{Desk, Person};
use crate::{ensure, first, one_line, pids};

/// What stands at the end of the screen before command `number`.
fn prompt(number: usize) -> String {
    format!("[{number}] Enter run it  b back  q quit  ? help:")
}

/// The third command of 16: a process of the second runs in the background then.
const THIRD: &str = "$ readlink /proc/self/ns/uts /proc/$!/ns/uts\n";

/// A walkthrough that waits before `number`.
fn at(person: &Person, number: usize) -> Result<Desk, Failed> {
    let desk = Desk::new(person);
    desk.open(80, &["inception", "walk", "16"]);
    for at in 1..number {
        desk.ends_with(&prompt(at))?;
        desk.press("Enter");
    }
    desk.ends_with(&prompt(number))?;
    Ok(desk)
}

pub(crate) fn it_waits_before_each_command(person: &Person) -> Result<(), Failed> {
    let desk = at(person, 1)?;
    ensure(!desk.screen().contains("\ninside\n"), || format!("it is run: {}", desk.screen()))?;
    desk.press("Enter");
    desk.shows("\ninside\n", 1)?;
    let mut number = 2;
    while !desk.screen().contains("\n$ uts-demo\n") {
        desk.ends_with(&prompt(number))?;
        desk.press("Enter");
        number += 1;
        desk.ends_with(&prompt(number))?;
    }
    // At the end too: the experiment is its one screen.
    ensure(!desk.screen().contains("HOLDS"), || "the experiment does not wait".into())?;
    desk.press("Enter");
    desk.ends_with("exit status 0")?;
    let screen = desk.screen();
    let last = screen.rsplit("? help:").next().unwrap_or_default();
    let lines = last.trim().lines().count() - 1;
    ensure(last.contains("HOLDS") && lines <= 24, || format!("{lines} lines: {last}"))?;
    desk.settings_are_back()?;
    desk.is_left_clean(&[])
}

pub(crate) fn it_goes_back(person: &Person) -> Result<(), Failed> {
    let desk = at(person, 3)?;
    desk.press("?");
    for key in ["Enter", "b  ", "q  ", "?  "] {
        desk.shows(&format!("\n   {key}"), 1)?;
    }
    desk.press("Up");
    desk.shows("The keys: Enter, b, q or ?.", 1)?;
    // The command before with its text, and below it the one that Enter runs.
    desk.press("b");
    desk.shows("Before, at [2]:\n\nThe namespace exists as long as a member.", 1)?;
    desk.shows(THIRD, 2)?;
    desk.press("b");
    desk.shows("Before, at [1]:\n\nA UTS namespace begins", 1)?;
    desk.press("b");
    desk.shows("There is no command before.", 1)?;
    desk.press("b");
    desk.shows("Before, at [2]:", 2)?;
    desk.ends_with(&prompt(3))?;
    ensure(desk.screen().matches("\ninside\n").count() == 1, || "it is run again".into())?;
    desk.press("Enter");
    desk.shows("\nuts:[", 2)?;
    desk.ends_with(&prompt(4))
}

pub(crate) fn whoever_quits_runs_nothing_more(person: &Person) -> Result<(), Failed> {
    // The Enter that some type behind every letter runs nothing either.
    for keys in [&["q"][..], &["q", "Enter"], &["C-c"], &["C-d"]] {
        let desk = at(person, 3)?;
        desk.outlasts_its_program();
        for key in keys {
            desk.press(key);
        }
        desk.shows("exit status 130", 1)?;
        ensure(!desk.screen().contains("\nuts:["), || format!("it is run: {}", desk.screen()))?;
        desk.is_left_clean(&[])?;
    }
    Ok(())
}

pub(crate) fn several_pause_between(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    desk.open(80, &["inception", "walk", "uts-demo", "11"]);
    let next = "Next: 11 pid-ns-init. Enter go on  q quit:";
    let mut number = 1;
    while !desk.screen().contains(next) {
        desk.shows(&prompt(number), 1)?;
        desk.press("Enter");
        number += 1;
        desk.either(&prompt(number), next)?;
    }
    desk.ends_with(next)?;
    ensure(!desk.screen().contains("What can kill PID 1?"), || "it runs on".into())?;
    desk.press("Enter");
    desk.shows("What can kill PID 1?", 1)?;
    desk.shows(&prompt(1), 2)?;
    desk.press("q");
    desk.ends_with("exit status 130")?;
    desk.is_left_clean(&[])
}

pub(crate) fn it_waits_for_nobody_where_nobody_reads(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    let output = desk.run(&["inception", "walk", "16"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure(output.status.success() && text.contains("HOLDS") && !text.contains("? help"), || text)?;
    desk.open(80, &["inception", "walk", "16", "--no-pause"]);
    desk.ends_with("exit status 0")?;
    let mut desk = Desk::new(person);
    desk.set("CI", "true");
    desk.open(80, &["inception", "walk", "16"]);
    desk.ends_with("exit status 0")?;
    // One that is not there is told before anything begins.
    let told = one_line(&desk.run(&["inception", "walk", "16", "nowhere"]), 2)?;
    ensure(told.contains("no demo is called 'nowhere'"), || told)?;
    desk.is_left_clean(&[])
}

pub(crate) fn one_that_is_killed_leaves_nothing(person: &Person) -> Result<(), Failed> {
    let script = |desk: &Desk| desk.processes().into_iter().find(|(_, name)| name == "bash");
    // We, who have the terminal, or the script: by what it can do something about, and by what it cannot.
    for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGHUP] {
        for is_script in [false, true] {
            let desk = at(person, 3)?;
            let victim = if is_script { script(&desk).map(|it| it.0) } else { Some(first(&pids(&desk))) };
            let victim = victim.ok_or_else(|| format!("no script among {:?}", desk.processes()))?;
            kill(Pid::from_raw(victim), signal)?;
            desk.shows("exit status", 1)?;
            desk.settings_come_back()?;
            desk.is_left_clean(&[])?;
        }
    }
    let desk = at(person, 3)?;
    desk.hang_up();
    desk.is_left_clean(&[])
}
