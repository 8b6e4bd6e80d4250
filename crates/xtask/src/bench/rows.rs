//! What is measured: the tables and their rows.
//!
//! A command names places. `{release}` is the directory of the release build, and `{static}` that of the static one.
//! `{peers}` has what scripts/bench has made. `{cgroup}` is a cgroup v2 that the caller may write to. `{scratch}` is a
//! directory that is removed afterwards, and `{name}` a name for a container.

use std::collections::BTreeSet;

/// What a row needs beside the programs of this project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// A program, and the package that has it.
    Tool(&'static str, &'static str),
    /// The caller is root.
    Root,
    /// A cgroup v2 in which the caller may create others.
    Cgroup,
    /// A mount namespace in which /sys/fs/cgroup is cgroup v2 alone: container runtimes look there.
    CgroupRoot,
}

/// Where the times of a row come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    /// From its start until it ended.
    Whole,
    /// It prints the nanoseconds of each of so many rounds, and takes their number as its last argument.
    Printed(usize),
}

/// A command that is measured.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: String,
    /// Divided at blanks, before anything is put in.
    pub(super) words: String,
    pub(super) needs: Vec<Need>,
    pub(super) times: Times,
    /// Whether other exit statuses than 0 are as good: an experiment ends with 77 where nothing can be asked.
    pub(super) any_status: bool,
}

/// Rows that are run by turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What the figures mean, in a sentence or two.
    pub(super) about: &'static str,
    /// Columns of ratios: what a column is called, and the row that is 1.
    pub(super) ratios: &'static [(&'static str, &'static str)],
    /// How long nothing runs before each run, in milliseconds.
    pub(super) pause: u64,
    /// How many processes wait meanwhile.
    pub(super) crowd: usize,
    /// At least so many runs of each row, whatever the time.
    pub(super) fewest: usize,
    /// Its share of the time for all.
    pub(super) weight: u32,
    /// Whether it is measured only if asked for.
    pub(super) optional: bool,
}

const PLAIN: Table = Table {
    id: "",
    title: "",
    about: "",
    ratios: &[],
    pause: 0,
    crowd: 0,
    fewest: 3,
    weight: 10,
    optional: false,
};

const CONTAINER: &[(&str, &str)] =
    &[("× C", "the same calls in C"), ("× unshare", "unshare, chroot"), ("× crun", "crun run, in a cgroup")];
const CONTAINER_ABOUT: &str = "From the start of the runtime to its end; the program in the container does nothing. \
    All but crun and runc create eight namespaces. These two create six, and a cgroup.";
const LISTED: &[(&str, &str)] = &[("× C", "C: readlinkat() alone"), ("× lsns", "lsns")];

