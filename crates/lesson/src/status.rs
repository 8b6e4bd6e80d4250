//! Exit statuses, as docs/DESIGN.md promises them.

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
