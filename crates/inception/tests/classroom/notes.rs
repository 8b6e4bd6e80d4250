//! `--notes`: where the teacher's notes can go, and where they cannot.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use libtest_mimic::Failed;
use nix::sys::stat::Mode;

use super::desk::{Desk, Person};
use super::{ensure, go_to, one_line, prompt};

pub(super) fn they_go_to_a_second_terminal(person: &Person) -> Result<(), Failed> {
    // tmux's terminals belong to whoever runs it.
    if person.is_stranger {
        return Ok(());
    }
    let desk = Desk::new(person);
    desk.open(80, &["/bin/bash", "--norc", "--noprofile"]);
    desk.type_line("PS1='ready> '");
    desk.ends_with("\nready>")?;
    let terminal = desk.second_terminal();
    desk.type_line(&format!("{}/inception run 11 --pause --notes {terminal}", person.programs.display()));
    desk.ends_with(&prompt(1))?;
    let notes = desk.on_the_second();
    ensure(notes.starts_with("== 11 pid-ns-init, step 1; 0:00:"), || notes.clone())?;
    ensure(notes.contains(" since the start, at "), || notes.clone())?;
    ensure(notes.contains("?   A process is created with CLONE_NEWPID. What does getpid() return"), || {
        notes.clone()
    })?;
    ensure(notes.contains("Right: 1\n"), || notes.clone())?;
    go_to(&desk, 3)?;
    let notes = desk.on_the_second();
    // The latest alone.
    ensure(notes.starts_with("== 11 pid-ns-init, step 3; ") && !notes.contains("step 1"), || notes.clone())?;
    desk.press("q");
    // What is typed before the terminal is the shell's again is lost.
    desk.ends_with("\nready>")?;
    desk.type_line("exit 0");
    desk.ends_with("exit status 0")
}

pub(super) fn they_go_to_a_file_a_fifo_and_a_socket(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    let ones = desk.file("ones", &"1\n".repeat(100));
    let [file, fifo, socket] = ["file", "fifo", "socket"].map(|name| desk.folder().join("state").join(name));
    nix::unistd::mkfifo(&fifo, Mode::from_bits_truncate(0o666))?;
    fs::set_permissions(&fifo, fs::Permissions::from_mode(0o666))?;
    let listener = UnixListener::bind(&socket)?;
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666))?;
    let run = |notes: &std::path::Path| {
        let notes = notes.display().to_string();
        desk.run(&["inception", "run", "11", "--predict", "--answers", &ones, "--notes", &notes])
    };
    ensure(run(&file).status.code().is_some_and(|it| it < 2), || "it cannot be written".into())?;
    let written = fs::read_to_string(&file)?;
    ensure(written.contains("== 11 pid-ns-init, step 3, claim 2 of 2; "), || written.clone())?;
    ensure(written.contains("refuted: A signal that init does not handle cannot be sent to it."), || {
        written.clone()
    })?;
    ensure(written.contains("Correct: SIGTERM from outside"), || written.clone())?;
    ensure(written.contains("The notes: N87 Its children can send init only signals"), || written.clone())?;
    ensure(written.contains("Next:\n"), || written.clone())?;
    ensure(!written.contains('\u{1b}'), || written.clone())?;
    // Both ends, so that nobody waits; the pipe holds all.
    let mut reader = File::options().read(true).write(true).open(&fifo)?;
    run(&fifo);
    let mut heard = vec![0; 1 << 16];
    let count = reader.read(&mut heard)?;
    ensure(heard[..count].starts_with(b"== 11 pid-ns-init, step 1; "), || "nothing was heard".into())?;
    run(&socket);
    let (mut accepted, _) = listener.accept()?;
    let mut heard = String::new();
    accepted.read_to_string(&mut heard)?;
    ensure(heard.contains("== 11 pid-ns-init, step 3, claim 2 of 2; "), || heard.clone())
}

pub(super) fn what_nobody_takes_gets_one_line(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    let ones = desk.file("ones", &"1\n".repeat(100));
    let [fifo, socket] = ["fifo", "socket"].map(|name| desk.folder().join("state").join(name));
    nix::unistd::mkfifo(&fifo, Mode::from_bits_truncate(0o666))?;
    fs::set_permissions(&fifo, fs::Permissions::from_mode(0o666))?;
    drop(UnixListener::bind(&socket)?);
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666))?;
    let (fifo, socket) = (fifo.display().to_string(), socket.display().to_string());
    for (notes, said) in [
        (fifo.as_str(), "nobody reads it: on the second terminal, first: cat "),
        (socket.as_str(), "listen on it first: "),
        ("/nowhere/notes", "cannot write the notes to /nowhere/notes: "),
    ] {
        let line = ["inception", "run", "11", "--predict", "--answers", &ones, "--notes", notes];
        let text = one_line(&desk.run(&line), 2)?;
        ensure(text.contains(said) && text.contains(notes), || text)?;
    }
    for program in [&["inception", "run", "11"][..], &["pid-ns-init"]] {
        let text = one_line(&desk.run(&[program, &["--notes", "x"]].concat()), 2)?;
        ensure(text.contains("--notes goes with --pause or --predict"), || text)?;
    }
    desk.is_left_clean(&[])
}
