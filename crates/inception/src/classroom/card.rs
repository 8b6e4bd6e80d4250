//! What is said before a shell opens: where it is, and three commands to try there.

use lesson::render::Layout;
use ns_core::{Kind, Namespaces, printable, probe};

/// A command, and what to expect of it.
type Try = (&'static str, &'static str);

/// How many are shown.
const TRIES: usize = 3;

const PID: &[Try] = &[
    ("ps ax", "the processes of this PID namespace, and no others"),
    ("kill -KILL 1; ps ax", "PID 1 is still there: its own namespace cannot kill it"),
    ("echo $$", "the PID of this shell, in here"),
];
/// Where there is no ps(1).
const PID_BY_PROC: Try = ("ls -d /proc/[0-9]*", "the processes of this PID namespace, and no others");
const NET: &[Try] = &[
    ("cat /proc/net/dev", "the devices of this network namespace: a new one has lo alone"),
    ("ip -br addr", "their state and addresses: a new lo is DOWN, and has none"),
    ("cat /proc/net/tcp", "its own sockets; nothing of the host listens here"),
];
const UTS: &[Try] = &[
    ("hostname tried; hostname", "tried; the host keeps its name: ask it on another terminal"),
    ("uname -n", "the same name, by uname(2)"),
    ("cat /proc/sys/kernel/hostname", "the same name, by a file"),
];
const USER: &[Try] = &[
    ("cat /proc/self/uid_map", "which user IDs in here are which outside"),
    ("id", "who you are in here; what is not mapped reads as 65534"),
    ("grep CapEff /proc/self/status", "every capability, over what this namespace owns"),
];
const MOUNT: &[Try] = &[
    ("mount -t tmpfs none /mnt; ls -a /mnt", "empty in here; the host's /mnt stays as it is"),
    ("tail -n 3 /proc/self/mountinfo", "the latest mounts of this mount namespace"),
    ("umount /mnt; ls -a /mnt", "what was there before"),
];
const IPC: &[Try] = &[
    ("ipcmk -Q; ipcs -q", "a queue that nobody outside sees; the first ID in a new namespace is 0"),
    ("ipcs -m", "no segment of the host's"),
    ("cat /proc/sys/kernel/msgmax", "a limit of this namespace alone"),
];
const TIME: &[Try] = &[
    ("cat /proc/self/timens_offsets", "what is added to the clocks in here"),
    ("cat /proc/uptime", "seconds since boot, by the clock in here"),
    ("date", "as outside: no namespace has its own wall clock"),
];
const CGROUP: &[Try] = &[
    ("cat /proc/self/cgroup", "paths that begin at the root of this cgroup namespace"),
    ("readlink /proc/self/ns/cgroup", "its inode; outside it is another"),
    ("cat /proc/$PPID/cgroup", "the same way, of a neighbour"),
];

/// What a shell will be in.
#[derive(Debug)]
pub(super) struct Card {
    /// Whose namespaces they are, and how they can be told from others.
    pub(super) who: String,
    /// Those that are not the terminal's own.
    pub(super) namespaces: Namespaces,
    /// Those of them that are not the experiment's either.
    pub(super) own: Namespaces,
    /// Commands that only its cgroup gives a reason for.
    pub(super) limits: Vec<(String, String)>,
    /// What could not be had, each with the refused call.
    pub(super) lacks: Vec<String>,
}

impl Card {
    /// As text.
    pub(super) fn set(&self, layout: Layout) -> String {
        let words = |kinds: &mut dyn Iterator<Item = Kind>| {
            let kinds: Vec<_> = kinds.map(|kind| kind.to_string()).collect();
            if kinds.is_empty() { "none".into() } else { kinds.join(" ") }
        };
        let others = words(&mut self.namespaces.kinds());
        let yours = words(&mut Kind::ALL.into_iter().filter(|kind| !self.is_in(*kind)));
        let mut text = layout.wrap(
            &format!("A shell in {}. Not your namespaces: {others}. Yours: {yours}.", self.who),
            "   ",
            "   ",
        );
        if !self.limits.is_empty() {
            text += &layout.wrap("In its cgroup, whose directory is $CGROUP.", "   ", "   ");
        }
        for lack in &self.lacks {
            text += &layout.wrap(&printable(lack), "   ", "   ");
        }
        for (at, (command, expect)) in self.tries().iter().enumerate() {
            let head = if at == 0 { "   try  " } else { "        " };
            text += &layout.wrap(&format!("$ {command}"), head, "          ");
            text += &layout.wrap(expect, "          -> ", "             ");
        }
        text + &layout.wrap("The experiment waits. exit comes back to it.", "   ", "   ")
    }

