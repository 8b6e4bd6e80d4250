//! Which machines have a page, and where its numbers come from.

/// A page docs/machines/NAME.md.
#[derive(Debug)]
pub(super) struct Page {
    /// Its name.
    pub(super) name: &'static str,
    /// The machine, as the index calls it.
    pub(super) machine: &'static str,
    /// What is skipped, in a few words.
    pub(super) skipped: &'static str,
    /// Its numbers: who runs the experiments, and where.
    pub(super) rows: &'static [(&'static str, Source)],
    /// Words of a cause by which it is the emulation's and not the machine's.
    pub(super) artefacts: &'static [&'static str],
}

/// Where numbers come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// An emulation: a machine of crates/machines, and the one beneath it.
    Emulated(&'static str, &'static str),
    /// A run: a column of docs/kernels.md.
    Ran(&'static str),
    /// A run: a virtual machine, and the one beneath it.
    Vm(&'static str, &'static str),
}

/// A virtual machine whose transcript is kept.
#[derive(Debug)]
pub(super) struct Vm {
    /// What it is called here.
    pub(super) name: &'static str,
    /// How it is made.
    pub(super) how: &'static str,
    /// Its transcript: what `inception run all --all --format jsonl` wrote there.
    pub(super) file: &'static str,
}

const STUDENT: &str = "Debian 13, student";
const DEBIAN: &str = "Debian 13, root";

/// All of them.
pub(super) const VMS: &[Vm] = &[
    Vm { name: STUDENT, how: "scripts/vm 13", file: "student.jsonl" },
    Vm { name: DEBIAN, how: "scripts/vm 13 --user root", file: "root.jsonl" },
    Vm {
        name: "Debian 13 without memory, root",
        how: "scripts/vm 13 --boot cgroup_disable=memory --user root",
        file: "memory-root.jsonl",
    },
    Vm {
        name: "Debian 13 of a university",
        how: "scripts/vm 13, with user.max_user_namespaces=0, hidepid=2 and setpriv --no-new-privs",
        file: "university.jsonl",
    },
];

use Source::{Emulated, Ran, Vm as InVm};

const USER: &str = "ordinary user";
const ROOT: &str = "plain";
/// A seccomp filter answers in place of the kernel that lacks something.
const FILTER: &str = "seccomp";

/// All of them, in the order of the index.
pub(super) const PAGES: &[Page] = &[
    Page {
        name: "debian",
        machine: "Debian 12 and 13",
        skipped: "what needs root or Docker",
        rows: &[
            ("Debian 13, a student", InVm(STUDENT, STUDENT)),
            ("the same, by systemd-run", Ran("6.12 uid 1000")),
            ("Debian 13, root", Ran("6.12 root")),
            ("Debian 12, by systemd-run", Ran("6.1 uid 1000")),
            ("Debian 12, root", Ran("6.1 root")),
        ],
        artefacts: &[],
    },
    Page {
        name: "wsl2",
        machine: "Windows: WSL2",
        skipped: "time namespaces",
        rows: &[
            ("ordinary user", Emulated("ordinary user, kernel without time namespaces", USER)),
            ("root", Emulated("kernel without time namespaces", ROOT)),
        ],
        artefacts: &[FILTER],
    },
    Page {
        name: "virtual-machine",
        machine: "Mac or Windows: a virtual machine",
        skipped: "as Debian 13",
        rows: &[("Debian 13, a student", InVm(STUDENT, STUDENT)), ("Debian 13, root", Ran("6.12 root"))],
        artefacts: &[],
    },
    Page {
        name: "ubuntu",
        machine: "Ubuntu 24.04",
        skipped: "without root, nearly all: AppArmor",
        rows: &[
            ("ordinary user, few capabilities", Emulated("AppArmor's restriction", USER)),
            ("ordinary user, no namespaces", Emulated("no user namespaces for users", USER)),
            ("root", Emulated("plain", ROOT)),
        ],
        artefacts: &[FILTER],
    },
    Page {
        name: "raspberry-pi",
        machine: "Raspberry Pi OS",
        skipped: "the memory controller",
        rows: &[("root", InVm("Debian 13 without memory, root", DEBIAN))],
        artefacts: &[],
    },
    Page {
        name: "fedora",
        machine: "Fedora",
        skipped: "not tried with SELinux",
        rows: &[("Debian 13, a student", InVm(STUDENT, STUDENT)), ("Linux 6.18, root", Ran("6.18 root"))],
        artefacts: &[],
    },
    Page {
        name: "alpine",
        machine: "Alpine",
        skipped: "`ip netns`; commands by hand",
        rows: &[
            ("ordinary user", Emulated("busybox alone, ordinary user", USER)),
            ("root", Emulated("busybox alone", ROOT)),
        ],
        artefacts: &[],
    },
    Page {
        name: "university",
        machine: "A host of a university",
        skipped: "nearly all: no user namespaces",
        rows: &[
            ("all but an old kernel", InVm("Debian 13 of a university", STUDENT)),
            ("an old kernel alone", Emulated("calls of Linux 4.18, ordinary user", USER)),
            ("no_new_privs alone", Emulated("ordinary user, no_new_privs", USER)),
            ("hidepid alone", Emulated("hidepid", USER)),
        ],
        artefacts: &[FILTER],
    },
    Page {
        name: "container",
        machine: "Inside a container",
        skipped: "nearly all: seccomp",
        rows: &[
            ("docker run", Emulated("docker run", ROOT)),
            ("the filter alone", Emulated("Docker's filter", ROOT)),
            ("a user namespace alone", Emulated("user namespace", ROOT)),
        ],
        artefacts: &[],
    },
];

/// The machines of which pages need a run, each with the one beneath it, once.
pub(super) fn compared() -> Vec<(&'static str, &'static str)> {
    let mut all = Vec::new();
    for (_, source) in PAGES.iter().flat_map(|page| page.rows) {
        if let Emulated(machine, beneath) | InVm(machine, beneath) = *source {
            if !all.contains(&(machine, beneath)) {
                all.push((machine, beneath));
            }
        }
    }
    all
}
