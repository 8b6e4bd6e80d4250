//! One trial: an attempt begins, lines are typed, the checker looks, the attempt is taken back.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use exercise::{Attempt, Exercise, Learner, Look, clear};
use nix::unistd::{User, getegid, geteuid, getpid};
use ns_core::cleanup::TemporaryDirectory;

use super::desk::Desk;
use super::left::Before;

/// How long what was typed may take until the checker sees it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often is looked meanwhile.
const AGAIN: Duration = Duration::from_millis(20);
/// How much of the terminal is shown of what failed.
const LINES: usize = 8;

/// What is typed, and what is to come of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Case {
    /// Every requirement is met then, and was not before.
    Solution,
    /// The near miss of that number: its requirement is the first that is not met.
    NearMiss(usize),
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// What is wrong, a line each.
    pub(super) faults: Vec<String>,
    /// The last lines on the terminals, if anything is.
    pub(super) terminal: Vec<String>,
}

/// Tries a case of `exercise`, in a state directory of its own.
///
/// # Errors
/// When it cannot be tried, which is no fault of the exercise.
pub(super) fn attempt(exercise: &Exercise, case: Case) -> Result<Outcome> {
    let directory = TemporaryDirectory::new("lint")?;
    // Others than the owner are users of a namespace, who look for what is in it.
    fs::set_permissions(directory.path(), Permissions::from_mode(0o711)).context("chmod()")?;
    let [dir, home] = ["exercises", "home"].map(|name| directory.path().join(name));
    let dir = dir.join(&exercise.name);
    for made in [&dir, &home] {
        fs::create_dir_all(made).with_context(|| format!("mkdir {}", made.display()))?;
    }
    // Values that nobody else has who tries the same at this moment: the directory's name is this run's alone.
    let mut attempt = Attempt::begin(exercise, &learner(directory.path()), 1, &dir)?;
    let before = Before::look()?;
    attempt.hand_out()?;
    // The terminals' shells are our children, and we adopt their orphans: nobody else's processes are looked at.
    residue::adopt()?;
    attempt.within = Some(getpid());
    let mut desk = Desk::new(home.clone(), environment(&before, &home, directory.path()));
    let typed = steps(&attempt, case);
    let tried = play(&mut attempt, &mut desk, &typed, case);
    let terminal = last_lines(&desk.printed());
    // Whatever came of it, all of it is taken back.
    let cleared = clear(&attempt);
    desk.hang_up();
    let cleared = cleared.map(|cleared| drop(cleared.without_dir(&dir)));
    let left = before.left(&typed);
    before.end();
    cleared?;
    let mut faults: Vec<String> = tried?.into_iter().collect();
    faults.extend(left.into_iter().map(|what| format!("after reset there is still: {what}")));
    Ok(Outcome { terminal: if faults.is_empty() { Vec::new() } else { terminal }, faults })
}

/// The lines, with the attempt's values.
fn steps(attempt: &Attempt, case: Case) -> String {
    match case {
        Case::Solution => attempt.exercise.solution.clone().unwrap_or_default(),
        Case::NearMiss(at) => {
            attempt.exercise.near_misses.get(at).map(|miss| miss.steps.clone()).unwrap_or_default()
        }
    }
}

/// Types all of it, and gives what is wrong then.
fn play(attempt: &mut Attempt, desk: &mut Desk, typed: &str, case: Case) -> Result<Option<String>> {
    if attempt.look()?.is_done() {
        return Ok(Some("the untouched machine passes it".into()));
    }
    for line in typed.lines() {
        desk.type_line(line)?;
        // What is to be gone in the end must be seen before.
        attempt.look()?;
    }
    let end = Instant::now() + PATIENCE;
    let mut before = None;
    loop {
        let look = attempt.look()?;
        let fault = fault(&attempt.exercise, case, &look);
        // What is not to be met could still come true: it is looked at twice.
        let is_settled =
            fault.is_none() && (matches!(case, Case::Solution) || before.as_ref() == Some(&look.names(true)));
        if is_settled || Instant::now() > end {
            return Ok(fault);
        }
        before = Some(look.names(true));
        desk.read_until(Instant::now() + AGAIN)?;
    }
}

/// How `look` differs from what the case is to show.
fn fault(exercise: &Exercise, case: Case, look: &Look) -> Option<String> {
    let unmet = look.requirements.iter().find(|requirement| !requirement.met);
    match case {
        Case::Solution => unmet.map(|it| format!("the solution: {} is not met: {}", it.name, it.sentence)),
        Case::NearMiss(at) => {
            let miss = exercise.near_misses.get(at)?;
            let said = match unmet {
                Some(it) if it.name == miss.fails => return None,
                Some(it) => format!(
                    "the first that is not met is {}, and fails says {}: {}",
                    it.name, miss.fails, it.sentence
                ),
                None => format!("every requirement is met, and fails says {}", miss.fails),
            };
            Some(format!("near miss {} ({}): {said}", at + 1, miss.what))
        }
    }
}

fn learner(directory: &Path) -> Learner {
    let uid = geteuid();
    let user = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    let student = directory.display().to_string();
    Learner { student, class: "lint".into(), uid: uid.as_raw(), gid: getegid().as_raw(), user }
}

fn environment(before: &Before, home: &Path, temporary: &Path) -> Vec<(String, String)> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let (home, temporary) = (home.display().to_string(), temporary.display().to_string());
    let own = [
        ("PATH", path),
        ("HOME", home),
        ("TMPDIR", temporary),
        ("TERM", "dumb".into()),
        ("LANG", "C.UTF-8".into()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_string(), value));
    own.chain([before.mark()]).collect()
}

fn last_lines(printed: &str) -> Vec<String> {
    let lines: Vec<_> = printed.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.iter().skip(lines.len().saturating_sub(LINES)).map(|line| ns_core::printable(line)).collect()
}
