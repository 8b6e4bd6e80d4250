//! What a program is to be in, as data.

use nix::unistd::{getegid, geteuid};
use ns_core::cgroup::CgroupName;
use ns_core::idmap::{Extent, IdMaps};
use ns_core::{Capability, Kind, Namespaces, Result, Signal, process, sandbox};

use crate::change::Change;
use crate::limits::Limits;
use crate::maps::{Maps, Setgroups};
use crate::target::Target;

/// Something to try, and what to expect of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// What to type.
    pub command: String,
    /// What to expect, in words.
    pub expect: String,
    /// What a line of the output has in it, wherever the command is typed.
    pub shows: String,
}

/// Who the person is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Identity {
    /// The root of a user namespace, if one is created; it is where privilege is missing. Else as outside.
    #[default]
    AsNeeded,
    /// In a new user namespace in any case, with these maps.
    Mapped(Maps),
}

/// What a program is to be in.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub(crate) created: Namespaces,
    pub(crate) identity: Identity,
    pub(crate) into: Option<Target>,
    pub(crate) changes: Vec<Change>,
    pub(crate) limits: Option<(CgroupName, Limits)>,
    pub(crate) depth: u32,
    pub(crate) handles: Vec<Signal>,
    pub(crate) tries: Vec<Try>,
}

impl Plan {
    /// In new namespaces of these kinds. A PID namespace has an init, and a procfs of its own in a mount namespace.
    #[must_use]
    pub fn created(namespaces: Namespaces) -> Plan {
        let with_proc = if namespaces.contains(Namespaces::PID) { Namespaces::MNT } else { Namespaces::NONE };
        let depth = u32::from(namespaces.contains(Namespaces::PID));
        Plan { created: namespaces | with_proc, depth, ..Plan::default() }
    }

    /// In the namespaces of a process.
    #[must_use]
    pub fn entered(target: Target) -> Plan {
        Plan { into: Some(target), ..Plan::default() }
    }

    /// In new namespaces of these kinds too.
    #[must_use]
    pub fn and_created(mut self, namespaces: Namespaces) -> Plan {
        self.created |= namespaces;
        self
    }

    /// With this change too, after those before it.
    #[must_use]
    pub fn change(mut self, change: Change) -> Plan {
        self.changes.push(change);
        self
    }

    /// In a user namespace of its own, with these maps: each `None` maps the caller's own ID to 0.
    #[must_use]
    pub fn mapped(mut self, users: &[Extent], groups: &[Extent], setgroups: Option<Setgroups>) -> Plan {
        self.created |= Namespaces::USER;
        self.identity = Identity::Mapped(Maps::new(users, groups, setgroups));
        self
    }

    /// In a cgroup with these limits, whose name ends with `name`.
    #[must_use]
    pub fn limited(mut self, name: CgroupName, limits: Limits) -> Plan {
        self.limits = Some((name, limits));
        self
    }

    /// In so many PID namespaces, each in the one before.
    #[must_use]
    pub fn nested(mut self, depth: u32) -> Plan {
        self.depth = depth;
        self
    }

    /// With an init that handles these signals.
    #[must_use]
    pub fn handling(mut self, signals: &[Signal]) -> Plan {
        self.handles = signals.to_vec();
        self
    }

    /// With this to try, and what to expect. A line of its output has `shows` in it.
    #[must_use]
    pub fn try_it(
        mut self,
        command: impl Into<String>,
        expect: impl Into<String>,
        shows: impl Into<String>,
    ) -> Plan {
        self.tries.push(Try { command: command.into(), expect: expect.into(), shows: shows.into() });
        self
    }

    /// What there is to try.
    pub fn tries(&self) -> &[Try] {
        &self.tries
    }

    /// Whether it has a cgroup of its own.
    pub fn has_cgroup(&self) -> bool {
        self.limits.is_some()
    }

    /// The process whose namespaces are entered.
    pub fn target(&self) -> Option<&Target> {
        self.into.as_ref()
    }

    /// The namespaces that are created for this caller. A user namespace is added where privilege is missing.
    pub fn namespaces(&self) -> Namespaces {
        match &self.into {
            Some(_) => self.created,
            None if self.created.is_empty() && self.changes.iter().any(Change::needs_privilege) => {
                let is_privileged = process::is_capable(Capability::CAP_SYS_ADMIN);
                if is_privileged { Namespaces::NONE } else { Namespaces::USER }
            }
            None => sandbox::needed(self.created),
        }
    }

    /// The maps of the user namespace that is created, if one is.
    pub(crate) fn maps(&self) -> Result<Option<IdMaps>> {
        match &self.identity {
            Identity::Mapped(maps) => maps.ids().map(Some),
            Identity::AsNeeded if self.namespaces().contains(Namespaces::USER) => {
                Ok(Some(IdMaps::own(0, geteuid().as_raw(), getegid().as_raw())))
            }
            Identity::AsNeeded => Ok(None),
        }
    }

    /// Whether user 0 is to be become there: it is mapped to another than the caller.
    pub(crate) fn becomes_root(&self) -> bool {
        matches!(&self.identity, Identity::Mapped(maps) if maps.has_another_root())
    }

    /// Who the person is there, in a sentence.
    pub fn who(&self) -> String {
        let uid = geteuid().as_raw();
        match &self.identity {
            Identity::Mapped(maps) => maps.who(),
            _ if self.into.is_some() && self.namespaces_entered().contains(Namespaces::USER) => {
                "You are there who the user namespace says; outside you stay who you are.".into()
            }
            _ if self.namespaces().contains(Namespaces::USER) => {
                format!("You are root in a new user namespace; outside you are user {uid}.")
            }
            _ if uid == 0 => "You are root, as outside.".into(),
            _ => format!("You are user {uid}, as outside."),
        }
    }

    /// The namespaces of another that are entered.
    pub fn namespaces_entered(&self) -> Namespaces {
        self.into.as_ref().map_or(Namespaces::NONE, Target::namespaces)
    }

    /// Where it is, in a few words: `new UTS and user namespaces`.
    pub fn place(&self) -> String {
        let words = |kinds: Namespaces| kinds.kinds().map(Kind::link).collect::<Vec<_>>().join(" ");
        let created = self.namespaces();
        let mut parts = Vec::new();
        if let Some(target) = &self.into {
            let kinds = self.namespaces_entered();
            let kinds = if kinds.is_empty() { "none that is not yours".into() } else { words(kinds) };
            parts.push(format!("the namespaces of {target}: {kinds}"));
        }
        if !created.is_empty() {
            parts.push(format!("new namespaces: {}", words(created)));
        }
        if self.limits.is_some() {
            parts.push("a new cgroup".into());
        }
        if parts.is_empty() { "your own namespaces".into() } else { parts.join("; ") }
    }
}
