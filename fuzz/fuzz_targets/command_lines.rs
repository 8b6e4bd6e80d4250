//! Command lines: arguments with a NUL between them, for what all experiments share and for `mini-container run`.
#![no_main]
#![allow(dead_code)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use clap::{Args, Command, FromArgMatches};
use lesson::{Screen, Settings};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/mini-container/src/run"]
mod run {
    mod asked;
    mod binds;
    mod identity;
    mod limits;
    mod place;
    mod reach;
    mod setting;
    mod words;

    pub(crate) use asked::Asked;
}

fn parse<A: Args>(line: &[u8]) {
    let command = A::augment_args(Command::new("program"));
    let arguments = line.split(|byte| *byte == 0).map(OsStr::from_bytes);
    if let Ok(matches) = command.try_get_matches_from([OsStr::new("program")].into_iter().chain(arguments)) {
        let _ = A::from_arg_matches(&matches);
    }
}

fuzz_target!(|data: &[u8]| {
    parse::<Settings>(data);
    parse::<Screen>(data);
    parse::<run::Asked>(data);
});