/// All tables, in their order.
pub(super) const TABLES: &[Table] = &[
    Table {
        id: "start",
        title: "A program starts, and shows its help",
        about: "The floor is a program in Rust that prints one line, of the same C library and linked in the same way.",
        ratios: &[("× hello", "Rust hello")],
        weight: 8,
        ..PLAIN
    },
    Table {
        id: "start-static",
        title: "The same, linked statically",
        about: "As the Debian package has it: nothing is loaded at the start.",
        ratios: &[("× hello", "Rust hello, static")],
        weight: 6,
        ..PLAIN
    },
    Table {
        id: "experiments",
        title: "Each experiment, from start to end",
        about: "Its core claims, as it runs without an option. The first row is a start that does nothing.",
        ratios: &[("× start", "uts-demo --version")],
        weight: 40,
        ..PLAIN
    },
    Table {
        id: "suite",
        title: "All experiments",
        about: "With --jobs 1 one at a time; without it as many as there are CPUs, and what measures the machine alone.",
        ratios: &[("× core", "inception run")],
        fewest: 2,
        weight: 70,
        ..PLAIN
    },
    Table {
        id: "list-1000",
        title: "Listing the namespaces, with 1,000 processes more",
        about: "A tenth of them are in a UTS and an IPC namespace of their own. The floor reads the same links and prints \
            three numbers.",
        ratios: LISTED,
        crowd: 1_000,
        weight: 10,
        ..PLAIN
    },
    Table {
        id: "list-10000",
        title: "Listing the namespaces, with 10,000 processes more",
        about: "The same with ten times as many: a list that takes more than ten times as long does not scale.",
        ratios: LISTED,
        crowd: 10_000,
        weight: 30,
        ..PLAIN
    },
    Table {
        id: "veth",
        title: "A veth pair between two namespaces, and a round trip",
        about: "The first two rows are one process, which times a pair by itself: create, set up, one datagram there and back. \
            The others are timed from start to end.",
        ratios: &[("× C", "C: the same messages")],
        weight: 10,
        ..PLAIN
    },
    Table {
        id: "birth",
        title: "A process is created in a cgroup of its own",
        about: "mkdir(), clone3() with CLONE_INTO_CGROUP, a wait for its end, rmdir(); timed by the process itself. *With the \
            same care* is C, too: a cleanup worker knows of the cgroup, and the child dies with its parent and has none of \
            its handlers. It is linked with the shared C library, as ours is, since fork() copies the pages of that.",
        ratios: &[("× C", "C: the same calls"), ("× care", "C: with the same care")],
        weight: 6,
        ..PLAIN
    },
    Table {
        id: "container",
        title: "A container, back to back",
        about: CONTAINER_ABOUT,
        ratios: CONTAINER,
        weight: 12,
        ..PLAIN
    },
    Table {
        id: "container-100",
        title: "A container, after 100 ms each",
        about: "The kernel still removes namespaces of the run before when the next begins at once. After a pause it has \
            come to rest, and a start waits for RCU where the machine is idle.",
        ratios: CONTAINER,
        pause: 100,
        weight: 22,
        ..PLAIN
    },
    Table {
        id: "trace",
        title: "A container under a tracer",
        about: "bwrap with all namespaces, whose program does nothing. Both tracers write what they report to /dev/null.",
        ratios: &[("× alone", "bwrap alone")],
        weight: 8,
        optional: true,
        ..PLAIN
    },
    Table {
        id: "build",
        title: "Building",
        about: "Into a directory of its own, with the crates downloaded before.",
        ratios: &[("× clean", "cargo build, clean")],
        fewest: 1,
        weight: 1,
        optional: true,
        ..PLAIN
    },
];

impl Table {
    /// Whether it, or one of its rows, has that word in its name.
    pub(super) fn is_called(&self, word: &str, rows: &[Row]) -> bool {
        self.id.contains(word) || self.title.contains(word) || rows.iter().any(|row| row.name.contains(word))
    }
}

impl Row {
    fn new(name: &str, words: &str) -> Row {
        Row {
            name: name.into(),
            words: words.into(),
            needs: Vec::new(),
            times: Times::Whole,
            any_status: false,
        }
    }

    fn needs(mut self, need: Need) -> Row {
        self.needs.push(need);
        self
    }

    fn printed(mut self, rounds: usize) -> Row {
        self.times = Times::Printed(rounds);
        self
    }

    fn any_status(mut self) -> Row {
        self.any_status = true;
        self
    }
}

/// The rows of a table.
pub(super) fn rows(table: &Table, experiments: &BTreeSet<String>) -> Vec<Row> {
    match table.id {
        "start" => vec![
            Row::new("Rust hello", "{peers}/hello"),
            Row::new("C, static: does nothing", "{peers}/nothing"),
            Row::new("uts-demo --version", "{release}/uts-demo --version"),
            Row::new("uts-demo --help", "{release}/uts-demo --help"),
            Row::new("inception --help", "{release}/inception --help"),
            Row::new("unshare --help", "unshare --help").needs(Need::Tool("unshare", "util-linux")),
        ],
        "start-static" => vec![
            Row::new("Rust hello, static", "{peers}/hello-static"),
            Row::new("C, static: does nothing", "{peers}/nothing"),
            Row::new("uts-demo --version", "{static}/uts-demo --version"),
            Row::new("uts-demo --help", "{static}/uts-demo --help"),
            Row::new("inception --help", "{static}/inception --help"),
        ],
        "experiments" => {
            let start = Row::new("uts-demo --version", "{release}/uts-demo --version");
            let each = |name: &String| Row::new(name, &format!("{{release}}/{name}")).any_status();
            [start].into_iter().chain(experiments.iter().map(each)).collect()
        }
        "suite" => ["run", "run --jobs 1", "run --all", "run --all --jobs 1"]
            .map(|run| {
                Row::new(&format!("inception {run}"), &format!("{{release}}/inception {run}")).any_status()
            })
            .into(),
        "list-1000" | "list-10000" => vec![
            Row::new("C: readlinkat() alone", "{peers}/census"),
            Row::new("ns-compare --list, static", "{static}/ns-compare --list"),
            Row::new("ns-compare --list", "{release}/ns-compare --list"),
            Row::new("ns-map --list, static", "{static}/ns-map --list"),
            Row::new("ns-map --list", "{release}/ns-map --list"),
            Row::new("lsns", "lsns").needs(Need::Tool("lsns", "util-linux")),
        ],
        "veth" => vec![
            Row::new("C: the same messages", "unshare -Ur {peers}/veth-pair").printed(10),
            Row::new("ours", "{release}/examples/veth-pair").printed(10),
            Row::new("ip and ping", "unshare -Urnm sh scripts/bench.d/veth.sh")
                .needs(Need::Tool("ip", "iproute2"))
                .needs(Need::Tool("ping", "iputils-ping")),
        ],
        "birth" => vec![
            Row::new("C: the same calls", "{peers}/cgroup-birth {cgroup}").needs(Need::Cgroup).printed(20),
            Row::new("C: with the same care", "{peers}/cgroup-birth-shared {cgroup} careful")
                .needs(Need::Cgroup)
                .printed(20),
            Row::new("ours", "{release}/examples/cgroup-birth").needs(Need::Cgroup).printed(20),
        ],
        "container" | "container-100" => containers(),
        "trace" => traced(),
        "build" => vec![
            Row::new("cargo build, clean", "sh scripts/bench.d/build.sh clean {scratch}")
                .needs(Need::Tool("cargo", "cargo")),
            Row::new("after a touch in ns-core", "sh scripts/bench.d/build.sh touch {scratch}")
                .needs(Need::Tool("cargo", "cargo")),
        ],
        id => unreachable!("table '{id}' has no rows"),
    }
}

