//! Every experiment on every machine, a test each machine; and `inception doctor`, which names the cause.
//! Part of a machine's name runs those that have it: `MACHINES=all cargo test -p machines -- without_time`.
//!
//! By default each machine meets a few experiments, and each experiment many machines. With `MACHINES=all` in the
//! environment, or `--ignored`, every machine meets all of them: that takes minutes, and a line each machine is printed.
//! `MACHINES_JSON=FILE` adds the same to a file as JSON lines, as soon as a machine is done.

#[path = "../../../inception/tests/built/mod.rs"]
mod built;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use machines::{BECOME, Machine, Row, become_machine, diagnose, machines, output, run, sweep};
use ns_core::Kind;

/// How many experiments a machine meets by default.
const A_FEW: usize = 2;

type Rows = Arc<Mutex<Vec<(usize, Row)>>>;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let [first, name, program @ ..] = arguments.as_slice() {
        if first == BECOME {
            return not_made(become_machine(&machines(), &name.to_string_lossy(), program));
        }
    }
    let mut arguments = Arguments::from_args();
    let all = arguments.ignored || std::env::var_os("MACHINES").is_some_and(|which| which == "all");
    arguments.ignored = false;
    // Two at a time: more would slow each other down, and a hang is told by the clock.
    arguments.test_threads.get_or_insert(2);
    let rows = Rows::default();
    let trials = trials(all, &rows, arguments.list);
    sweep();
    let ended = libtest_mimic::run(&arguments, trials);
    if all {
        print(&rows);
    }
    ended.exit_code()
}

/// What keeps a machine from being made is said with the status that `run` knows it by.
fn not_made(became: ns_core::Result<std::convert::Infallible>) -> ExitCode {
    let Err(why) = became;
    complain(&why.to_string());
    ExitCode::from(125)
}

#[expect(clippy::print_stderr, reason = "a test program has no renderer")]
fn complain(why: &str) {
    eprintln!("{why}");
}

fn trials(all: bool, rows: &Rows, only_listed: bool) -> Vec<Trial> {
    let maker = std::env::current_exe().expect("this program has a path");
    let folder = maker.ancestors().nth(2).expect("cargo builds two folders down");
    let folder = if only_listed { folder.into() } else { built::programs(&folder.join("inception")) };
    let (experiments, driver) = (Arc::new(experiments(&folder)), folder.join("inception"));
    let is_root = nix::unistd::geteuid().is_root();
    let mut trials = Vec::new();
    for (number, machine) in machines().into_iter().enumerate() {
        let (maker, driver) = (maker.clone(), driver.clone());
        let (experiments, rows) = (Arc::clone(&experiments), Arc::clone(rows));
        let name = machine.name.replace(' ', "_");
        let needs_root = machine.needs_root && !is_root;
        // A machine's functions are no thread's, so each test looks its machine up again.
        trials.push(Trial::ignorable_test(name, move || {
            if needs_root {
                return Ok(Completion::ignored_with("only root can make it"));
            }
            let machine = machines().swap_remove(number);
            let met = met_by(number, &experiments, all);
            let done = |row| {
                let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                if let Err(why) = write(&row) {
                    complain(&why);
                }
                rows.push((number, row));
            };
            on(&maker, &machine, &met, &driver, done)
        }));
    }
    trials.push(Trial::ignorable_test("what_a_kernel_lacks_is_not_listed", move || {
        if !is_root {
            return Ok(Completion::ignored_with("only root can make it"));
        }
        nothing_is_listed_of(Kind::Time, &maker)?;
        nothing_is_listed_of(Kind::Pid, &maker).map(|()| Completion::Completed)
    }));
    trials
}

/// Whether ls(1) finds no file of a kind in /proc/self/ns on a kernel without it, and finds the others.
fn nothing_is_listed_of(kind: Kind, maker: &Path) -> Result<(), Failed> {
    let name = format!("kernel without {kind} namespaces");
    let machine = machines().into_iter().find(|machine| machine.name == name).ok_or("no such machine")?;
    let listed = output(maker, &machine, Path::new("/bin/ls"), &["/proc/self/ns"])?;
    let kinds: Vec<_> = listed.lines().filter(|name| !name.ends_with("_for_children")).collect();
    let mut others: Vec<_> = Kind::ALL.into_iter().filter(|other| *other != kind).map(Kind::link).collect();
    others.sort_unstable();
    if kinds != others || listed.contains(&format!("{}_for_children", kind.link())) {
        return Err(format!("without {kind} namespaces: {listed:?}").into());
    }
    Ok(())
}

/// The programs of the experiments, by the names of the demos.
fn experiments(folder: &Path) -> Vec<PathBuf> {
    let demos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demos");
    let mut names: Vec<String> = std::fs::read_dir(demos)
        .expect("there are demos")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(|first: char| first.is_ascii_digit()))
        .filter_map(|name| Some(name.strip_suffix(".sh")?.split_once('-')?.1.to_string()))
        .collect();
    names.sort();
    names.into_iter().map(|name| folder.join(name)).filter(|program| program.exists()).collect()
}

/// Those that the machine of this number meets.
fn met_by(number: usize, experiments: &[PathBuf], all: bool) -> Vec<PathBuf> {
    let few = if all { experiments.len() } else { A_FEW.min(experiments.len()) };
    (0..few).map(|at| experiments[(number * few + at) % experiments.len()].clone()).collect()
}

/// Runs experiments on a machine. It fails with all that is not as promised.
fn on(
    maker: &Path,
    machine: &Machine,
    experiments: &[PathBuf],
    driver: &Path,
    done: impl FnOnce(Row),
) -> Result<Completion, Failed> {
    let not_made = |why| Ok(Completion::ignored_with(format!("it cannot be made here: {why}")));
    let mut row = Row::of(machine);
    match diagnose(maker, machine, driver) {
        Ok(faults) => row.faults.extend(faults.into_iter().map(|fault| format!("doctor: {fault}"))),
        Err(why) => return not_made(why),
    }
    for program in experiments {
        match run(maker, machine, program) {
            Ok(ran) => row.count(&program.file_name().unwrap_or_default().to_string_lossy(), &ran),
            Err(why) => return not_made(why),
        }
    }
    let faults = row.faults.join("\n");
    done(row);
    if faults.is_empty() { Ok(Completion::Completed) } else { Err(faults.into()) }
}

/// Adds a row to the file that is asked for by `MACHINES_JSON`: at once, so that a run that is ended has told what it met.
fn write(row: &Row) -> Result<(), String> {
    let Some(file) = std::env::var_os("MACHINES_JSON").map(PathBuf::from) else { return Ok(()) };
    let failed = |why: &dyn std::fmt::Display| format!("MACHINES_JSON: {}: {why}", file.display());
    let line = serde_json::to_string(row).map_err(|why| failed(&why))? + "\n";
    let opened = std::fs::File::options().create(true).append(true).open(&file);
    opened.and_then(|mut file| file.write_all(line.as_bytes())).map_err(|why| failed(&why))
}

/// Prints the rows, in the order of the machines.
#[expect(clippy::print_stdout, reason = "a test program has no renderer")]
fn print(rows: &Rows) {
    let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
    rows.sort_by_key(|(number, _)| *number);
    println!(
        "{:32} {:>5} {:>7} {:>5} {:>6} {:>8}",
        "machine", "same", "skipped", "wrong", "broken", "slowest"
    );
    for (_, Row { machine, same, skipped, wrong, broken, slowest_ms, .. }) in rows.iter() {
        println!("{machine:32} {same:>5} {skipped:>7} {wrong:>5} {broken:>6} {slowest_ms:>5} ms");
    }
}
