//! `--pause` and `--predict` are the driver's: it has the terminal, and starts the experiment again as what it teaches.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use ns_core::error::AsErrno;
use observation::in_words;

use crate::settings::Settings;

/// What the driver's program is called.
const DRIVER: &str = "inception";

/// Becomes the driver beside this program, which runs the experiment `name` as the settings have it.
///
/// # Errors
/// One line that says how to get the driver, when there is none. Otherwise this does not return.
pub(crate) fn hand_over(name: &str, settings: &Settings) -> Result<u8> {
    let own = std::env::current_exe().context("readlink(\"/proc/self/exe\")")?;
    let driver = own.with_file_name(DRIVER);
    // Called as this program was, so that what it says can be typed.
    let called = std::env::args_os().next().map(PathBuf::from).filter(|it| it.components().count() > 1);
    let called = called.map_or_else(|| DRIVER.into(), |it| it.with_file_name(DRIVER));
    let error = Command::new(&driver).arg0(called).args(arguments(name, settings)).exec();
    let errno = in_words(error.as_errno());
    let option = if settings.pause { "--pause" } else { "--predict" };
    Err(anyhow!(
        "{option} is done by the driver, {}: {errno}; to get it: cargo build -p {DRIVER}",
        driver.display()
    ))
}

/// The driver's arguments that say the same.
fn arguments(name: &str, settings: &Settings) -> Vec<OsString> {
    let flags = [
        (settings.pause, "--pause"),
        (settings.predict, "--predict"),
        (settings.sabotage, "--sabotage"),
        (settings.must_run, "--must-run"),
    ];
    let mut arguments: Vec<OsString> = vec!["run".into(), name.into()];
    arguments.extend(flags.into_iter().filter(|(is_on, _)| *is_on).map(|(_, flag)| flag.into()));
    arguments.extend(settings.look.options().into_iter().map(OsString::from));
    arguments.push(format!("--format={}", settings.format.word()).into());
    arguments.extend(settings.screen.options().into_iter().map(OsString::from));
    arguments.extend(settings.steps.options().into_iter().map(OsString::from));
    arguments.extend(settings.student.iter().map(|name| format!("--student={name}").into()));
    arguments.extend(settings.ask.iter().map(|claim| format!("--ask={claim}").into()));
    let paths = [
        ("--answers=", &settings.answers),
        ("--score=", &settings.score),
        ("--record=", &settings.record),
        ("--notes=", &settings.notes),
    ];
    for (option, path) in paths {
        arguments.extend(path.iter().map(|path| {
            let mut argument = OsString::from(option);
            argument.push(path);
            argument
        }));
    }
    arguments
}
