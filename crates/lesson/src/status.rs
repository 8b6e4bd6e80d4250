//! Exit statuses, as docs/DESIGN.md promises them.

/// What the help of whatever runs experiments says about its exit status.
#[macro_export]
macro_rules! exit_status {
    () => {
        "Exit status: 0 every verdict as expected, 1 one is not, 2 broken or misused,\n\
         77 nothing could be asked, 130 left before its end by q or Ctrl-C."
    };
}

/// Every verdict is as expected.
pub const AS_EXPECTED: u8 = 0;
/// A verdict is not as expected, or a claim was skipped where all must run.
pub const UNEXPECTED: u8 = 1;
/// The experiment broke, or the command line was no good.
pub const BROKEN: u8 = 2;
/// It was left before its end, by q or by Ctrl-C.
pub const LEFT: u8 = 130;
/// Nothing could be asked on this machine.
pub const NOTHING_ASKED: u8 = 77;

/// The status of several that ran one after another, each with its own: the worst of them.
pub fn worst(statuses: &[u8]) -> u8 {
    let rank = |status: &&u8| match **status {
        NOTHING_ASKED => 0,
        AS_EXPECTED => 1,
        UNEXPECTED => 2,
        BROKEN => 4,
        LEFT => 5,
        // None that is promised.
        _ => 3,
    };
    statuses.iter().max_by_key(rank).copied().unwrap_or(NOTHING_ASKED)
}
