//! docs/performance.md, made of what was measured.

use std::fmt::Write as _;

use super::data::{Machine, Measured};
use super::rows::{TABLES, Table};
use super::view;
use crate::figures;
use crate::time::{self, Profile};

const HEAD: &str = "# Performance

<!-- Written by scripts/bench of docs/performance.json. Do not change it by hand. -->

How long the programs take, beside the least that the kernel asks for and beside other tools; and where the time goes.
`scripts/bench` measures all of it again and writes this page. `scripts/bench --only lsns` shows the tables that have
this word, and writes nothing. Nothing is asserted: the figures are this machine's, so read the ratios.
";

const METHOD: &str = "
The rows of a table run by turns: one run of each, and again. What slows the machine for a while so slows all of them. A
run counts from the start of the program until it has ended. The first run of each row does not count. `CPU ms` is what
the processes used in the kernel and in their own code. A container's teardown goes on in kernel threads, which it does
not include. *C* is a program that makes the same system calls without any care; its source is in `scripts/bench.d`. It
is linked statically, with musl where musl-gcc is there. *Static* is linked in the same way, as the Debian package is.
The other programs are those of `cargo build --release`.
";

const WHERE: &str = "
## Where time goes

`cargo xtask time NAME` shows this of any program, without root. It runs the program by turns as it is, and while it
looks at all threads in /proc, some thousand times a second. A moment belongs to the threads that do not wait for others
of the program. If a parent waits for a child, and the kernel makes the child wait for RCU, the moment is RCU's. If two
threads work, each has half of it. The kernel says in which function a thread waits (proc_pid_wchan(5)) and in which
call (proc_pid_syscall(5)). Then strace(1) counts processes and calls in a run of its own.
";

const OVERVIEW: &str = "
*Starts* are programs that execve(2) started, the first one among them. *Cost* is their number times a start of the
program that does nothing: the dynamic loader, libc and Rust's runtime. It is processor time that overlaps with other
work where several run at once. *Netlink* is how many messages were sent to netlink(7) sockets.
";

const WORDS: &[(&str, &str)] = &[
    (
        "runs on a processor",
        "Computing, page faults, the start of programs, and system calls that do not wait.",
    ),
    (
        "waits for a processor that others use",
        "Ready to run. On a machine with other work this grows, and so it does where more run at once than there are CPUs.",
    ),
    (
        "waits for RCU",
        "The kernel lets all readers of a data structure finish before it frees it. umount(), setns(), the end of a mount \
         namespace and the first move into a cgroup wait so.",
    ),
    (
        "waits for RCU callbacks",
        "rcu_barrier(): the kernel waits until all that was to be freed later is freed.",
    ),
    (
        "lock of the network settings",
        "The rtnl lock. The kernel holds it while it removes network namespaces, so whoever creates one waits.",
    ),
    (
        "waits for the lock of the mounts",
        "One process at a time changes mounts; whoever holds the lock may wait for RCU.",
    ),
    (
        "waits for a lock of its memory",
        "Processes of one program share its file, and fork() and exit() list and unlist each mapping of it.",
    ),
    ("waits for a kernel thread", "Work that the kernel has handed to a thread of its own."),
    (
        "waits for a change of the network",
        "The kernel does what a netlink message says before send() returns.",
    ),
    ("waits for a message of the network", "A netlink event, such as a link that comes up or is gone."),
    ("waits for a cgroup or file to change", "An event of cgroup.events or of inotify(7)."),
    (
        "waits for a time to pass",
        "No event reports some ends, such as that of a namespace. The program looks again every millisecond. A sleep of a \
         child counts here, too.",
    ),
    (
        "all wait for each other",
        "A message is under way, or a process has ended and the kernel has not released it yet.",
    ),
];

const DISTORTION: &str = "
The looks cost time themselves: a watched run took %WATCHED% times as long as one without (from %LEAST% to %MOST%). Under
strace it took %STRACE% times as long. So strace only counts here.
";

