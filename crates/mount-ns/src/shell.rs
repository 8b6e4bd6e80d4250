//! `mount-ns shell`: a shell in a mount namespace, beside the one that it is a copy of.

use std::str::FromStr;

use anyhow::Result;
use lesson::shell::{Change, Options, Plan, Shell};
use ns_core::Namespaces;
use ns_core::mount::Propagation;

pub(crate) const SHELL: Shell = Shell::of::<Mounts>(
    "mount-ns shell",
    "a shell in a new mount namespace; its parent process is in the one that it is a copy of",
    &[
        ("mount-ns shell", "private: no mount spreads"),
        ("mount-ns shell --propagation slave", "mounts spread from the original, and not back"),
        ("mount-ns shell -- findmnt /", "a command there"),
        ("mount-ns shell --propagation shared --by-hand", "the same by unshare(1) and mount(8)"),
    ],
);

#[derive(Debug, clap::Args)]
struct Mounts {
    /// How mounts spread between the original and this copy: private, slave or shared. The machine is a third
    #[arg(long, value_name = "WORD", default_value = "private")]
    propagation: Word,
}

#[derive(Debug, Clone)]
struct Word(Propagation);

impl FromStr for Word {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Word, &'static str> {
        let all = [Propagation::Private, Propagation::Slave, Propagation::Shared];
        let found = all.into_iter().find(|it| it.word() == text);
        found.map(Word).ok_or("give private, slave or shared")
    }
}

impl Options for Mounts {
    fn plan(&self) -> Result<Plan> {
        let Word(propagation) = self.propagation;
        let (to, from) = match propagation {
            Propagation::Shared => (1, 1),
            Propagation::Slave => (0, 1),
            _ => (0, 0),
        };
        Ok(Plan::created(Namespaces::MNT)
            .change(Change::SharedMounts)
            .change(Change::OwnMounts(propagation))
            .try_it(
                "mount -t tmpfs none /mnt; grep -c ' /mnt ' /proc/$PPID/mountinfo",
                format!("{to}: a mount here spreads so often to the original, where the parent is"),
                to.to_string(),
            )
            .try_it(
                "nsenter -t $PPID -m mount -t tmpfs none /srv; grep -c ' /srv ' /proc/self/mountinfo",
                format!("{from}: a mount there spreads so often to here"),
                from.to_string(),
            )
            .try_it("findmnt -no PROPAGATION /", "what this mount is to others", propagation.word()))
    }
}
