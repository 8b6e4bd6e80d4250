//! Runs checks one after another in the only thread, which no harness of Rust's does: a line a check, and a count.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// How a check ended that did not fail.
pub(crate) enum Ending {
    Passed,
    /// With the reason.
    Skipped(String),
}

/// What a check gives back.
pub(crate) type Answer = Result<Ending, Box<dyn Error>>;

/// A check and its name, which is the sentence that it proves.
pub(crate) type Check = (&'static str, fn() -> Answer);

/// Runs those checks whose name holds every word on the command line.
#[expect(clippy::print_stdout, reason = "a test program has no renderer")]
pub(crate) fn run(checks: &[Check]) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, check) in
        checks.iter().filter(|(name, _)| words.iter().all(|word| name.contains(word.as_str())))
    {
        let ended = match catch_unwind(AssertUnwindSafe(check)) {
            Ok(Ok(Ending::Passed)) => {
                passed += 1;
                "ok".into()
            }
            Ok(Ok(Ending::Skipped(why))) => {
                skipped += 1;
                format!("skipped: {why}")
            }
            Ok(Err(why)) => {
                failed += 1;
                format!("FAILED: {why}")
            }
            Err(_) => {
                failed += 1;
                "FAILED, as the panic says above".into()
            }
        };
        println!("test {name} ... {ended}");
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    ExitCode::from(u8::from(failed > 0))
}
