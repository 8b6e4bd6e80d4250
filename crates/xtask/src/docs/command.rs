//! The command line.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use lesson::Help;

use super::refresh::{Mode, refresh, take};
use super::self_test;
use crate::console::Console;
use crate::project::Project;

pub(crate) const HELP: Help = Help {
    name: "cargo xtask docs",
    about: "refresh what documents quote from the experiments",
    examples: &[
        ("cargo xtask docs", "refresh all"),
        ("cargo xtask docs uts-demo", "refresh one"),
        (
            "cargo xtask docs --here uts-demo",
            "make its runs on this machine, though they were made on another kind",
        ),
        (
            "cargo xtask docs --check",
            "compare, change nothing; exit 1 and show the difference if one is stale",
        ),
        (
            "cargo xtask docs --take target/vm/13/screens",
            "put the screens of another machine into the docs: of cgroup v2 alone, by scripts/test-vm --long",
        ),
        ("cargo xtask docs --self-test", "change a character in copies, and see that --check notices"),
    ],
    after: "A document quotes between markers. In docs/NN-NAME.md:\n\
\x20 <!-- screen of CONDITIONS, sum SUM: written by cargo xtask docs -->        NAME --stable\n\
In docs/reference/NN-NAME.md:\n\
\x20 <!-- claims: written by cargo xtask docs -->                               NAME --list-claims\n\
\x20 <!-- transcript of CONDITIONS, sum SUM: written by cargo xtask docs -->    NAME --all --stable\n\
And each ends with:\n\
\x20 <!-- end -->\n\
CONDITIONS are the kernel, the privilege, and the cgroups, such as 'kernel\n\
6.18, root, hybrid, cgroup paths: 2'. Where they end with an engine, such as\n\
', Docker 20.10', the run is one in scripts/docker-lab, with an engine of that\n\
version. Elsewhere a run may rightly read otherwise: it is then left as it is,\n\
and a line says so. SUM, which is cksum(1)'s, says whether it is as it was\n\
written. 'screen' or 'transcript' alone is filled in on whatever machine this\n\
is. The claims are the same everywhere, and always compared.\n\
\n\
A figure that a document shows, figures/NN-NAME-NUMBER.svg, is one that\n\
`inception report NAME --stable --pictures` draws. It belongs to the run: it\n\
is drawn on the same CONDITIONS, and SUM is that of both.\n\
\n\
Exit status: 0 refreshed, or as it should be; 1 stale, or a run was not as\n\
expected; 2 misused or broken.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct Docs {
    /// The experiments whose documents are meant [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Compare, and change nothing
    #[arg(long, conflicts_with_all = ["here", "self_test"])]
    check: bool,
    /// Make runs on this machine, whatever machine they were made on
    #[arg(long, conflicts_with = "self_test")]
    here: bool,
    /// Put the screens in this directory, which another machine made, into the docs
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["names", "check", "here", "self_test"])]
    take: Option<PathBuf>,
    /// See that --check notices a changed character
    #[arg(long, conflicts_with_all = ["names", "folder"])]
    self_test: bool,
    /// Where the documents are
    #[arg(long = "in", value_name = "DIRECTORY", default_value = "docs")]
    folder: PathBuf,
}

impl Docs {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        if self.self_test {
            return self_test::run(project, console);
        }
        let mode = match (self.check, self.here) {
            (true, _) => Mode::Check,
            (_, true) => Mode::Here,
            _ => Mode::Refresh,
        };
        let folder = if self.folder == Path::new("docs") {
            project.root.join("docs")
        } else {
            std::path::absolute(&self.folder)?
        };
        ensure!(folder.is_dir(), "--in takes a directory; try --help");
        if let Some(screens) = &self.take {
            return take(console, &folder, &std::path::absolute(screens)?);
        }
        refresh(project, console, mode, &folder, &self.names)
    }
}
