//! The command line of `mini-container run`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{ArgMatches, Args, Command, FromArgMatches};
use lesson::{Help, complain};
use ns_core::{Signal, cleanup, host, process, signals};

use super::asked::Asked;
use super::order::Order;
use super::refusal::explain_all;
use super::{elsewhere, launcher, programs};

/// The exit status of every program here that is misused.
const MISUSED: u8 = 2;
/// The exit status of runtimes when the container could not be created, so that no command has run.
const NOT_MADE: u8 = 125;

const HELP: Help = Help {
    name: "mini-container run",
    about: "run a command in a container, whose changes are gone when it ends",
    examples: &[
        ("mini-container run sh", "with this machine's programs"),
        ("mini-container run rootfs sh", "in a directory"),
        ("mini-container run image.tar bash", "in an archive or image"),
        ("mini-container run -m 64M --pids-max 20 sh", "with limits"),
        ("mini-container run -v ./data:/data:ro sh", "with a directory of the host"),
        ("mini-container run --user auto image.tar sh", "with several users"),
        ("scripts/rootfs busybox rootfs", "create a root filesystem"),
    ],
    after: "Exit status: that of the command, or 128 + N if signal N ended it. 2: the command\n\
            line makes no sense. 125: the container could not be created, or its output\n\
            could not be written. 126: the command cannot be run. 127: it was not found.",
};

/// The long description, as in a manual page.
const DESCRIPTION: &str = "\
    Runs COMMAND in new namespaces of all eight kinds, or fewer if the kernel lacks time or cgroup namespaces. It has its \
    own root filesystem, few capabilities and a seccomp filter. An ordinary user can run it too. \
    The command gets standard input, output and error as they are if they are pipes. A terminal is replaced by a new \
    one, and a file by a pipe. What the command writes to its files stays in memory, and is gone when the container \
    ends. \
    The first word is ROOTFS if it has a /, or if it is the name of a file or directory here. Otherwise there is no \
    ROOTFS, and one is made in memory of this machine's programs: of busybox, if a static one is there and has COMMAND, \
    else of /usr. After --, all words are COMMAND. \
    ROOTFS is a directory, which does not change; a tar archive; or an image. An image is what docker-save(1) writes, or \
    an OCI layout as a directory or an archive, as skopeo(1) and podman-save(1) write it. Archives and layers may be \
    compressed by gzip(1) or zstd(1). They are unpacked into memory. An archive is refused if it needs more memory than \
    there is, or if it is damaged; the digests of layers are compared. It is also refused if a name leads out of it. \
    Devices in it are left out. \
    Of an image's configuration, the variables (Env) and the working directory (WorkingDir) are used. Entrypoint and Cmd \
    are not, since COMMAND is given, nor is User: COMMAND starts as the container's root. \
    A SOURCE of --bind is shown with its mounts, without set-user-ID programs and devices. Its files keep their owners; an \
    owner who has no ID in the container is nobody there.";

/// The command line.
pub(crate) fn command() -> Command {
    let usage = "mini-container run [OPTIONS] [ROOTFS] COMMAND [ARGUMENT]...";
    HELP.lead(
        Asked::augment_args(Command::new("run").visible_alias("shell"))
            .long_about(DESCRIPTION)
            .override_usage(usage),
    )
}

/// Runs the container that this process's arguments ask for.
pub(crate) fn main() -> ExitCode {
    let top = Help { name: "mini-container", ..HELP };
    let command = Command::new("mini-container").subcommand_required(true).subcommand(command());
    let matches = match top.parse_knowing(command, elsewhere::explained) {
        Ok(matches) => matches,
        Err(status) => return ExitCode::from(status),
    };
    let failed = |status| move |error| (status, error);
    let ended = prepare()
        .map_err(failed(NOT_MADE))
        .and_then(|()| order(&matches).map_err(failed(MISUSED)))
        .and_then(|order| launcher::run(&order).map_err(failed(NOT_MADE)));
    // What the container leaves, such as its cgroup, is removed before this process ends.
    let finished = cleanup::finish().map_err(|error| (NOT_MADE, error.into()));
    let ended = ended.and_then(|status| finished.map(|()| status));
    let status = ended.unwrap_or_else(|(status, error): (u8, anyhow::Error)| {
        complain("mini-container", &error);
        status
    });
    process::exit_now(status.into())
}

fn prepare() -> Result<()> {
    // With a limit of 0 on the size of files, writing the copy then fails with EFBIG instead of SIGXFSZ.
    signals::block(&[Signal::SIGXFSZ])?;
    programs::prepare().map_err(explain_all)?;
    signals::start_afresh()?;
    Ok(host::require_procfs()?)
}

fn order(matches: &ArgMatches) -> Result<Order> {
    let (_, matches) = matches.subcommand().context("say what to run")?;
    Order::of(Asked::from_arg_matches(matches)?)
}
