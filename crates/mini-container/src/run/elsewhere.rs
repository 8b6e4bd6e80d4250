//! Options of docker-run(1) that this program does not have: what each is there, and what stands in for it here.

/// The spellings of an option, what it does in Docker, and what to do here.
type Known = (&'static [&'static str], &'static str, &'static str);

const OPTIONS: &[Known] = &[
    (
        &["-d", "--detach"],
        "runs the container in the background",
        "the shell does that here: mini-container run … &",
    ),
    (
        &["-p", "--publish", "-P", "--publish-all"],
        "forwards a port of the host to the container",
        "nothing is forwarded here: with --net, the host reaches the container at its own address, which ip address \
         show eth0 prints in it",
    ),
    (
        &["--name"],
        "names the container for later commands",
        "no container is kept here: --hostname NAME is seen inside, and pgrep -f finds it",
    ),
    (
        &["--privileged"],
        "gives the container all capabilities and devices of the host",
        "no container gets them here: leave it out; mini-container explain shows what is open without an ingredient",
    ),
    (
        &["--cap-add"],
        "adds a capability",
        "a container here has Docker's fourteen and no others: leave it out; unshare -r gives all of them, in a user \
         namespace",
    ),
    (&["--cap-drop"], "drops a capability", "COMMAND can do that here: setpriv --bounding-set -NAME …"),
    (
        &["--entrypoint"],
        "replaces the image's first program",
        "COMMAND is the first program here: leave it out",
    ),
    (
        &["--mount"],
        "mounts a directory, a volume or memory",
        "for a directory, here: --bind SOURCE:TARGET[:ro]",
    ),
    (
        &["--tmpfs"],
        "mounts a filesystem in memory",
        "all that is not in a --bind is in memory here: leave it out",
    ),
    (
        &["--device"],
        "gives the container a device of the host",
        "a container here has null, zero, full, random, urandom and tty alone: leave it out",
    ),
    (&["--init"], "runs an init as PID 1", "PID 1 is always an init here: leave it out"),
    (&["--env-file"], "reads variables from a file", "here: mini-container run $(sed 's/^/-e /' FILE) …"),
    (
        &["--pid", "--ipc", "--uts", "--userns", "--cgroupns"],
        "lets the container share a namespace",
        "a container here has its own of each kind: leave it out; unshare(1) takes the kinds one by one",
    ),
    (
        &["--security-opt"],
        "changes the seccomp filter or the security module",
        "the filter is always active here: leave it out; mini-container explain shows what is open without it",
    ),
    (&["--ulimit"], "sets a resource limit", "here: prlimit --nofile=64 mini-container run …"),
    (&["--cpuset-cpus"], "selects the CPUs", "here: taskset -c 0 mini-container run …"),
    (
        &["--platform", "--pull"],
        "selects the image to pull",
        "no image is pulled here: docker pull IMAGE; docker save IMAGE > image.tar; mini-container run image.tar …",
    ),
    (
        &["--restart"],
        "starts the container again after its end",
        "here: until mini-container run …; do :; done",
    ),
    (
        &["--dns", "--add-host"],
        "writes /etc/resolv.conf or /etc/hosts",
        "here: --bind ./resolv.conf:/etc/resolv.conf:ro",
    ),
    (
        &["--label", "-l"],
        "labels the container for later commands",
        "no container is kept here: leave it out",
    ),
];

/// What `option` is in Docker and what stands in for it here, in one line; `None` for any other option.
pub(super) fn explained(option: &str) -> Option<String> {
    let (_, there, here) = OPTIONS.iter().find(|(names, ..)| names.contains(&option))?;
    Some(format!("{option} is Docker's, and {there}; {here}"))
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command};

    use super::super::asked::Asked;
    use super::*;

    #[test]
    fn none_of_them_is_an_option_here_too() {
        let mut command = Asked::augment_args(Command::new("run"));
        command.build();
        let taken: Vec<String> = command
            .get_arguments()
            .flat_map(|it| {
                let short = it.get_short_and_visible_aliases().unwrap_or_default();
                let long = it.get_long_and_visible_aliases().unwrap_or_default();
                let short = short.into_iter().map(|it| format!("-{it}"));
                short.chain(long.into_iter().map(|it| format!("--{it}"))).collect::<Vec<_>>()
            })
            .collect();
        assert!(taken.contains(&"--bind".into()), "{taken:?}");
        for (names, ..) in OPTIONS {
            assert!(!names.iter().any(|name| taken.contains(&(*name).into())), "{names:?} in {taken:?}");
        }
    }

    #[test]
    fn each_has_a_spelling_of_its_own() {
        let mut all: Vec<_> = OPTIONS.iter().flat_map(|(names, ..)| *names).collect();
        let before = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), before);
        assert!(explained("-p").is_some_and(|line| line.starts_with("-p is Docker's, and ")));
        assert_eq!(explained("--nosuch"), None);
    }
}