fn traced() -> Vec<Row> {
    let row = |name: &str, tracer: &str| {
        let command = "bwrap --bind / / --unshare-all true";
        Row::new(name, &format!("{tracer}{command}")).needs(Need::Tool("bwrap", "bubblewrap"))
    };
    vec![
        row("bwrap alone", ""),
        row("ns-trace, static", "{static}/ns-trace -o /dev/null -- "),
        row("ns-trace", "{release}/ns-trace -o /dev/null -- "),
        row("strace -f", "strace -f -o /dev/null ").needs(Need::Tool("strace", "strace")),
    ]
}

fn containers() -> Vec<Row> {
    let ours = |name: &str, which: &str, options: &str| {
        Row::new(
            name,
            &format!("{{{which}}}/mini-container run{options} {{peers}}/bundle/rootfs /bin/nothing"),
        )
    };
    let all = "--user --map-root-user --pid --fork --mount-proc --uts --ipc --net --cgroup --time";
    let runtime = |name: &str, words: &str, tool: &'static str| {
        let row = Row::new(name, words).needs(Need::Tool(tool, tool));
        row.needs(Need::Root).needs(Need::CgroupRoot)
    };
    vec![
        Row::new("the same calls in C", "{peers}/floor {peers}/bundle/rootfs /bin/nothing"),
        Row::new("unshare, chroot", &format!("unshare {all} --root={{peers}}/bundle/rootfs /bin/nothing"))
            .needs(Need::Tool("unshare", "util-linux")),
        ours("mini-container run, static", "static", ""),
        ours("mini-container run", "release", ""),
        ours("mini-container run, static, in a cgroup", "static", " --pids-max 20"),
        ours("mini-container run, in a cgroup", "release", " --pids-max 20"),
        Row::new(
            "bwrap --unshare-all",
            "bwrap --unshare-all --bind {peers}/bundle/rootfs / --proc /proc --dev /dev /bin/nothing",
        )
        .needs(Need::Tool("bwrap", "bubblewrap")),
        runtime(
            "crun run, in a cgroup",
            "crun --cgroup-manager=cgroupfs --root {scratch}/crun run --bundle {peers}/bundle {name}-crun",
            "crun",
        ),
        runtime(
            "runc run, in a cgroup",
            "runc --root {scratch}/runc run --bundle {peers}/bundle {name}-runc",
            "runc",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ratio_is_to_a_row_of_its_table() {
        let experiments = BTreeSet::from(["uts-demo".to_string()]);
        for table in TABLES {
            let rows = rows(table, &experiments);
            for (_, row) in table.ratios {
                assert!(rows.iter().any(|it| it.name == *row), "{}: {row}", table.id);
            }
            let names: BTreeSet<_> = rows.iter().map(|row| &row.name).collect();
            assert_eq!(names.len(), rows.len(), "{}: two rows of one name", table.id);
        }
    }
}
