//! Experiments that are not built yet, where cargo built this program: cargo builds them, so that `cargo run -- run 16`
//! is all that a clean checkout needs.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::unistd::geteuid;

/// A directory that cargo builds into, and what it builds from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    directory: PathBuf,
    /// As `cargo build --profile` takes it.
    profile: String,
    /// As `cargo build --target` takes it, if it was given.
    triple: Option<String>,
    /// Whether we may build there.
    is_ours: bool,
}

impl Target {
    /// The target directory that `program` stands in.
    pub(crate) fn around(program: &Path) -> Option<Target> {
        let profile = program.parent()?;
        let above = profile.parent()?;
        let (directory, triple) = match above.parent() {
            _ if is_target(above) => (above, None),
            Some(directory) if is_target(directory) => (directory, above.file_name().and_then(OsStr::to_str)),
            _ => return None,
        };
        let is_ours = fs::metadata(profile).is_ok_and(|it| it.uid() == geteuid().as_raw());
        let profile = match profile.file_name()?.to_str()? {
            "debug" => "dev",
            other => other,
        };
        Some(Target {
            directory: directory.into(),
            profile: profile.into(),
            triple: triple.map(Into::into),
            is_ours,
        })
    }

    /// The checkout that has `file`: the one that `cargo run` says, or the one around this directory.
    pub(crate) fn checkout(&self, file: &Path) -> Option<PathBuf> {
        let said = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let candidates =
            [said.as_deref().and_then(Path::parent).and_then(Path::parent), self.directory.parent()];
        let has_it = |checkout: &&Path| checkout.join(file).is_file();
        candidates.into_iter().flatten().find(has_it).map(Path::to_path_buf)
    }

    /// Has cargo build the programs called `names`, and says so in a line on standard error. Where there are no sources
    /// of them it does nothing, nor where the directory is another user's, who could not build there any more afterwards.
    ///
    /// # Errors
    /// When cargo cannot be started, or says on standard error why it fails.
    pub(crate) fn build(&self, names: &[&str]) -> Result<()> {
        let manifest = |name| Path::new("crates").join(name).join("Cargo.toml");
        let checkout = names.first().and_then(|name| self.checkout(&manifest(name)));
        let Some(checkout) = checkout.filter(|_| self.is_ours) else { return Ok(()) };
        let what = match names {
            [name] => (*name).to_string(),
            _ => format!("{} experiments", names.len()),
        };
        // Whoever closed standard error wants no such line.
        let _ = writeln!(std::io::stderr(), "inception: building {what}, once");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--profile", &self.profile]);
        cargo
            .arg("--manifest-path")
            .arg(checkout.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&self.directory);
        if let Some(triple) = &self.triple {
            cargo.args(["--target", triple]);
        }
        // Not by their packages: the libraries are taken then as `cargo build` and `cargo run` have them.
        for name in names {
            cargo.args(["--bin", name]);
        }
        let status = cargo.stdin(Stdio::null()).stdout(Stdio::null()).status();
        let status = status.with_context(|| format!("cannot build {what}: cargo"))?;
        ensure!(status.success(), "cannot build {what}: cargo build: {status}");
        Ok(())
    }
}

/// Whether cargo fills this directory: it says so if it made it, and keeps what it knows of rustc there in any case.
fn is_target(directory: &Path) -> bool {
    let tag = fs::read_to_string(directory.join("CACHEDIR.TAG"));
    tag.is_ok_and(|tag| tag.contains("created by cargo")) || directory.join(".rustc_info.json").is_file()
}
