//! What is long goes through a pager, on a terminal; and what a terminal cannot show is not sent to it.

use std::fs;
use std::path::PathBuf;

use libtest_mimic::Failed;

use crate::desk::{Desk, Person};
use crate::{ensure, prompt};

/// A desk whose pager keeps what it reads in a file, and what it was told in another.
fn with_pager(person: &Person) -> Desk {
    let mut desk = Desk::new(person);
    let state = desk.folder().join("state");
    let script = format!("cat >{0}/paged; echo \"$LESS\" >{0}/told; echo turned", state.display());
    let pager = desk.file("pager", &script);
    desk.set("PAGER", &format!("sh {pager}"));
    desk
}

fn paged(desk: &Desk) -> PathBuf {
    desk.folder().join("state/paged")
}

pub(crate) fn what_is_long_goes_through_it_in_colour(person: &Person) -> Result<(), Failed> {
    for (line, said) in [
        (&["uts-demo", "--all"][..], "12. "),
        (&["uts-demo", "--steps"], "1. "),
        (&["uts-demo", "-v", "--step", "2"], "2. "),
        (&["inception", "run", "uts-demo", "--all"], "12. "),
        (&["inception", "run", "uts-demo", "time-ns"], "13 time-ns"),
        (&["inception", "read", "uts-demo"], "Who sees a new hostname?"),
        (&["inception", "list"], "16 uts-demo"),
        (&["inception", "claims", "uts-demo", "--list"], "16 uts-demo"),
    ] {
        let desk = with_pager(person);
        desk.open(90, line);
        desk.ends_with("turned\nexit status 0")?;
        let text = fs::read_to_string(paged(&desk))?;
        ensure(text.contains(said) && text.contains('\u{1b}'), || format!("{line:?}: {text}"))?;
        let columns = |line: &str| anstream::adapter::strip_str(line).to_string().chars().count();
        let widest = text.lines().map(columns).max().unwrap_or(0);
        ensure((70..=90).contains(&widest), || format!("{line:?}: {widest} columns: {text}"))?;
        ensure(fs::read_to_string(desk.folder().join("state/told"))? == "FRX\n", || "LESS".into())?;
        desk.hang_up();
        desk.is_left_clean(&[])?;
    }
    let mut desk = with_pager(person);
    // Whoever tells less what to do is not contradicted.
    desk.set("LESS", "S");
    desk.open(90, &["uts-demo", "--all"]);
    desk.ends_with("turned\nexit status 0")?;
    ensure(fs::read_to_string(desk.folder().join("state/told"))? == "S\n", || "LESS".into())
}

pub(crate) fn less_shows_a_page_and_gives_the_terminal_back(person: &Person) -> Result<(), Failed> {
    let mut desk = Desk::new(person);
    desk.set("PAGER", "less");
    desk.open(80, &["uts-demo", "--all"]);
    desk.ends_with("\n:")?;
    desk.shows("uts-demo: Who sees a new hostname?", 1)?;
    ensure(!desk.screen().contains("\n12. "), || "it goes on beyond the page".into())?;
    desk.press("G");
    desk.shows("all as expected", 1)?;
    desk.press("q");
    desk.ends_with("exit status 0")?;
    desk.settings_are_back()?;
    desk.is_left_clean(&[])
}

/// At the first page of what has not ended yet, and of what has.
pub(crate) fn whoever_quits_early_leaves_nothing(person: &Person) -> Result<(), Failed> {
    for line in [&["pid-ns-init", "--all"][..], &["inception", "run", "pid-ns-init", "uts-demo", "--all"]] {
        let mut desk = Desk::new(person);
        desk.set("PAGER", "head -n 3");
        desk.open(80, line);
        desk.ends_with("exit status 0")?;
        desk.hang_up();
        desk.is_left_clean(&[])?;
        let mut desk = Desk::new(person);
        desk.set("PAGER", "less");
        desk.open(80, line);
        desk.ends_with("\n:")?;
        desk.press("q");
        desk.ends_with("exit status 0")?;
        desk.settings_are_back()?;
        desk.hang_up();
        desk.is_left_clean(&[])?;
    }
    Ok(())
}

pub(crate) fn the_exit_status_is_kept(person: &Person) -> Result<(), Failed> {
    let desk = with_pager(person);
    desk.open(80, &["uts-demo", "--from", "99"]);
    desk.ends_with("turned\nexit status 2")?;
    // What is said on standard error stands in its place among the rest.
    let text = fs::read_to_string(paged(&desk))?;
    ensure(text == "uts-demo: there is no step 99; uts-demo has 1 to 12\n", || text)
}

pub(crate) fn nothing_is_paged_where_nobody_turns_pages(person: &Person) -> Result<(), Failed> {
    let desk = with_pager(person);
    let text = String::from_utf8_lossy(&desk.run(&["uts-demo", "--all"]).stdout).into_owned();
    ensure(text.contains("\n12. ") && !paged(&desk).exists(), || format!("a pipe is paged: {text}"))?;
    desk.open(80, &["uts-demo", "--all", "--pause"]);
    desk.ends_with(&prompt(1))?;
    desk.press("q");
    desk.ends_with("exit status 130")?;
    ensure(!paged(&desk).exists(), || "a class is paged".into())?;
    for none in ["", "cat", "/nowhere/less"] {
        let mut desk = Desk::new(person);
        desk.set("PAGER", none);
        desk.open(80, &["uts-demo", "--all"]);
        desk.ends_with("exit status 0")?;
        desk.shows("\n12. ", 1)?;
    }
    Ok(())
}

pub(crate) fn a_poor_terminal_gets_plain_text(person: &Person) -> Result<(), Failed> {
    for (variable, value) in [("LC_ALL", "C"), ("LC_ALL", "de_DE.ISO-8859-1"), ("TERM", "dumb")] {
        let poor = || {
            let mut desk = Desk::new(person);
            desk.set(variable, value);
            desk
        };
        // In a pipe nobody is known to read it, so it is as always.
        let text = String::from_utf8_lossy(&poor().run(&["inception", "list"]).stdout).into_owned();
        ensure(text.contains('│'), || format!("{variable}={value}: {text}"))?;
        for line in [&["inception", "list"][..], &["uts-demo", "--all"], &["user-ns-map"]] {
            let desk = poor();
            desk.open(80, line);
            desk.ends_with("exit status 0")?;
            let screen = desk.screen();
            ensure(screen.is_ascii() && screen.lines().count() > 10, || {
                format!("{variable}={value} {line:?}: {screen}")
            })?;
        }
    }
    // The control.
    let mut desk = Desk::new(person);
    desk.set("LC_ALL", "C.UTF-8");
    desk.open(80, &["inception", "list"]);
    desk.ends_with("exit status 0")?;
    desk.shows("│", 3)
}
