//! What the experiment requires of an engine.

use std::io::Read;
use std::path::{Path, PathBuf};

use ns_core::probe::Unmet;

use crate::client::{ABSENT, PATIENCE, docker};

/// What is missing to use an engine: `None` if nothing is.
pub(crate) fn engine() -> ns_core::Result<Option<Unmet>> {
    let lab = "sudo scripts/docker-lab run docker-view, or install docker.io and start it";
    let answer = match docker(&["version", "--format", "{{.Server.Version}}"]) {
        Ok(answer) => answer,
        Err(error) if error.to_string() == ABSENT => {
            return Ok(Some(Unmet::new(format!("a Docker engine: {ABSENT}"), lab)));
        }
        Err(_) => {
            let silent = format!("a Docker engine that answers: nothing within {} s", PATIENCE.as_secs());
            return Ok(Some(Unmet::new(silent, lab)));
        }
    };
    if answer.status != 0 {
        let refused = answer.stderr.contains("permission denied");
        return Ok(Some(if refused {
            Unmet::new("permission to use the Docker engine", "run as root: sudo docker-view")
        } else {
            Unmet::new("a Docker engine that answers", lab)
        }));
    }
    let info =
        docker(&["info", "--format", "{{.SecurityOptions}}"]).map(|ran| ran.stdout).unwrap_or_default();
    // Both give every container a user namespace, and refuse options that this experiment uses.
    if let Some(option) = ["userns", "rootless"].into_iter().find(|it| info.contains(&format!("name={it}"))) {
        return Ok(Some(Unmet::new(
            format!("an engine with default settings: this one has {option} on"),
            lab,
        )));
    }
    // Before version 24, an engine on a kernel with AppArmor runs this program, and needs it for every container.
    let major = answer.stdout.split('.').next().and_then(|major| major.trim().parse().ok());
    if info.contains("name=apparmor") && major.is_none_or(|major: u32| major < 24) && !has("apparmor_parser")
    {
        return Ok(Some(Unmet::new(
            "apparmor_parser, which this engine needs to start a container",
            "apt-get install apparmor",
        )));
    }
    Ok(busybox().is_none().then(|| {
        Unmet::new("a busybox without shared libraries, for an image", "apt-get install busybox-static")
    }))
}

/// Whether a program of the system is there; an ordinary search path may lack /usr/sbin.
fn has(program: &str) -> bool {
    ["/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin"]
        .iter()
        .any(|directory| Path::new(directory).join(program).is_file())
}

/// A busybox that is linked statically: one file with every command.
pub(crate) fn busybox() -> Option<PathBuf> {
    let candidates = ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static"].map(PathBuf::from);
    // A program that needs a loader names it in its first page (elf(5), PT_INTERP).
    let is_static = |path: &PathBuf| {
        let mut head = Vec::new();
        let file = std::fs::File::open(path).ok();
        let read = file.and_then(|file| file.take(4096).read_to_end(&mut head).ok());
        read.is_some()
            && head.starts_with(b"\x7fELF")
            && !head.windows(7).any(|word| word == b"ld-linu" || word == b"ld-musl")
    };
    candidates.into_iter().find(is_static)
}
