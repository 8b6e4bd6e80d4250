//! Where the project is, what its experiments are called, and how its programs are run.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The programs that are no experiments.
pub(crate) const TOOLS: [&str; 4] = ["inception", "ns-map", "ns-map-live", "ns-trace"];

/// A checkout.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    /// Its directory.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
}

/// A file that belongs to an experiment by its name: `docs/11-pid-ns-init.md`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Numbered {
    /// As it stands in its name: `11`.
    pub(crate) number: String,
    /// The experiment's.
    pub(crate) name: String,
    /// `11-pid-ns-init.md`.
    pub(crate) file: String,
}

impl Project {
    /// The checkout that this program was built from.
    pub(crate) fn of_this_checkout() -> Project {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.ancestors().nth(2).unwrap_or(here).to_path_buf();
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let target = std::path::absolute(&target).unwrap_or(target);
        Project { root, target }
    }

    /// The text of one of its files.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(&self, path: &str) -> Result<String> {
        read(&self.root.join(path))
    }

    /// The files in `folder` that are called NN-NAME and end so, in their order.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub(crate) fn numbered(&self, folder: &str, ending: &str) -> Result<Vec<Numbered>> {
        numbered(&self.root.join(folder), ending)
    }

    /// The experiments: every crate that depends on `lesson`, less the driver, the tools, the
    /// promises and this program.
    ///
    /// # Errors
    /// When a manifest cannot be read.
    pub(crate) fn experiments(&self) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(self.root.join("crates")).context("cannot list crates/")? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let manifest = entry.path().join("Cargo.toml");
            if manifest.exists()
                && !TOOLS.contains(&name.as_str())
                && !["promises", "xtask"].contains(&name.as_str())
                && depends_on_lesson(&read(&manifest)?)
            {
                found.insert(name);
            }
        }
        Ok(found)
    }

    /// A command of this project, in its directory.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// What cargo built: a program by its name.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    /// What cargo built as a release: a program by its name.
    pub(crate) fn release(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    /// What a program of ours says on standard output, and its exit status.
    ///
    /// # Errors
    /// When it cannot be run, was killed, or says what is no text.
    pub(crate) fn ask(&self, name: &str, arguments: &[&str]) -> Result<(String, i32)> {
        let mut command = self.command(self.program(name));
        text_of(command.args(arguments), name)
    }

    /// Builds by cargo, which says itself what is wrong.
    ///
    /// # Errors
    /// When cargo fails.
    pub(crate) fn build(&self, arguments: &[&str]) -> Result<()> {
        let status = self
            .command("cargo")
            .args(["build", "--quiet", "--locked"])
            .args(arguments)
            .status()
            .context("cannot run cargo")?;
        ensure!(status.success(), "cargo could not build it");
        Ok(())
    }
}

/// What a command says on standard output, and its exit status. Its standard error is ours.
///
/// # Errors
/// When it cannot be run, was killed, or says what is no text.
pub(crate) fn text_of(command: &mut Command, name: &str) -> Result<(String, i32)> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {name}"))?;
    let status = output.status.code().with_context(|| format!("{name}: {}", output.status))?;
    let text = String::from_utf8(output.stdout).with_context(|| format!("{name} says what is no text"))?;
    Ok((text, status))
}

/// The text of a file.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The bytes of a file.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes in place, so that the file keeps its mode and its links.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The files in `folder` that are called NN-NAME and end so, in their order.
///
/// # Errors
/// When the folder cannot be listed.
pub(crate) fn numbered(folder: &Path, ending: &str) -> Result<Vec<Numbered>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        let digits = |it: &str| it.len() == 2 && it.bytes().all(|byte| byte.is_ascii_digit());
        let parts = file.strip_suffix(ending).and_then(|stem| stem.split_once('-'));
        if let Some((number, name)) = parts.filter(|(number, _)| digits(number)) {
            found.push(Numbered { number: number.into(), name: name.into(), file: file.clone() });
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a manifest has `lesson` among the dependencies that are not for tests alone.
fn depends_on_lesson(manifest: &str) -> bool {
    let mut inside = false;
    manifest.lines().any(|line| {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        }
        inside && line.strip_prefix("lesson").is_some_and(|rest| rest.starts_with([' ', '.', '=']))
    })
}

/// What a transcript depends on: the kernel, the privilege, how cgroups are mounted, and in how many different ones we
/// are. (A process in the root of every hierarchy cannot see what a cgroup namespace hides.)
///
/// # Errors
/// When /proc cannot be read.
pub(crate) fn conditions() -> Result<String> {
    let proc = |file: &str| read(Path::new("/proc").join(file).as_path());
    let user = if is_root() { "root" } else { "user" };
    describe(&proc("sys/kernel/osrelease")?, user, &proc("self/mounts")?, &proc("self/cgroup")?)
}

/// [`conditions`], from what the files of /proc say.
fn describe(release: &str, user: &str, mounts: &str, cgroups: &str) -> Result<String> {
    let mut numbers = release.trim().split('.');
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
        bail!("the kernel's release has no two numbers: {release}");
    };
    let mounted = |kind: &str| mounts.lines().any(|line| line.split(' ').nth(2) == Some(kind));
    let layout = match (mounted("cgroup"), mounted("cgroup2")) {
        (true, true) => "hybrid",
        (false, true) => "v2",
        (true, false) => "v1",
        (false, false) => "no cgroups",
    };
    let paths: BTreeSet<_> = cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2)).collect();
    Ok(format!("kernel {major}.{minor}, {user}, {layout}, cgroup paths: {}", paths.len()))
}

/// Whether we are root, as the kernel has it.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether a program is there; /usr/sbin too, where an ordinary user's PATH does not lead.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    directories.map(|directory| directory.join(program)).any(|file| {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(file).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_experiment_is_what_depends_on_lesson_outside_of_its_tests() {
        assert!(depends_on_lesson("[package]\n[dependencies]\nlesson.workspace = true\n"));
        assert!(depends_on_lesson("[dependencies]\nanyhow = \"1\"\nlesson = { workspace = true }\n"));
        assert!(!depends_on_lesson("[dependencies]\nlessons.workspace = true\n"));
        assert!(!depends_on_lesson("[dev-dependencies]\nlesson.workspace = true\n"));
    }

    #[test]
    fn conditions_are_those_that_a_transcript_depends_on() {
        let hybrid = "cgroup /a cgroup rw 0 0\ncgroup2 /b cgroup2 rw 0 0\n";
        let cgroups = "5:cpu:/x\n1:name=systemd:/y\n0::/x\n";
        let said = describe("6.18.44-cloud\n", "root", hybrid, cgroups).unwrap();
        assert_eq!(said, "kernel 6.18, root, hybrid, cgroup paths: 2");
        let said = describe("6.1.0\n", "user", "proc /proc proc rw 0 0\n", "0::/\n").unwrap();
        assert_eq!(said, "kernel 6.1, user, no cgroups, cgroup paths: 1");
        assert!(describe("linux\n", "user", "", "").is_err());
    }

    #[test]
    fn what_is_numbered_is_called_so() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["11-pid-ns-init.sh", "02-ns-lifetime.sh", "stage.sh", "1-one.sh", "07-ipc-ns.sh~"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let found = numbered(folder.path(), ".sh").unwrap();
        let found: Vec<_> = found.iter().map(|it| (it.number.as_str(), it.name.as_str())).collect();
        assert_eq!(found, [("02", "ns-lifetime"), ("11", "pid-ns-init")]);
    }
}
