//! What one types to do by hand what a step does, and what that prints.

use serde::{Deserialize, Serialize};

/// The commands of a step: one shell session, in that order.
///
/// In JSON the commands are a list of their own, as they have always been, and what is said of them another beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct Hands {
    /// What is typed.
    pub typed: Vec<Hand>,
    /// The step in whose shell they are typed, if the session was begun there.
    pub shell: Option<usize>,
}

/// A command, and what it prints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hand {
    /// A shell command.
    pub command: String,
    /// What is known of it.
    pub about: About,
}

/// What is known of a command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Whether root types it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub root: bool,
    /// The lines that it prints; `…` in a line is any text, a line `…` any lines, and an errno its message. None: that is
    /// not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prints: Option<Vec<String>>,
    /// Its exit status, where that is the point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// What it needs, and not every machine has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
}

/// What a command needs, and not every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// A cgroup v2 of one's own, with controllers or without.
    Cgroup,
    /// cgroup v2 alone, with its controllers.
    Controllers,
    /// A hierarchy of cgroup v1 with the controllers memory and pids.
    V1,
    /// systemd as init.
    Systemd,
    /// A machine to throw away.
    ThrowAway,
    /// x86-64, by whose numbers a system call is made.
    X86,
    /// Docker's engine.
    Docker,
    /// Every capability that the kernel knows, in the bounding set.
    Capabilities,
    /// A kernel of this version or a later one.
    Kernel(u32, u32),
}

impl Need {
    /// What it is, to be said after `needs`.
    pub fn sentence(self) -> String {
        match self {
            Need::Cgroup => "a cgroup v2 that you may write to".into(),
            Need::Controllers => "cgroup v2 alone, with its controllers".into(),
            Need::V1 => "cgroup v1 with its controllers".into(),
            Need::Systemd => "systemd".into(),
            Need::ThrowAway => "a machine to throw away".into(),
            Need::X86 => "x86-64".into(),
            Need::Docker => "Docker's engine".into(),
            Need::Capabilities => "a root that lacks no capability".into(),
            Need::Kernel(major, minor) => format!("Linux {major}.{minor}"),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    by_hand: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hands: Vec<About>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shell: Option<usize>,
}

impl From<Wire> for Hands {
    fn from(wire: Wire) -> Hands {
        let mut about = wire.hands.into_iter();
        let hand = |command| Hand { command, about: about.next().unwrap_or_default() };
        Hands { typed: wire.by_hand.into_iter().map(hand).collect(), shell: wire.shell }
    }
}

impl From<Hands> for Wire {
    fn from(Hands { typed, shell }: Hands) -> Wire {
        let (by_hand, mut hands): (Vec<_>, Vec<_>) =
            typed.into_iter().map(|Hand { command, about }| (command, about)).unzip();
        if hands.iter().all(|about| *about == About::default()) {
            hands.clear();
        }
        Wire { by_hand, hands, shell }
    }
}

impl Hands {
    /// What all of them need: it is one session.
    pub fn needs(&self) -> Vec<Need> {
        let mut needs: Vec<Need> = self.typed.iter().flat_map(|hand| &hand.about.needs).copied().collect();
        needs.sort();
        needs.dedup();
        needs
    }
}

impl<T: Into<String>> FromIterator<T> for Hands {
    /// Commands of which nothing else is known.
    fn from_iter<I: IntoIterator<Item = T>>(commands: I) -> Hands {
        let hand = |command: T| Hand { command: command.into(), about: About::default() };
        Hands { typed: commands.into_iter().map(hand).collect(), shell: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_that_has_the_commands_alone_is_read() {
        let hands: Hands = serde_json::from_str(r#"{"by_hand":["id","true"]}"#).unwrap();
        assert_eq!(hands, ["id", "true"].into_iter().collect());
        assert_eq!(serde_json::to_string(&hands).unwrap(), r#"{"by_hand":["id","true"]}"#);
    }

    #[test]
    fn what_is_known_of_a_command_comes_back() {
        let about = About {
            root: true,
            prints: Some(vec!["0".into()]),
            status: Some(1),
            needs: vec![Need::Kernel(6, 8), Need::Controllers],
        };
        let typed = vec![Hand { command: "id -u".into(), about }, Hand::default()];
        let hands = Hands { typed, shell: Some(3) };
        let text = serde_json::to_string(&hands).unwrap();
        assert!(text.starts_with(r#"{"by_hand":["id -u",""],"hands":[{"root":true,"#), "{text}");
        assert_eq!(serde_json::from_str::<Hands>(&text).unwrap(), hands);
        assert_eq!(hands.needs(), [Need::Controllers, Need::Kernel(6, 8)]);
    }
}
