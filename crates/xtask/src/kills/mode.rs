//! Who is killed, and when.

/// Who is killed, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    /// The program alone, at a moment of its life.
    Parent,
    /// One of those that it has started; the program has to come to an end by itself.
    Child,
    /// The program and its cleanup worker at once. What they leave, the next start removes.
    ParentAndWorker,
    /// All of its process group.
    Group,
    /// The program, at one of its own system calls.
    OwnCall,
    /// Any of its processes, at a system call; each at its own, so perhaps several.
    AnyCall,
}

impl Mode {
    pub(super) const ALL: [Mode; 6] =
        [Mode::Parent, Mode::Child, Mode::ParentAndWorker, Mode::Group, Mode::OwnCall, Mode::AnyCall];

    /// As it is written.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Mode::Parent => "parent",
            Mode::Child => "child",
            Mode::ParentAndWorker => "parent and worker",
            Mode::Group => "group",
            Mode::OwnCall => "own call",
            Mode::AnyCall => "any call",
        }
    }

    /// Whether strace has to find the moment.
    pub(super) const fn is_a_call(self) -> bool {
        matches!(self, Mode::OwnCall | Mode::AnyCall)
    }

    /// Whether the cleanup worker may be among the killed.
    pub(super) const fn spares_the_worker(self) -> bool {
        matches!(self, Mode::Parent | Mode::Group | Mode::OwnCall)
    }
}
