//! The words after the options: which of them is ROOTFS, and where COMMAND begins.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

/// The words as they are typed.
#[derive(Debug, Args)]
pub(crate) struct Words {
    /// The root filesystem: a directory, a tar archive, or an image (docker save, OCI). Its name has a /, or is that of a
    /// file here; without it, one is made of this machine's programs. Then the command to run in the container, and its
    /// arguments; -- may stand before it
    #[arg(value_names = ["ROOTFS", "COMMAND"], num_args = 0.., trailing_var_arg = true)]
    words: Vec<OsString>,
}

impl Words {
    /// ROOTFS, if one is given, and COMMAND with its arguments, of which there is at least one word. `typed` are all
    /// arguments, in which clap does not tell where `--` stands.
    ///
    /// # Errors
    /// One line, if there is no COMMAND.
    pub(super) fn divided(&self, typed: &[OsString]) -> Result<(Option<PathBuf>, Vec<OsString>)> {
        let behind = typed.iter().position(|it| it == "--").map(|at| typed.len() - at - 1);
        let are_command = behind == Some(self.words.len());
        let (rootfs, command) = match self.words.split_first() {
            Some((first, rest)) if !are_command && is_rootfs(first) => {
                // clap leaves out a `--` only where it is before all words.
                let rest = rest.strip_prefix(&["--".into()]).unwrap_or(rest);
                (Some(PathBuf::from(first)), rest)
            }
            _ => (None, self.words.as_slice()),
        };
        // `mini-container shell` is `run`, with a command that goes without saying.
        let is_shell = typed.get(1).is_some_and(|word| word == "shell");
        match (&rootfs, command) {
            (_, []) if is_shell => Ok((rootfs, vec!["sh".into()])),
            (Some(rootfs), []) => bail!(
                "COMMAND is missing after ROOTFS {0}; give one: mini-container run {0} sh; if that is the command: \
                 mini-container run -- {0}",
                rootfs.display()
            ),
            (None, []) => bail!("COMMAND is missing; give one: mini-container run sh"),
            (_, [_, ..]) => Ok((rootfs, command.to_vec())),
        }
    }
}

/// Whether the first word is ROOTFS, and not a command: a name with a `/`, as in a shell; or one that a file or directory
/// has here. An empty word is no command.
fn is_rootfs(word: &OsStr) -> bool {
    word.is_empty() || word.as_bytes().contains(&b'/') || Path::new(word).exists()
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;

    fn divided(line: &str) -> Result<(Option<PathBuf>, Vec<OsString>)> {
        let typed: Vec<_> = ["run"].into_iter().chain(line.split_whitespace()).map(OsString::from).collect();
        let matches = Words::augment_args(Command::new("run")).try_get_matches_from(&typed)?;
        Words::from_arg_matches(&matches)?.divided(&typed)
    }

    #[test]
    fn the_first_word_is_rootfs_if_it_is_a_path_or_a_file_here() {
        // Tests run in the directory of the crate, which has `src` and `Cargo.toml`.
        for (line, rootfs, command) in [
            ("sh", None, "sh"),
            ("sh -c x", None, "sh -c x"),
            ("sh -- x", None, "sh -- x"),
            ("-- sh", None, "sh"),
            ("-- src", None, "src"),
            ("-- /bin/sh -e", None, "/bin/sh -e"),
            ("-- -x", None, "-x"),
            ("src sh", Some("src"), "sh"),
            ("src -- sh -c x", Some("src"), "sh -c x"),
            ("src -- -- x", Some("src"), "-- x"),
            ("Cargo.toml sh", Some("Cargo.toml"), "sh"),
            ("./nosuch sh --help", Some("./nosuch"), "sh --help"),
            ("/bin/sh -c x", Some("/bin/sh"), "-c x"),
        ] {
            let (found, words) = divided(line).unwrap();
            assert_eq!(found.as_deref(), rootfs.map(Path::new), "{line}");
            assert_eq!(words, command.split(' ').map(OsString::from).collect::<Vec<_>>(), "{line}");
        }
        for (line, word) in [("", "run sh"), ("src", "ROOTFS src"), ("src --", "-- src"), ("--", "run sh")] {
            let error = divided(line).unwrap_err().to_string();
            assert!(error.contains("COMMAND is missing") && error.contains(word), "{line}: {error}");
        }
    }
}