    fn is_in(&self, kind: Kind) -> bool {
        self.namespaces.contains(Namespaces::only(kind))
    }

    /// What to try: of its cgroup first, then of the namespaces that the step made, then of the others; one of each
    /// before a second of any.
    fn tries(&self) -> Vec<(String, String)> {
        let of = |kind: Kind| -> Vec<_> {
            in_a(kind).iter().map(|(command, expect)| (command.to_string(), expect.to_string())).collect()
        };
        let is_own = |kind: &Kind| self.own.contains(Namespaces::only(*kind));
        let (own, others): (Vec<Kind>, Vec<Kind>) = self.namespaces.kinds().partition(is_own);
        let own = [self.limits.clone()].into_iter().chain(own.into_iter().map(of));
        in_turns(&own.collect::<Vec<_>>())
            .into_iter()
            .chain(in_turns(&others.into_iter().map(of).collect::<Vec<_>>()))
            .take(TRIES)
            .collect()
    }
}

/// The first of each list, then the second of each, and so on.
fn in_turns<T: Clone>(lists: &[Vec<T>]) -> Vec<T> {
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest).flat_map(|turn| lists.iter().filter_map(move |list| list.get(turn).cloned())).collect()
}

/// What can be tried in a namespace of a kind.
fn in_a(kind: Kind) -> Vec<Try> {
    let tries = match kind {
        Kind::Pid if probe::program("ps").is_some() => return vec![PID_BY_PROC, PID[2]],
        Kind::Pid => PID,
        Kind::Net => NET,
        Kind::Uts => UTS,
        Kind::User => USER,
        Kind::Mnt => MOUNT,
        Kind::Ipc => IPC,
        Kind::Time => TIME,
        Kind::Cgroup => CGROUP,
    };
    tries.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(namespaces: Namespaces, own: Namespaces) -> Card {
        let who = "the namespaces of init, PID 812".into();
        Card { who, namespaces, own, limits: Vec::new(), lacks: Vec::new() }
    }

    fn commands(card: &Card) -> Vec<String> {
        card.tries().into_iter().map(|(command, _)| command).collect()
    }

    #[test]
    fn three_commands_try_what_the_step_made_first() {
        let all = Namespaces::NET | Namespaces::UTS | Namespaces::MNT;
        let net: Vec<_> = NET.iter().map(|(command, _)| *command).collect();
        assert_eq!(commands(&card(all, Namespaces::NET)), net);
        let several = commands(&card(all, Namespaces::NET | Namespaces::UTS));
        assert_eq!(several.len(), 3);
        assert!(
            several.contains(&NET[0].0.to_string()) && several.contains(&UTS[0].0.to_string()),
            "{several:?}"
        );
        let limits = vec![("cat pids.max".to_string(), "4".to_string())];
        let limited = Card { limits, ..card(Namespaces::NONE, Namespaces::NONE) };
        assert_eq!(commands(&limited), ["cat pids.max"]);
    }

    #[test]
    fn a_card_is_a_few_lines_that_fit() {
        for width in [40, 60, 80, 100] {
            let all = Namespaces::NET | Namespaces::UTS | Namespaces::MNT | Namespaces::PID;
            let text = card(all, Namespaces::PID).set(Layout { width, plain: false });
            assert!(
                text.lines().count() < 20 && text.lines().all(|line| line.chars().count() <= width),
                "{text}"
            );
        }
    }
}