/// The page.
pub(super) fn of(measured: &Measured) -> String {
    let mut text = format!("{HEAD}\n## The machine\n\n{}{METHOD}", machine(&measured.machine));
    for table in TABLES {
        if let Some(kept) = measured.tables.iter().find(|kept| kept.id == table.id) {
            text.push_str(&section(table, &view::of(table, kept)));
        }
    }
    text.push_str(WHERE);
    let all: Vec<&Profile> = measured.profiles.iter().collect();
    let _ = write!(text, "{OVERVIEW}\n{}", time::overview(&all).markdown(0));
    text.push_str(&distortion(&all));
    for profile in all {
        let table = time::table(profile);
        let _ = write!(text, "\n{}", table.markdown(3));
    }
    text.push_str("\n### What these words mean\n\n| words | meaning |\n|---|---|\n");
    for (words, meaning) in WORDS {
        let _ = writeln!(text, "| {words} | {meaning} |");
    }
    text
}

fn section(table: &Table, shown: &figures::Table) -> String {
    let shown = shown.markdown(2);
    let (head, rest) = shown.split_once("\n\n").unwrap_or((&shown, ""));
    format!("\n{head}\n\n{}\n\n{rest}", textwrap::fill(table.about, 120))
}

fn machine(machine: &Machine) -> String {
    let mut text = String::from("| what | is |\n|---|---|\n");
    let rows = [
        ("date", machine.date.clone()),
        ("kernel", machine.kernel.clone()),
        ("CPU", format!("{} × {}", machine.cpus, machine.cpu)),
        ("run by", machine.conditions.clone()),
        ("used by others meanwhile", format!("{}, kernel threads included", machine.used_by_others())),
        ("peers", machine.versions.join("; ")),
    ];
    for (what, is) in rows {
        let _ = writeln!(text, "| {what} | {is} |");
    }
    if let Some(warning) = machine.is_busy() {
        let _ = write!(text, "\n**{warning}**\n");
    }
    text
}

/// By how much the tools changed what they looked at, of all programs.
fn distortion(profiles: &[&Profile]) -> String {
    let watched: Vec<f64> = profiles.iter().map(|it| it.watched / it.spent.wall).collect();
    let traced: Vec<f64> =
        profiles.iter().filter_map(|it| Some(it.counted.as_ref()?.wall / it.spent.wall)).collect();
    DISTORTION
        .replace("%WATCHED%", &figures::ratio(figures::median(&watched)))
        .replace("%LEAST%", &figures::ratio(figures::least(&watched)))
        .replace("%MOST%", &figures::ratio(figures::most(&watched)))
        .replace("%STRACE%", &figures::ratio(figures::median(&traced)))
}

#[cfg(test)]
mod tests {
    use super::super::data::{Became, Figures, Measurement, Timed};
    use super::*;

    #[test]
    fn a_page_has_the_machine_the_tables_and_where_time_goes() {
        let figures = Figures { runs: 9, median: 1.5, least: 1.0, most: 2.0, cpu: Some(0.5), failed: 0 };
        let measured = Measured {
            machine: Machine {
                kernel: "6.18".into(),
                cpu: "EPYC".into(),
                cpus: 2,
                conditions: "root".into(),
                date: "2026-01-31".into(),
                others: 0.125,
                versions: vec!["x 1".into(), "y 2".into()],
            },
            tables: vec![Measurement {
                id: "veth".into(),
                rows: vec![Timed { name: "C: the same messages".into(), became: Became::Ran(figures) }],
            }],
            profiles: vec![time::example()],
        };
        let text = of(&measured);
        assert!(!text.contains("Other work used"), "{text}");
        assert!(
            text.contains("| used by others meanwhile | 0.12 of 2 CPUs, kernel threads included |"),
            "{text}"
        );
        assert!(text.contains("| CPU | 2 × EPYC |\n"), "{text}");
        assert!(text.contains("| peers | x 1; y 2 |\n"), "{text}");
        assert!(
            text.contains("\n## A veth pair between two namespaces, and a round trip\n\nThe first two rows"),
            "{text}"
        );
        assert!(text.contains("| C: the same messages | 1.50 | 1.00 | 2.00 | 0.50 | 1.00 |\n"), "{text}");
        assert!(text.contains("\n### ns-lifetime: where 2,950 ms go\n\n| in a run"), "{text}");
        assert!(text.contains("a watched run took 1.02 times"), "{text}");
        let busy =
            Measured { machine: Machine { others: 1.5, ..measured.machine.clone() }, ..measured.clone() };
        assert!(of(&busy).contains("\n**Other work used 1.50 of 2 CPUs: "));
        let json = serde_json::to_string(&measured).unwrap();
        assert_eq!(serde_json::from_str::<Measured>(&json).unwrap(), measured);
    }
}
