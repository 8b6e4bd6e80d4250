//! What clap itself costs: a program with as many options as an experiment has, and no more. It shows how much of the time
//! of `NAME --help` is clap's.
//! Build: rustc --edition 2021 -C opt-level=3 -C strip=symbols -o hello-clap hello-clap.rs \
//!            --extern clap=$(ls -t target/release/deps/libclap-*.rlib | head -n 1) -L dependency=target/release/deps
//! Beside ours, by turns: by-turns 100 0 - ./hello ';' - ./hello-clap --help ';' - target/release/uts-demo --help ';'
use clap::{Arg, Command};

const OPTIONS: [&str; 21] = [
    "format", "color", "width", "plain", "all", "step", "from", "steps", "verbose", "stable", "record", "pause", "notes",
    "predict", "answers", "score", "sabotage", "must-run", "student", "list-claims", "list-steps",
];

fn main() {
    let option = |name| Arg::new(name).long(name).help("What it is good for, in a sentence or two that fill the line");
    let command = Command::new("hello").version("1").about("hello").args(OPTIONS.map(option));
    command.subcommand(Command::new("shell").about("a shell")).get_matches();
}
