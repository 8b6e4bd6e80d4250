//! What a command line asks of a map: the options that programs of the map have alike.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use ns_core::{Kind, NsId};

use crate::filter::Filter;
use crate::forest::Forest;
use crate::model::{Map, Namespace};
use crate::of_process::of_process;
use crate::survey::Survey;

/// What to look at, and what to show of it.
#[derive(Debug, Clone, Args)]
pub struct Asked {
    /// A row for each namespace, with its inode number
    #[arg(short, long)]
    pub list: bool,

    /// A tree of user namespaces with what they own, or of PID namespaces
    #[arg(short, long, value_name = "user|pid", num_args = 0..=1, default_missing_value = "user", value_parser = ["user", "pid"], conflicts_with = "list")]
    pub tree: Option<String>,

    /// Look at the descriptors of each process too: open namespaces, sockets, namespaces for children
    #[arg(long)]
    pub held: bool,

    /// Show the cgroup of each first process, and the strictest limits on the way up
    #[arg(short, long)]
    pub cgroups: bool,

    /// Show those that meet all conditions, such as 'kind=net members>1'
    #[arg(short, long, value_name = "CONDITIONS", default_value = "", hide_default_value = true)]
    pub filter: Filter,

    /// Show those that this process is in
    #[arg(short, long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Option<i32>,
}

impl Asked {
    /// The kind whose tree is asked for: user or PID.
    pub fn tree(&self) -> Option<Kind> {
        self.tree.as_ref().map(|kind| if kind == "pid" { Kind::Pid } else { Kind::User })
    }

    /// What to look at in the procfs at `proc`.
    pub fn survey(&self, proc: &Path) -> Survey {
        Survey { held: self.held, cgroups: self.cgroups, ..Survey::of(proc) }
    }

    /// What to show.
    ///
    /// # Errors
    /// Those of [`of_process`].
    pub fn choice(&self, proc: &Path) -> Result<Choice> {
        let of_process = self.pid.map(|pid| of_process(proc, pid)).transpose()?;
        Ok(Choice { filter: self.filter.clone(), of_process })
    }
}

/// Which namespaces are shown.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Those that meet these conditions.
    pub filter: Filter,
    /// Of these alone, if it is given.
    pub of_process: Option<Vec<NsId>>,
}

impl Choice {
    /// Whether `namespace` is shown.
    pub fn takes(&self, namespace: &Namespace) -> bool {
        let is_of_process = self.of_process.as_ref().is_none_or(|ids| ids.contains(&namespace.id));
        is_of_process && self.filter.takes(namespace)
    }

    /// Those that are shown.
    pub fn shown<'a>(&self, map: &'a Map) -> Vec<&'a Namespace> {
        map.namespaces.values().filter(|namespace| self.takes(namespace)).collect()
    }

    /// Their trees.
    pub fn forest<'a>(&self, map: &'a Map) -> Forest<'a> {
        if self.filter.is_empty() && self.of_process.is_none() {
            return Forest::of(map);
        }
        Forest::chosen(map, |namespace| self.takes(namespace))
    }
}
