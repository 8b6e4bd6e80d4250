//! Every console block of README.md and of docs/, with the folders below it, is run, and prints what stands there.
//!
//! docs/STYLE.md says how a block is written. A trial a session: the blocks that share a shell. What a machine lacks is
//! seen as an ignored trial, with the reason and the remedy. The transcripts between markers are cargo xtask docs' affair.
//! BLOCKS_NEEDY=1 runs those alone that need cgroups or systemd, for a test that was carried to a virtual machine.

#[path = "../built/mod.rs"]
mod built;
#[path = "../documents/mod.rs"]
mod documents;
mod page;
#[path = "../shell/mod.rs"]
mod shell;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use page::{Block, Entry, NEEDS, Session};
use shell::machine::{self, PACKAGES};
use shell::run::{self, Place, Printed, Script};
use shell::value::{self, Found, LEFT_OUT, Reading};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let checkout = checkout();
    let programs = if arguments.list { PathBuf::new() } else { built::programs(&driver()) };
    let root = nix::unistd::getuid().is_root();
    let place = Arc::new(Place { checkout, programs, root, at_most: Duration::from_secs(60) });
    let mut trials = checks_of_the_checker();
    for (number, session) in all_sessions(&place.checkout).into_iter().enumerate() {
        let session = match session {
            Ok(session) => session,
            Err(why) => {
                let name = why.split(": ").next().unwrap_or_default().to_string();
                trials.push(Trial::test(name, move || Err(why.into())));
                continue;
            }
        };
        let name = session.name();
        let missing = missing(&place, &session);
        let place = place.clone();
        trials.push(Trial::ignorable_test(name, move || match missing {
            Some(missing) => Ok(Completion::ignored_with(missing)),
            None => check(&place, &session, number).map(|()| Completion::Completed),
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The one that cargo says; of a test that was carried to another machine, the one that its caller says.
fn checkout() -> PathBuf {
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).join("../..").canonicalize().expect("the checkout is there")
}

/// Where the driver is: likewise.
fn driver() -> PathBuf {
    let driver = std::env::var("CARGO_BIN_EXE_inception");
    driver.unwrap_or_else(|_| env!("CARGO_BIN_EXE_inception").into()).into()
}

impl Session {
    fn name(&self) -> String {
        format!("{}:{}", self.page, self.blocks[0].line)
    }

    fn needs(&self, what: &str) -> bool {
        self.blocks.iter().any(|block| block.says.needs.iter().any(|need| need == what))
    }

    /// Whether `program` is a word of a command.
    fn types(&self, program: &str) -> bool {
        let mut entries = self.blocks.iter().flat_map(|block| &block.entries);
        entries.any(|entry| machine::types(&entry.command, program))
    }

    fn machine(&self) -> bool {
        self.blocks.iter().any(|block| block.says.machine)
    }

    /// Whether its first shell is root's. Where one line asks for sudo, all of it runs as root.
    fn as_root(&self) -> bool {
        let sudo = |block: &Block| block.entries.iter().any(|entry| entry.command.contains("sudo "));
        self.blocks[0].entries.first().is_some_and(|entry| entry.root) || self.blocks.iter().any(sudo)
    }
}

fn all_sessions(checkout: &Path) -> Vec<Result<Session, String>> {
    let read = |path: PathBuf| {
        let name = path.display().to_string();
        let text = fs::read_to_string(checkout.join(path)).unwrap_or_else(|error| panic!("{name}: {error}"));
        match page::sessions(&name, &text) {
            Ok(sessions) => sessions.into_iter().map(Ok).collect(),
            Err(why) => vec![Err(why)],
        }
    };
    documents::pages(checkout).into_iter().flat_map(read).collect()
}

/// Why it is not run here.
fn missing(place: &Place, session: &Session) -> Option<String> {
    if let Some(why) = session.blocks.iter().find_map(|block| block.says.not_run.as_ref()) {
        return Some(format!("not to be run: {why}"));
    }
    if session.as_root() && !place.root {
        return Some("needs root: sudo".into());
    }
    let is_needy = ["cgroup", "controllers", "systemd"].iter().any(|need| session.needs(need));
    if std::env::var_os("BLOCKS_NEEDY").is_some() && !is_needy {
        return Some("it needs nothing: run on every machine".into());
    }
    if place.root && !session.as_root() && !place.checkout.join("scripts/ordinary").is_file() {
        return Some("an ordinary user types it: run as one".into());
    }
    let mut lacking = NEEDS.iter().filter(|(need, _)| session.needs(need) && !is_there(place, need));
    if let Some((_, what)) = lacking.next() {
        return Some(format!("needs {what}"));
    }
    let mut lacking = PACKAGES.iter().filter(|(program, _)| session.types(program) && !machine::has(program));
    lacking.next().map(|(program, package)| format!("needs {program}: apt install {package}"))
}

fn is_there(place: &Place, need: &str) -> bool {
    match need {
        "cgroup" => machine::has_a_cgroup(place.root),
        "controllers" => machine::has_controllers(),
        "docker" => machine::has_docker(place.root),
        "solutions" => Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../solutions")).is_dir(),
        "systemd" => machine::has_systemd(),
        program => machine::has(program),
    }
}

fn check(place: &Place, session: &Session, number: usize) -> Result<(), Failed> {
    /// While an engine runs, the root of cgroup v2 hands other controllers down.
    static ALONE: RwLock<()> = RwLock::new(());
    let printed = if session.needs("docker") {
        let _alone = ALONE.write();
        print(place, session, number)?
    } else {
        let _beside_others = ALONE.read();
        print(place, session, number)?
    };
    compare(session, &printed)?;
    every_character_counts(session, &printed)?;
    Ok(())
}

/// Runs the commands of all blocks, and says what each printed.
fn print(place: &Place, session: &Session, number: usize) -> Result<Vec<String>, String> {
    let entries: Vec<&Entry> = session.blocks.iter().flat_map(|block| &block.entries).collect();
    let script = Script {
        commands: entries.iter().map(|entry| entry.command.as_str()).collect(),
        before: session.blocks[0].says.after.as_deref(),
        as_root: session.as_root(),
        docker: session.needs("docker"),
        cgroup: session.needs("cgroup"),
        machine: session.machine(),
        may_leave: false,
    };
    let printed = run::run(place, &script, number)?;
    for (entry, Printed { status, text }) in entries.iter().zip(&printed) {
        if entry.prints.is_none() && *status != 0 {
            return Err(format!(
                "{}:{}: exit status {status}; it printed:\n{text}",
                session.page, entry.line
            ));
        }
    }
    Ok(printed.into_iter().map(|printed| printed.text).collect())
}

/// Compares what each command printed with what stands below it.
fn compare(session: &Session, printed: &[String]) -> Result<(), String> {
    let mut found = Found::default();
    let mut printed = printed.iter();
    for block in &session.blocks {
        let reading = Reading { values: &block.says.values, columns: block.says.columns, abridged: false };
        for entry in &block.entries {
            let text = printed.next().expect("a text for each command");
            let Some(said) = &entry.prints else { continue };
            let lines: Vec<&str> = text.lines().collect();
            found = reading.agree(said, &lines, &found).ok_or_else(|| {
                let at = format!("{}:{}: {}", session.page, entry.line, entry.command);
                format!("{at}\nstands there:\n{}\nis printed:\n{text}\n", said.join("\n"))
            })?;
        }
    }
    Ok(())
}

/// Were any one character of the output another, it would be noticed.
fn every_character_counts(session: &Session, printed: &[String]) -> Result<(), String> {
    for (at, block) in session.blocks.iter().enumerate() {
        for (which, entry) in block.entries.iter().enumerate() {
            for (number, line) in entry.prints.iter().flatten().enumerate() {
                let blanks = |c: char| c == ' ' && block.says.columns;
                let mine = line.trim_end().char_indices().filter(|(_, c)| line != LEFT_OUT && !blanks(*c));
                for (byte, c) in mine {
                    let other = if c == '#' { '%' } else { '#' };
                    let altered = format!("{}{other}{}", &line[..byte], &line[byte + c.len_utf8()..]);
                    if !noticed(session, printed, (at, which, number), altered) {
                        return Err(format!(
                            "{}:{}: that {c:?} stands here would not be noticed: {line}",
                            session.page, entry.line
                        ));
                    }
                }
            }
        }
    }
    Ok(())
}

fn noticed(
    session: &Session,
    printed: &[String],
    (at, which, number): (usize, usize, usize),
    altered: String,
) -> bool {
    let mut copy = Session { page: session.page.clone(), blocks: Vec::new() };
    for (index, block) in session.blocks.iter().enumerate() {
        let mut block = block.clone();
        if index == at {
            if let Some(line) = block.entries[which].prints.as_mut().and_then(|lines| lines.get_mut(number)) {
                line.clone_from(&altered);
            }
        }
        copy.blocks.push(block);
    }
    // A sample that nothing bears any more is found when the page is read.
    let declared = |block: &Block| {
        let said = || block.entries.iter().filter_map(|entry| entry.prints.as_ref()).flatten();
        block.says.values.keys().all(|value| said().any(|line| value::find(line, value).is_some()))
    };
    compare(&copy, printed).is_err() || !copy.blocks.iter().all(declared)
}

// --- The checker itself ---

const SAMPLE: &str = "\
# A page

<!-- block: pid 41, 42; columns -->
```console
$ echo $$ $$; echo one
41 41
one
$ ps
  PID COMMAND
   42 ps
```
";

fn checks_of_the_checker() -> Vec<Trial> {
    fn sample() -> Session {
        page::sessions("page", SAMPLE).expect("the sample can be read").remove(0)
    }
    fn said(first: &str, second: &str) -> Result<(), String> {
        compare(&sample(), &[first.into(), second.into()])
    }
    fn is(right: bool) -> Result<(), Failed> {
        if right { Ok(()) } else { Err("not so".into()) }
    }
    let trial =
        |name: &str, check: fn() -> Result<(), Failed>| Trial::test(format!("checker::{name}"), check);
    vec![
        trial(
            "what_stands_there_is_accepted",
            || is(said("7 7\none", "    PID COMMAND\n      8 ps").is_ok()),
        ),
        trial("another_word_is_noticed", || is(said("7 7\none!", "PID COMMAND\n8 ps").is_err())),
        trial("a_line_more_is_noticed", || is(said("7 7\none\ntwo", "PID COMMAND\n8 ps").is_err())),
        trial("a_line_less_is_noticed", || is(said("7 7", "PID COMMAND\n8 ps").is_err())),
        trial("one_sample_is_one_value", || is(said("7 9\none", "PID COMMAND\n8 ps").is_err())),
        trial("two_pids_are_two_processes", || is(said("7 7\none", "PID COMMAND\n7 ps").is_err())),
        trial("a_pid_is_a_number", || is(said("x x\none", "PID COMMAND\n8 ps").is_err())),
        trial("every_character_counts", || {
            Ok(every_character_counts(&sample(), &["7 7\none".into(), "PID COMMAND\n8 ps".into()])?)
        }),
        trial("what_is_left_out_is_any_number_of_lines", || {
            let page = "```console\n$ seq 3\n1\n[…]\n```\n";
            let session = page::sessions("page", page)?.remove(0);
            is(compare(&session, &["1\n2\n3".into()]).is_ok() && compare(&session, &["2\n3".into()]).is_err())
        }),
        trial("a_page_that_is_written_wrongly_is_refused", || {
            let wrong = [
                "```console\nonly output\n```\n",
                "```console\n$ true\n",
                "<!-- block: pid 7 -->\n```console\n$ true\n```\n",
                "<!-- block: colour blue -->\n```console\n$ true\n```\n",
                "<!-- block: not run: -->\n```console\n$ true\n```\n",
                "<!-- block: needs luck -->\n```console\n$ true\n```\n",
                "<!-- block: columns -->\n\n```console\n$ true\n```\n",
            ];
            is(wrong.iter().all(|page| page::sessions("page", page).is_err()))
        }),
        trial("what_a_block_leaves_behind_is_found", || {
            is(ran("```console\n$ sleep 61 &\n```\n").is_err_and(|why| why.contains("sleep 61")))
        }),
        trial("a_shell_in_a_shell_goes_on_reading", || {
            is(ran("```console\n$ unshare -Ur\n# id -u\n0\n# exit\n$ id -u\n```\n")? == ["", "0", "", &id()])
        }),
        trial(
            "a_command_that_eats_the_next_is_told",
            || is(ran("```console\n$ cat\n$ true\n```\n").is_err()),
        ),
        trial("a_shell_block_is_to_succeed", || {
            is(ran("```sh\ntrue\n```\n").is_ok() && ran("```sh\nfalse\n```\n").is_err())
        }),
    ]
}

/// Who runs a session that is not root's.
fn id() -> String {
    let uid = nix::unistd::getuid().as_raw();
    if uid == 0 { run::STRANGER.to_string() } else { uid.to_string() }
}

fn ran(page: &str) -> Result<Vec<String>, String> {
    static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(10_000);
    let checkout = checkout();
    let root = nix::unistd::getuid().is_root();
    let place = Place {
        programs: driver().parent().expect("it is in a directory").into(),
        checkout,
        root,
        at_most: Duration::from_secs(5),
    };
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    print(&place, &page::sessions("page", page)?.remove(0), number)
}
