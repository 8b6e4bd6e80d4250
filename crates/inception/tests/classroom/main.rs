//! The classroom, in a real terminal: every key of `--pause`, `--predict` and its score, and what is left when someone
//! pulls the plug. As root, each runs a second time as an ordinary user.

#[path = "../built/mod.rs"]
mod built;
mod desk;
mod fit;
mod notes;
mod pager;
mod questions;
mod walk;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::sync::LazyLock;

use desk::{Desk, Person, STRANGER, cgroups_of};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use unicode_width::UnicodeWidthStr;

type Promise = fn(&Person) -> Result<(), Failed>;

const PROMISES: &[(&str, Promise)] = &[
    ("every_key_does_what_the_list_says", every_key_does_what_the_list_says),
    ("a_wrong_key_gets_one_line_that_names_the_keys", a_wrong_key_gets_one_line_that_names_the_keys),
    ("the_shell_is_inside", the_shell_is_inside),
    ("what_a_shell_leaves_behind_is_ended", what_a_shell_leaves_behind_is_ended),
    ("again_is_in_fresh_namespaces", again_is_in_fresh_namespaces),
    ("why_is_of_this_step_and_without_signs", why_is_of_this_step_and_without_signs),
    ("one_enter_shows_one_claim", one_enter_shows_one_claim),
    ("a_digit_and_its_enter_are_one_answer", a_digit_and_its_enter_are_one_answer),
    ("ps_in_the_shell_of_init_lists_the_inside", ps_in_the_shell_of_init_lists_the_inside),
    ("where_init_has_ended_a_shell_is_init", where_init_has_ended_a_shell_is_init),
    ("a_shell_is_in_the_cgroup_of_the_step", a_shell_is_in_the_cgroup_of_the_step),
    ("a_shell_is_in_a_cgroup_like_those_of_the_step", a_shell_is_in_a_cgroup_like_those_of_the_step),
    ("whoever_quits_is_told_how_to_go_on", whoever_quits_is_told_how_to_go_on),
    ("pause_and_predict_go_together", pause_and_predict_go_together),
    ("what_stands_between_two_pauses_fits_the_screen", fit::what_stands_between_two_pauses_fits_the_screen),
    ("a_matrix_keeps_its_head_on_every_page", fit::a_matrix_keeps_its_head_on_every_page),
    ("notes_go_to_a_second_terminal", notes::they_go_to_a_second_terminal),
    ("notes_go_to_a_file_a_fifo_and_a_socket", notes::they_go_to_a_file_a_fifo_and_a_socket),
    ("notes_that_nobody_takes_get_one_line", notes::what_nobody_takes_gets_one_line),
    ("whoever_quits_leaves_nothing", whoever_quits_leaves_nothing),
    ("a_terminal_that_hangs_up_leaves_nothing", a_terminal_that_hangs_up_leaves_nothing),
    ("a_hang_up_with_an_open_shell_leaves_nothing", a_hang_up_with_an_open_shell_leaves_nothing),
    ("sigkill_in_a_pause_leaves_nothing", sigkill_in_a_pause_leaves_nothing),
    (
        "sigkill_with_an_open_shell_gives_the_terminal_back",
        sigkill_with_an_open_shell_gives_the_terminal_back,
    ),
    ("an_experiment_that_is_killed_in_a_pause_is_told", an_experiment_that_is_killed_in_a_pause_is_told),
    ("a_hang_up_at_a_question_leaves_nothing", a_hang_up_at_a_question_leaves_nothing),
    ("a_signal_in_a_pause_leaves_nothing", a_signal_in_a_pause_leaves_nothing),
    ("cgroups_go_with_the_class", cgroups_go_with_the_class),
    ("a_stopped_class_goes_on", a_stopped_class_goes_on),
    ("a_resized_terminal_gets_lines_that_fit", a_resized_terminal_gets_lines_that_fit),
    ("the_driver_hands_the_terminal_on", the_driver_hands_the_terminal_on),
    ("a_prediction_comes_before_what_gives_it_away", a_prediction_comes_before_what_gives_it_away),
    ("the_score_is_kept_and_reviewed", the_score_is_kept_and_reviewed),
    ("answers_that_do_not_do_get_one_line", answers_that_do_not_do_get_one_line),
    ("a_score_that_cannot_be_kept_is_told_and_hinders_nobody", a_score_that_cannot_be_kept),
    ("without_a_terminal_one_line_says_so", without_a_terminal_one_line_says_so),
    ("an_unknown_claim_is_not_asked", an_unknown_claim_is_not_asked),
    ("an_experiment_hands_over_to_the_driver_beside_it", an_experiment_hands_over_to_the_driver_beside_it),
    ("a_letter_and_its_enter_are_one_answer", questions::a_letter_and_its_enter_are_one_answer),
    (
        "the_answer_stays_on_a_small_screen_until_a_key",
        questions::the_answer_stays_on_a_small_screen_until_a_key,
    ),
    ("a_class_votes_twice_and_the_kernel_answers", questions::a_class_votes_twice_and_the_kernel_answers),
    ("a_tie_takes_a_letter", questions::a_tie_takes_a_letter),
    (
        "why_and_the_step_before_are_read_at_a_question",
        questions::why_and_the_step_before_are_read_at_a_question,
    ),
    ("the_exit_status_and_a_file_say_the_score", questions::the_exit_status_and_a_file_say_the_score),
    ("what_is_long_goes_through_the_pager_in_colour", pager::what_is_long_goes_through_it_in_colour),
    ("less_shows_a_page_and_gives_the_terminal_back", pager::less_shows_a_page_and_gives_the_terminal_back),
    ("whoever_quits_the_pager_early_leaves_nothing", pager::whoever_quits_early_leaves_nothing),
    ("a_pager_keeps_the_exit_status", pager::the_exit_status_is_kept),
    ("nothing_is_paged_where_nobody_turns_pages", pager::nothing_is_paged_where_nobody_turns_pages),
    ("a_poor_terminal_gets_plain_text", pager::a_poor_terminal_gets_plain_text),
    ("a_walkthrough_waits_before_each_command", walk::it_waits_before_each_command),
    ("a_walkthrough_goes_back", walk::it_goes_back),
    ("whoever_quits_a_walkthrough_runs_nothing_more", walk::whoever_quits_runs_nothing_more),
    ("several_walkthroughs_pause_between", walk::several_pause_between),
    ("a_walkthrough_waits_for_nobody_where_nobody_reads", walk::it_waits_for_nobody_where_nobody_reads),
    ("a_walkthrough_that_is_killed_leaves_nothing", walk::one_that_is_killed_leaves_nothing),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // The one that cargo made; of a test that was carried to another machine, the one that its caller says.
    let driver = std::env::var("CARGO_BIN_EXE_inception");
    let driver = PathBuf::from(driver.unwrap_or_else(|_| env!("CARGO_BIN_EXE_inception").into()));
    let shared = shared();
    let root = nix::unistd::getuid().is_root();
    remove_what_killed_tests_left();
    let programs = if arguments.list || NO_TMUX.is_some() {
        PathBuf::new()
    } else if !root || everybody_can_run(&driver) {
        built::programs(&driver)
    } else {
        built::programs(&driver);
        share(&driver, &shared);
        shared.join("bin")
    };
    let mut trials = Vec::new();
    for is_stranger in if root { [false, true].as_slice() } else { &[false] } {
        for (promise, check) in PROMISES {
            let who = if *is_stranger { "as_an_ordinary_user::" } else { "" };
            let person = Person { is_stranger: *is_stranger, programs: programs.clone() };
            trials.push(trial(format!("{who}{promise}"), move || check(&person)));
        }
    }
    if root {
        let person = Person { is_stranger: false, programs: programs.clone() };
        trials.push(trial("under_sudo_the_score_is_the_users".into(), move || under_sudo(&person)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let _ = fs::remove_dir_all(&shared);
    conclusion.exit_code()
}

/// Why nothing can be tried here, if tmux is missing.
static NO_TMUX: LazyLock<Option<&str>> = LazyLock::new(|| {
    let tried = Command::new("tmux").arg("-V").output();
    tried.is_err().then_some("tmux is missing: apt install tmux")
});

fn trial(name: String, check: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || match *NO_TMUX {
        Some(why) => Ok(Completion::ignored_with(why)),
        None => check().map(|()| Completion::Completed),
    })
}

/// Where programs are copied to, if they have to be.
fn shared() -> PathBuf {
    std::env::temp_dir().join(format!("inception-classroom-{}", std::process::id()))
}

/// A test that is killed leaves its directory, so the next one looks for those whose process is gone.
fn remove_what_killed_tests_left() {
    let mine = nix::unistd::getuid().as_raw();
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let numbers = ["inception-classroom-", "inception-desk-"].iter().find_map(|it| name.strip_prefix(it));
        let pid = numbers.and_then(|it| it.split('-').next()?.parse::<u32>().ok());
        let is_gone = pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        if is_gone && entry.metadata().is_ok_and(|it| it.is_dir() && it.uid() == mine) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether an ordinary user gets at the driver, and so at what stands beside it.
fn everybody_can_run(driver: &Path) -> bool {
    let id = STRANGER.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(driver).arg("--version");
    command.current_dir("/").output().is_ok_and(|it| it.status.success())
}

/// Copies the programs to where an ordinary user can run them, and the walkthroughs as the package does. By cp, so that no
/// descriptor of ours is ever open for writing to what is to be executed.
fn share(driver: &Path, folder: &Path) {
    let (bin, package) = (folder.join("bin"), folder.join("share/inception-lab"));
    for folder in [&bin, &package] {
        fs::create_dir_all(folder).expect("the temporary directory can be written");
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("our own folder");
    let demos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demos");
    let copied = Command::new("cp").arg("-r").arg(demos).arg(package).status().expect("cp can be started");
    assert!(copied.success(), "the temporary directory has room");
    for name in ["inception", "cgroup-mk", "pid-ns-init", "user-ns-map", "uts-demo"] {
        let program = driver.with_file_name(name);
        assert!(program.is_file(), "{} is missing: cargo build", program.display());
        let copied = Command::new("cp").arg(&program).arg(&bin).status().expect("cp can be started");
        assert!(copied.success(), "the temporary directory has room");
    }
}

fn ensure(condition: bool, complaint: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(complaint().into()) }
}

/// The last line of a screen that waits.
const KEYS: &str = "Enter next  b back  r again  s shell  w why  q quit  ? help";

/// What stands at the end of the screen while a step waits.
fn prompt(step: usize) -> String {
    prompt_at(&format!("step {step}"))
}

fn prompt_at(place: &str) -> String {
    format!("[{place}] {KEYS}")
}

/// Presses Enter, screen by screen, until `step` is announced.
fn go_to(desk: &Desk, step: usize) -> Result<(), Failed> {
    let mut last = String::new();
    loop {
        desk.until("the next screen", |screen| {
            let line = screen.trim_end().lines().last().unwrap_or_default();
            line.ends_with(KEYS) && line != last
        })?;
        let screen = desk.screen();
        last = screen.trim_end().lines().last().unwrap_or_default().to_string();
        if last == prompt(step) {
            return Ok(());
        }
        desk.press("Enter");
    }
}

/// A class that waits at `step`.
fn at_step(person: &Person, step: usize) -> Result<Desk, Failed> {
    let desk = Desk::new(person);
    desk.open(80, &["pid-ns-init", "--pause", "--all"]);
    go_to(&desk, step)?;
    Ok(desk)
}

/// Its PIDs, for what may be named by them.
fn pids(desk: &Desk) -> Vec<i32> {
    desk.processes().into_iter().map(|(pid, _)| pid).collect()
}

/// The one of them who was started by none of them: numbers begin anew at pid_max, so the least need not be the first.
fn first(pids: &[i32]) -> i32 {
    let by_another = |pid: &&i32| parent(**pid).is_none_or(|parent| !pids.contains(&parent));
    pids.iter().find(by_another).copied().unwrap_or_default()
}

fn parent(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:\t"))?.parse().ok()
}

fn one_line(output: &Output, status: i32) -> Result<String, Failed> {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure(output.status.code() == Some(status), || format!("{}: {text}", output.status))?;
    ensure(text.lines().count() == 1, || format!("not one line: {text}"))?;
    Ok(text)
}

fn every_key_does_what_the_list_says(person: &Person) -> Result<(), Failed> {
    let desk = at_step(person, 1)?;
    for part in ["1. Start the same code", "calls    clone3(0)", "by hand  $ unshare"] {
        desk.shows(part, 1)?;
    }
    desk.press("?");
    for key in ["Enter, n", "b  ", "r  ", "s  ", "w  ", "q  ", "?  "] {
        desk.shows(&format!("\n   {key}"), 1)?;
    }
    desk.press("b");
    desk.shows("There is nothing before this.", 1)?;
    desk.press("n");
    desk.ends_with(&prompt_at("step 1, 1 of 3"))?;
    desk.press("Enter");
    desk.ends_with(&prompt_at("step 1, 2 of 3"))?;
    desk.press("b");
    desk.ends_with(&prompt_at("step 1, 1 of 3"))?;
    desk.shows("HOLDS    The first process in a new PID namespace has PID 1.", 2)?;
    desk.press("b");
    desk.ends_with(&prompt_at("step 1"))?;
    desk.shows("by hand  $ unshare", 2)?;
    // Forward again, as far as it has come.
    desk.press("Enter");
    desk.ends_with(&prompt_at("step 1, 1 of 3"))?;
    go_to(&desk, 2)?;
    desk.press("q");
    desk.ends_with("exit status 130")?;
    desk.settings_are_back()
}

fn a_wrong_key_gets_one_line_that_names_the_keys(person: &Person) -> Result<(), Failed> {
    let desk = at_step(person, 1)?;
    for (times, key) in ["x", "Up", "F5", "ä"].into_iter().enumerate() {
        desk.press(key);
        desk.shows("Unknown key. The keys: Enter, n, b, r, s, w, q or ?.", times + 1)?;
        desk.ends_with(&prompt(1))?;
    }
    desk.press("C-d");
    desk.ends_with("exit status 130")
}

fn the_shell_is_inside(person: &Person) -> Result<(), Failed> {
    let desk = at_step(person, 2)?;
    desk.press("s");
    choose(&desk, "2")?;
    desk.ends_with("[step 2, init] $")?;
    desk.type_line("echo number $((10 * $$)); echo child of $((10 * $PPID))");
    // In the namespace of init, and of a parent who has no number there.
    desk.shows("\nnumber 20\n", 1)?;
    desk.shows("\nchild of 0\n", 1)?;
    // Jobs are controlled: what runs in the foreground can be stopped.
    desk.type_line("sh -c 'echo started; exec sleep 1000'");
    desk.shows("\nstarted\n", 1)?;
    desk.press("C-z");
    desk.shows("Stopped", 1)?;
    // Not exit, which would say first that there is a stopped job.
    desk.type_line("exec true");
    desk.shows("Back from the shell.", 1)?;
    desk.ends_with(&prompt(2))?;
    // And the experiment goes on as if nothing had been.
    go_to(&desk, 3)?;
    // Nothing lives on from the step before: there is the sandbox, and what the step makes.
    desk.press("s");
    choose(&desk, "1")?;
    desk.ends_with("[step 3, the sandbox] $")?;
    desk.type_line("readlink /proc/self/ns/uts");
    desk.shows("\nuts:[", 1)?;
    let ours = fs::read_link("/proc/self/ns/uts")?;
    ensure(!desk.screen().contains(&*ours.to_string_lossy()), || desk.screen())?;
    // What is pressed before the shell reads again would be no end to it.
    desk.ends_with("[step 3, the sandbox] $")?;
    desk.press("C-d");
    desk.ends_with(&prompt(3))?;
    desk.press("q");
    desk.ends_with("exit status 130")?;
    desk.settings_are_back()?;
    desk.is_left_clean(&[])
}

/// Answers which of several places: a digit, and Enter.
fn choose(desk: &Desk, digit: &str) -> Result<(), Failed> {
    desk.ends_with(", then Enter:")?;
    desk.press(digit);
    desk.ends_with(&format!(", then Enter: {digit}"))?;
    desk.press("Enter");
    Ok(())
}

fn one_enter_shows_one_claim(person: &Person) -> Result<(), Failed> {
    let desk = at_step(person, 1)?;
    let shown = |desk: &Desk| desk.screen().matches("\nHOLDS    ").count();
    ensure(shown(&desk) == 0, || desk.screen())?;
    for claim in 1..=3 {
        desk.press("Enter");
        desk.ends_with(&prompt_at(&format!("step 1, {claim} of 3")))?;
        ensure(shown(&desk) == claim, || desk.screen())?;
        ensure(!desk.screen().contains("\n2. Read /proc"), || desk.screen())?;
    }
    desk.press("Enter");
    desk.ends_with(&prompt(2))?;
    // On a screen of its own.
    let screen = desk.visible();
    ensure(screen.starts_with("2. Read /proc/self"), || screen.clone())
}

fn a_digit_and_its_enter_are_one_answer(person: &Person) -> Result<(), Failed> {
    let desk = at_step(person, 2)?;
    desk.press("s");
    choose(&desk, "2")?;
    desk.ends_with("[step 2, init] $")?;
    desk.type_line("exec true");
    // The Enter has not gone on to the step, nor is it another key.
    desk.ends_with(&prompt(2))?;
    desk.press("s");
    desk.ends_with(", then Enter:")?;
    // The last digit counts.
    for digit in ["1", "2", "1"] {
        desk.press(digit);
        desk.ends_with(&format!(", then Enter: {digit}"))?;
    }
    desk.press("Enter");
    desk.ends_with("[step 2, the sandbox] $")?;
    desk.type_line("exec true");
    desk.ends_with(&prompt(2))?;
    ensure(!desk.screen().contains("Unknown key"), || desk.screen())
}

fn ps_in_the_shell_of_init_lists_the_inside(person: &Person) -> Result<(), Failed> {
    let desk = at_step(person, 2)?;
    desk.press("s");
    choose(&desk, "2")?;
    desk.ends_with("[step 2, init] $")?;
    desk.shows("A shell in init. Not your namespaces: ", 1)?;
    desk.shows("try  $ ps ax", 1)?;
    desk.shows("$ kill -KILL 1; ps ax", 1)?;
    desk.shows("$ echo $$", 1)?;
    desk.type_line("kill -KILL 1; ps ax -o pid= -o comm= | tr -s ' '; echo lis''ted");
    desk.shows("\nlisted\n", 1)?;
    let screen = desk.screen();
    let listed = screen[screen.rfind("lis''ted").unwrap_or_default()..].trim_end();
    ensure(listed.contains(" 1 pid-ns-init\n") && !listed.contains("tmux"), || listed.to_string())?;
    ensure(listed.lines().count() < 9, || listed.to_string())?;
    desk.type_line("exit");
    desk.ends_with(&prompt(2))?;
    desk.press("q");
    desk.ends_with("exit status 130")?;
    desk.is_left_clean(&[])
}

fn where_init_has_ended_a_shell_is_init(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    desk.open(80, &["inception", "run", "11", "--pause", "--step", "8"]);
    desk.ends_with(&prompt(8))?;
    desk.press("Enter");
    desk.ends_with(KEYS)?;
    desk.press("s");
    desk.shows("2  in the sandbox, new namespaces, as the step makes them: pid\n", 1)?;
    choose(&desk, "2")?;
    desk.ends_with("pid] $")?;
    desk.type_line("echo number $((10 * $$)); ps ax -o pid= | wc -l");
    desk.shows("\nnumber 10\n", 1)?;
    leave(&desk, &[])
}

/// Opens a shell once a step of an experiment is done. Gives the experiment's processes.
fn shell_after(desk: &Desk, experiment: &str, step: usize) -> Result<Vec<i32>, Failed> {
    desk.open(80, &[experiment, "--pause", "--step", &step.to_string()]);
    desk.ends_with(&prompt(step))?;
    desk.press("Enter");
    desk.ends_with(KEYS)?;
    let pids = pids(desk);
    desk.press("s");
    Ok(pids)
}

/// Leaves the shell, and then the class, of which nothing is left.
fn leave(desk: &Desk, pids: &[i32]) -> Result<(), Failed> {
    desk.type_line("exit");
    desk.shows("Back from the shell.", 1)?;
    desk.press("q");
    desk.ends_with("exit status 130")?;
    desk.is_left_clean(pids)
}

/// Where the machine lets us limit PIDs.
fn a_shell_is_in_the_cgroup_of_the_step(person: &Person) -> Result<(), Failed> {
    if person.is_stranger {
        return Ok(());
    }
    let desk = Desk::new(person);
    let transcript = desk.run(&["cgroup-limits", "--step", "2", "--format", "jsonl"]).stdout;
    if !String::from_utf8_lossy(&transcript).contains(r#""event":"judged","claim":"pids-max""#) {
        return Ok(());
    }
    let pids = shell_after(&desk, "cgroup-limits", 2)?;
    desk.ends_with("] $")?;
    desk.shows("4, as the experiment has set it", 1)?;
    desk.type_line("cat /proc/self/cgroup");
    desk.shows("-limited\n", 1)?;
    desk.type_line("sh -c 'for i in 1 2 3 4; do sleep 9 & done' 2>&1 | cat");
    desk.shows("fork", 1)?;
    desk.ends_with("] $")?;
    leave(&desk, &pids)
}

/// A step whose cgroups are gone leaves another, and the run beside it says the same as ever.
fn a_shell_is_in_a_cgroup_like_those_of_the_step(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    let transcript = desk.run(&["cgroup-mk", "--step", "3", "--format", "jsonl"]).stdout;
    if !String::from_utf8_lossy(&transcript).contains(r#""event":"judged""#) {
        return Ok(());
    }
    let pids = shell_after(&desk, "cgroup-mk", 3)?;
    desk.shows("In its cgroup, whose directory is $CGROUP.", 1)?;
    desk.ends_with("] $")?;
    desk.type_line("grep -c '' $CGROUP/cgroup.procs");
    desk.shows("\n3\n", 1)?;
    leave(&desk, &pids)
}

fn whoever_quits_is_told_how_to_go_on(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    desk.open(120, &["inception", "run", "11", "--pause", "--stable", "--width", "80"]);
    go_to(&desk, 3)?;
    desk.press("Enter");
    desk.ends_with(&prompt_at("step 3, 1 of 2"))?;
    desk.press("q");
    desk.ends_with("exit status 130")?;
    let screen = desk.screen();
    let line = screen.lines().find_map(|line| line.strip_prefix("go on: ")).unwrap_or_default().to_string();
    ensure(line.ends_with("/inception run 11 --pause --stable --width=80 --from 3"), || screen.clone())?;
    // As it stands there, it can be typed.
    let desk = Desk::new(person);
    desk.open(120, &["/bin/sh", "-c", &line]);
    desk.ends_with(&prompt(3))?;
    go_to(&desk, 4)?;
    // Whoever has seen the whole of a step goes on with the next.
    desk.press("b");
    desk.ends_with(&prompt_at("step 3, 2 of 2"))?;
    desk.press("q");
    desk.shows("--from 4", 1)?;
    desk.ends_with("exit status 130")
}

fn pause_and_predict_go_together(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    desk.open(80, &["inception", "run", "11", "--pause", "--predict"]);
    desk.ends_with(KEYS)?;
    desk.press("Enter");
    desk.ends_with("? lists the keys):")?;
    ensure(!desk.screen().contains("HOLDS"), || desk.screen())?;
    desk.type_line("a");
    desk.ends_with(&prompt_at("step 1, 1 of 1"))?;
    desk.shows("HOLDS    The first process in a new PID namespace has PID 1.", 1)?;
    let screen = desk.visible();
    // What was answered is still to be seen beside what is.
    ensure(screen.contains("Right.") || screen.contains("Not so."), || screen.clone())?;
    desk.press("Enter");
    desk.ends_with("Your answer, a to c (? lists the keys):")?;
    desk.press("q");
    desk.shows("--pause --predict --from 3", 1)?;
    desk.ends_with("exit status 130")
}

fn what_a_shell_leaves_behind_is_ended(person: &Person) -> Result<(), Failed> {
    let desk = at_step(person, 2)?;
    for place in ["1", "2"] {
        let before = pids(&desk);
        desk.press("s");
        choose(&desk, place)?;
        desk.ends_with("] $")?;
        desk.type_line("(trap '' HUP; setsid sleep 1000 & sleep 1000 & wait) & disown; echo done$place");
        desk.shows("\ndone\n", 1)?;
        desk.type_line("exit");
        desk.ends_with(&prompt(2))?;
        ensure(pids(&desk) == before, || format!("left: {:?}, before: {before:?}", desk.processes()))?;
    }
    Ok(())
}

fn again_is_in_fresh_namespaces(person: &Person) -> Result<(), Failed> {
    let desk = at_step(person, 2)?;
    let before = pids(&desk);
    desk.press("r");
    desk.shows("pid-ns-init: What can kill PID 1?", 2)?;
    desk.ends_with(&prompt(1))?;
    let now = pids(&desk);
    // The one who has the terminal is still there, with the watchdog, and nobody else.
    let stay: Vec<_> = before.iter().filter(|pid| now.contains(pid)).collect();
    ensure(stay.len() == 2, || format!("{before:?}, then {now:?}"))
}

fn why_is_of_this_step_and_without_signs(person: &Person) -> Result<(), Failed> {
    let desk = at_step(person, 3)?;
    desk.press("w");
    desk.shows("Step 3 has shown nothing yet. b goes back to what was shown before.", 1)?;
    desk.press("n");
    desk.ends_with(&prompt_at("step 3, 1 of 2"))?;
    desk.press("w");
    desk.shows("- SIGTERM from outside is dropped if init has no handler for it, and kill()", 1)?;
    desk.shows("The rules stand in pid_namespaces(7), signal(7), kill(2).", 1)?;
    desk.shows("More: inception read pid-ns-init", 1)?;
    desk.ends_with(&prompt_at("step 3, 1 of 2"))?;
    let screen = desk.screen();
    let why = screen[screen.rfind("- SIGTERM").unwrap_or_default()..].trim_end();
    ensure(!why.contains(['*', '`']), || why.to_string())?;
    ensure(why.contains("N87 Its children can send init only signals"), || why.to_string())?;
    // Of later steps: nothing.
    ensure(!why.contains("mortal") && !why.contains("Reboot") && why.lines().count() < 24, || why.to_string())
}

fn whoever_quits_leaves_nothing(person: &Person) -> Result<(), Failed> {
    for key in ["q", "C-c"] {
        let desk = at_step(person, 2)?;
        let pids = pids(&desk);
        desk.press(key);
        desk.ends_with("exit status 130")?;
        ensure(desk.processes().is_empty(), || format!("{:?}", desk.processes()))?;
        desk.settings_are_back()?;
        desk.is_left_clean(&pids)?;
    }
    Ok(())
}

fn a_terminal_that_hangs_up_leaves_nothing(person: &Person) -> Result<(), Failed> {
    let desk = at_step(person, 2)?;
    let pids = pids(&desk);
    ensure(pids.len() >= 4, || format!("{pids:?}"))?;
    desk.hang_up();
    desk.is_left_clean(&pids)
}

fn a_hang_up_with_an_open_shell_leaves_nothing(person: &Person) -> Result<(), Failed> {
    for place in ["1", "2"] {
        let desk = at_step(person, 2)?;
        desk.press("s");
        choose(&desk, place)?;
        desk.ends_with("] $")?;
        desk.type_line("sleep 1000 & sleep 2000");
        desk.shows("sleep 2000", 1)?;
        let pids = pids(&desk);
        desk.hang_up();
        desk.is_left_clean(&pids)?;
    }
    // The kernel tells the foreground alone, and here that is deaf.
    let desk = at_step(person, 2)?;
    desk.press("s");
    choose(&desk, "1")?;
    desk.ends_with("] $")?;
    desk.type_line("trap '' HUP; echo d''eaf; sleep 1000");
    desk.shows("\ndeaf\n", 1)?;
    let pids = pids(&desk);
    desk.hang_up();
    desk.is_left_clean(&pids)
}

fn sigkill_in_a_pause_leaves_nothing(person: &Person) -> Result<(), Failed> {
    let desk = at_step(person, 2)?;
    let pids = pids(&desk);
    let first = first(&pids);
    kill(Pid::from_raw(first), Signal::SIGKILL)?;
    desk.ends_with("exit status 137")?;
    desk.settings_come_back()?;
    desk.is_left_clean(&pids)
}

fn sigkill_with_an_open_shell_gives_the_terminal_back(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    // Whoever started it does not touch the terminal.
    let programs = person.programs.display();
    let line = format!(
        "{programs}/pid-ns-init --all --pause; echo its status: $?; until read -r it; do sleep 0.1; done; echo $it read"
    );
    desk.open(80, &["/bin/sh", "-c", &line]);
    go_to(&desk, 2)?;
    desk.press("s");
    choose(&desk, "2")?;
    desk.ends_with("[step 2, init] $")?;
    let processes = desk.processes();
    let driver = processes.iter().find(|it| it.1 == "inception").map(|it| it.0);
    kill(Pid::from_raw(driver.unwrap_or_default()), Signal::SIGKILL)?;
    desk.shows("its status: 137", 1)?;
    desk.settings_come_back()?;
    // What is typed is for who was in the foreground before, who could not read from the background.
    desk.type_line("hello");
    desk.shows("hello read", 1)?;
    desk.ends_with("exit status 0")?;
    desk.is_left_clean(&[])
}

fn an_experiment_that_is_killed_in_a_pause_is_told(person: &Person) -> Result<(), Failed> {
    let desk = at_step(person, 2)?;
    let pids = pids(&desk);
    // The driver has a watchdog too.
    let is_experiment = |it: &&(i32, String)| parent(it.0) == Some(first(&pids)) && it.1 == "pid-ns-init";
    let processes = desk.processes();
    let experiment = processes.iter().find(is_experiment).map(|it| it.0);
    kill(Pid::from_raw(experiment.unwrap_or_default()), Signal::SIGKILL)?;
    desk.ends_with("exit status 2")?;
    desk.shows("pid-ns-init: the experiment ended without its last word: killed by SIGKILL", 1)?;
    desk.settings_are_back()?;
    desk.is_left_clean(&pids)
}

fn a_hang_up_at_a_question_leaves_nothing(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    desk.open(60, &["inception", "run", "11", "--predict", "--pause"]);
    desk.ends_with(KEYS)?;
    desk.press("n");
    desk.ends_with("Your answer, a to d (? lists the keys):")?;
    let pids = pids(&desk);
    desk.hang_up();
    desk.is_left_clean(&pids)
}

fn a_signal_in_a_pause_leaves_nothing(person: &Person) -> Result<(), Failed> {
    let signals = [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT];
    for (signal, whole_group) in signals.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        // With jobs, so that what it starts is a process group of its own; and one that does not touch the
        // terminal's settings.
        let desk = Desk::new(person);
        let programs = person.programs.display();
        let line = format!(
            "set -m; trap : INT; {programs}/inception run pid-ns-init --all --pause; echo its status: $?; exec sleep 1000"
        );
        desk.open(80, &["/bin/sh", "-c", &line]);
        desk.ends_with(&prompt(1))?;
        let processes = desk.processes();
        let is_driver = |it: &&(i32, String)| it.1 == "inception";
        let driver = Pid::from_raw(processes.iter().find(is_driver).map_or(0, |it| it.0));
        let pids: Vec<i32> = processes.iter().map(|it| it.0).collect();
        let send = if whole_group { killpg } else { kill };
        send(driver, Some(signal))?;
        desk.shows(&format!("its status: {}", 128 + signal as i32), 1)?;
        desk.settings_come_back()?;
        desk.hang_up();
        desk.is_left_clean(&pids)?;
    }
    Ok(())
}

fn a_stopped_class_goes_on(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    desk.open(80, &["/bin/bash", "--norc", "--noprofile"]);
    desk.type_line(&format!(
        "PS1='ready> '; {}/inception run pid-ns-init --all --pause",
        person.programs.display()
    ));
    go_to(&desk, 2)?;
    desk.press("C-z");
    desk.shows("Stopped", 1)?;
    desk.ends_with("ready>")?;
    desk.type_line("stty -a | grep --only-matching -e ' icanon' -e ' echo '");
    desk.shows(" icanon", 1)?;
    desk.type_line("fg");
    go_to(&desk, 3)?;
    desk.press("q");
    desk.ends_with("ready>")?;
    desk.type_line("exit $?");
    desk.ends_with("exit status 130")?;
    desk.settings_are_back()
}

/// Where the machine lets us make cgroups.
fn cgroups_go_with_the_class(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    let transcript = desk.run(&["cgroup-mk", "--all", "--format", "jsonl"]).stdout;
    if !String::from_utf8_lossy(&transcript).contains(r#""event":"judged","claim":"moves""#) {
        return Ok(());
    }
    for end in ["q", "SIGKILL", "hang up"] {
        let desk = Desk::new(person);
        desk.open(80, &["cgroup-mk", "--all", "--pause"]);
        go_to(&desk, 3)?;
        let pids = pids(&desk);
        ensure(!cgroups_of(&pids).is_empty(), || "at this step there are cgroups".into())?;
        match end {
            "SIGKILL" => {
                kill(Pid::from_raw(first(&pids)), Signal::SIGKILL)?;
            }
            "hang up" => desk.hang_up(),
            key => desk.press(key),
        }
        desk.is_left_clean(&pids)?;
    }
    Ok(())
}

fn a_resized_terminal_gets_lines_that_fit(person: &Person) -> Result<(), Failed> {
    let desk = at_step(person, 2)?;
    desk.resize(60);
    for before in ["Init inherits a session", "The parent of init", "The first process"] {
        desk.press("b");
        desk.shows(&format!("HOLDS    {before}"), 2)?;
        desk.ends_with(KEYS)?;
    }
    let screen = desk.screen();
    let since = screen.rfind("HOLDS    Init inherits a session").unwrap_or_default();
    for line in screen[since..].lines() {
        ensure(line.width() <= 60, || format!("{} columns: {line:?}", line.width()))?;
    }
    ensure(desk.lines().iter().all(|line| line.width() <= 80), || "a line is too long".into())
}

fn the_driver_hands_the_terminal_on(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    desk.open(80, &["inception", "run", "16", "11", "--pause", "--width", "60"]);
    desk.ends_with(KEYS)?;
    desk.shows("uts-demo: Who sees a new hostname?", 1)?;
    desk.press("q");
    desk.ends_with("exit status 130")?;
    ensure(!desk.screen().contains("What can kill PID 1?"), || "whoever quits has quit all".into())?;
    let line = "inception run 16 --pause --width=60 --from 1 && ";
    ensure(
        desk.screen()
            .contains(&format!("{line}{}/inception run 11 --pause --width=60\n", person.programs.display())),
        || desk.screen(),
    )?;
    desk.is_left_clean(&[])
}

fn a_prediction_comes_before_what_gives_it_away(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    desk.open(80, &["pid-ns-init", "--predict"]);
    desk.ends_with("Your answer, a to d (? lists the keys):")?;
    let screen = desk.screen();
    ensure(
        screen.contains("PREDICT  A process is created with CLONE_NEWPID. What does getpid() return"),
        || screen.clone(),
    )?;
    ensure(!screen.contains("is PID") && !screen.contains("HOLDS"), || screen.clone())?;
    ensure(!screen.contains("1. Start"), || format!("the step gives it away: {screen}"))?;
    for (times, line) in ["x", "e", "1"].into_iter().enumerate() {
        desk.type_line(line);
        desk.shows("Unknown key. The keys: a to d and Enter, p, w, r, q or ?.", times + 1)?;
    }
    desk.press("?");
    desk.shows("that answer", 1)?;
    let right =
        screen.lines().find_map(|line| line.trim().strip_suffix("  1")).unwrap_or_default().to_string();
    desk.type_line(&right);
    desk.shows("Right.", 1)?;
    desk.shows("HOLDS    The first process in a new PID namespace has PID 1.", 1)?;
    desk.press("q");
    desk.ends_with("exit status 130")?;
    let kept = fs::read_to_string(desk.predictions())?;
    ensure(
        kept.lines().count() == 1
            && kept.contains("\"claim\":\"is-one\"")
            && kept.contains("\"answer\":\"1\",\"right\":true"),
        || kept,
    )?;
    desk.settings_are_back()?;
    desk.is_left_clean(&[])
}

fn the_score_is_kept_and_reviewed(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let nothing = desk.run(&["inception", "review"]);
    ensure(text(&nothing).starts_with("Nothing was predicted yet"), || text(&nothing))?;
    let ones = desk.file("ones", &"a\n".repeat(100));
    let first =
        desk.run(&["inception", "run", "11", "16", "--predict", "--answers", &ones, "--color", "never"]);
    ensure(first.status.code() == Some(1), || format!("{first:?}"))?;
    let list = desk.run(&["inception", "review", "--list"]);
    let missed = text(&list);
    ensure(missed.lines().count() >= 2, || missed.clone())?;
    // All of what was missed is asked again, and nothing else; then nothing is left to ask.
    // Before each claim stands one of them.
    let count = missed.matches([':', ',']).count();
    let again = desk.run(&["inception", "review", "--answers", &ones, "--color", "never"]);
    ensure(text(&again).matches("PREDICT").count() == count, || format!("{missed}\n{}", text(&again)))?;
    let twos = desk.file("twos", &"b\n".repeat(100));
    desk.run(&["inception", "review", "--answers", &twos]);
    let left = desk.run(&["inception", "review", "--list"]);
    ensure(text(&left).len() < missed.len(), || text(&left))?;
    // By their words, whatever their order.
    let words = desk.file("words", "# the first question\n\n1\n");
    let short = desk.run(&["pid-ns-init", "--predict", "--answers", &words]);
    ensure(text(&short).contains("Right.") || text(&short).contains("Not so."), || text(&short))
}

fn answers_that_do_not_do_get_one_line(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    let short = desk.file("short", "1\n2\n");
    let said = one_line(&desk.run(&["pid-ns-init", "--predict", "--answers", &short]), 2)?;
    ensure(said.ends_with("short: none is left for the question about 'cannot-send', after 2\n"), || said)?;
    let other = desk.file("other", "1\n\n# and\nmay\u{1b}be\n");
    let said = one_line(&desk.run(&["pid-ns-init", "--predict", "--answers", &other]), 2)?;
    let expected =
        "other, line 4: 'may\\u{1b}be' is no answer to the question about 'immune'; choose from a (";
    ensure(said.contains(expected), || said)?;
    let said = one_line(&desk.run(&["inception", "run", "11", "--predict", "--answers", "/nowhere"]), 2)?;
    ensure(said.contains("cannot read the answers in /nowhere"), || said)?;
    desk.is_left_clean(&[])
}

fn a_score_that_cannot_be_kept(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    let ones = desk.file("ones", &"a\n".repeat(100));
    let predict = ["uts-demo", "--predict", "--answers", &ones];
    // In the place of the folder, a file: not even root can write below it.
    desk.file("state/inception", "");
    let said = one_line(&desk.run(&predict), 1)?;
    ensure(said.contains("cannot keep the score in "), || said)?;
    fs::remove_file(desk.folder().join("state/inception"))?;
    desk.run(&predict);
    // A link would lead root to any file.
    let target = desk.file("target", "mine\n");
    fs::remove_file(desk.predictions())?;
    symlink(&target, desk.predictions())?;
    let said = one_line(&desk.run(&predict), 1)?;
    ensure(said.contains("it is a symbolic link"), || said)?;
    ensure(fs::read_to_string(&target)? == "mine\n", || "it was written to".into())?;
    fs::remove_file(desk.predictions())?;
    nix::unistd::mkfifo(&desk.predictions(), nix::sys::stat::Mode::from_bits_truncate(0o666))?;
    let said = one_line(&desk.run(&predict), 1)?;
    ensure(said.contains("cannot keep the score in "), || said)?;
    fs::remove_file(desk.predictions())?;
    // What somebody else wrote stays.
    desk.run(&predict);
    let kept = fs::read_to_string(desk.predictions())?;
    fs::write(desk.predictions(), format!("nonsense\n{kept}{{\"torn"))?;
    let said = one_line(&desk.run(&predict), 1)?;
    ensure(said.contains("line 1 and 1 more is no prediction; it stays, and does not count"), || said)?;
    let now = fs::read_to_string(desk.predictions())?;
    ensure(now.starts_with(&format!("nonsense\n{kept}{{\"torn\n{{")), || now.clone())?;
    ensure(now.lines().count() == 2 * kept.lines().count() + 2, || now)
}

fn without_a_terminal_one_line_says_so(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    for (line, said) in [
        (&["pid-ns-init", "--pause"][..], "--pause wants a terminal, and standard input is none"),
        (&["inception", "run", "11", "--pause"], "--pause wants a terminal"),
        (&["uts-demo", "--predict"], "--answers FILE takes the answers from a file"),
        (&["uts-demo", "--predict", "--format", "jsonl"], "goes with --format text alone"),
        (&["inception", "run", "11", "--pause", "--format", "tap"], "goes with --format text alone"),
        (&["uts-demo", "--answers", "x"], "--predict"),
        (&["inception", "run", "11", "--pause", "--predict", "--answers", "x"], "--pause"),
    ] {
        let text = one_line(&desk.run(line), 2)?;
        ensure(text.contains(said), || format!("{line:?}: {text}"))?;
    }
    desk.is_left_clean(&[])
}

/// What was predicted with another version of the program is told, and asked no more.
fn an_unknown_claim_is_not_asked(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    let text = one_line(&desk.run(&["uts-demo", "--predict", "--ask", "nothing", "--answers", "-"]), 0)?;
    ensure(text.contains("no claim is called 'nothing' any more"), || text)?;
    desk.is_left_clean(&[])
}

/// With all that it was asked for; and where there is no driver, one line says so.
fn an_experiment_hands_over_to_the_driver_beside_it(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    let ones = desk.file("ones", &"1\n".repeat(100));
    let options = ["--predict", "--answers", &ones, "--stable", "--verbose", "--sabotage", "--must-run"];
    let looks = ["--color", "always", "--width", "60"];
    let own = desk.run(&[&["uts-demo"], &options[..], &looks].concat());
    let drivers = desk.run(&[&["inception", "run", "uts-demo"], &options[..], &looks].concat());
    ensure(own == drivers, || format!("{own:?}\n{drivers:?}"))?;
    let said = String::from_utf8_lossy(&own.stdout);
    ensure(own.status.success() && said.contains("None of "), || said.to_string())?;
    // Which answer is right was declared for arms that differ.
    ensure(!said.contains("PREDICT"), || said.to_string())?;
    let alone = desk.folder().join("uts-demo");
    let copied = Command::new("cp").arg(person.programs.join("uts-demo")).arg(&alone).status()?;
    ensure(copied.success(), || "the temporary directory has room".into())?;
    for option in ["--pause", "--predict"] {
        let said = one_line(&desk.run(&[&alone.display().to_string(), option]), 2)?;
        let driver = desk.folder().join("inception");
        let expected = format!(
            "uts-demo: {option} is done by the driver, {}: ENOENT (No such file or directory); to get it: ",
            driver.display()
        );
        ensure(said.starts_with(&expected), || said)?;
    }
    Ok(())
}

/// As sudo starts it: by root, in whose environment stands who typed it.
fn under_sudo(person: &Person) -> Result<(), Failed> {
    let stranger = Person { is_stranger: true, ..person.clone() };
    let desk = Desk::new(&stranger);
    let ones = desk.file("ones", &"1\n".repeat(100));
    let program = person.programs.join("uts-demo");
    let mut command = Command::new(program);
    command.args(["--predict", "--answers", &ones]).env("SUDO_UID", STRANGER.to_string());
    command.env("XDG_STATE_HOME", desk.folder().join("state"));
    let output = command.output()?;
    ensure(output.status.code() == Some(1) && output.stderr.is_empty(), || format!("{output:?}"))?;
    let kept = fs::metadata(desk.predictions())?;
    ensure(kept.uid() == STRANGER, || format!("it belongs to {}", kept.uid()))?;
    let folder = fs::metadata(desk.folder().join("state/inception"))?;
    ensure(folder.uid() == STRANGER, || format!("its folder belongs to {}", folder.uid()))?;
    // Where the user may not write, root does not do it either.
    fs::remove_dir_all(desk.folder().join("state"))?;
    fs::create_dir(desk.folder().join("state"))?;
    let said = one_line(&command.output()?, 1)?;
    ensure(said.contains("Permission denied"), || said)
}
