//! Who may write which map: a grid of writes, and the file `setgroups`.
//!
//! A map is a small text in a language of its own, and the kernel takes it whole or not at all. EINVAL says that the
//! text is no map, EPERM that the writer may not map so.

use anyhow::Result;
use lesson::{Claim, Lab, Need, Picture, Step};
use nix::unistd::{Gid, SysconfVar, setgroups, sysconf};
use ns_core::error::Named;
use ns_core::{Capability, Child, Errno, Fact, Namespaces, Outcome, Value, Witness, idmap};

use crate::person::{self, Person};

const ROOT: &[Need] = &[Need::Capability(Capability::CAP_SETUID), Need::Capability(Capability::CAP_SETGID)];

pub(crate) const RULES: Claim = Claim::holds(
    "rules",
    "A map that breaks a rule is refused whole: EINVAL if it is no map, EPERM if the writer may not map so.",
)
.cause("a broken rule")
.notes(&[130, 131]);
pub(crate) const PRIVILEGED: Claim = Claim::holds(
    "privileged",
    "Only with CAP_SETUID outside may a writer map others' IDs, ranges, and several lines (up to 340).",
)
.cause("CAP_SETUID outside")
.notes(&[130])
.more(&[67])
.needs(ROOT);
pub(crate) const MUST_DENY: Claim = Claim::holds(
    "must-deny",
    "A writer without CAP_SETGID outside must write `deny` to setgroups before gid_map, or gets EPERM.",
)
.cause("setgroups at `allow`")
.notes(&[132]);
pub(crate) const ALWAYS_DENY: Claim = Claim::refuted(
    "always-deny",
    "Before gid_map is written, `deny` must be written to setgroups, whoever writes.",
    "must-deny",
)
.cause("setgroups at `allow`")
.notes(&[132])
.needs(ROOT)
.misconceptions(&[(lesson::YES, "every example writes it first, since an ordinary user has to")]);
pub(crate) const SETGROUPS: Claim = Claim::holds(
    "setgroups",
    "Where root mapped the groups and setgroups was not denied, setgroups(2) works inside.",
)
.cause("setgroups at `allow`")
.notes(&[132])
.needs(ROOT);
pub(crate) const FROZEN: Claim =
    Claim::holds("frozen", "Once gid_map is written, setgroups takes no `deny` any more: EPERM.")
        .cause("a written gid_map")
        .notes(&[132]);

/// What is told of a write to gid_map.
const WRITE: &str = "write(gid_map)";
/// What is counted in a grid.
const WRITES: &str = "writes";
const TAKEN: &str = "maps taken";
const SURPRISES: &str = "answers against the rules";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Write maps that follow the rules, and maps that each break one, for children in new user namespaces.",
        calls: &["clone3(CLONE_NEWUSER)", "write(\"/proc/PID/uid_map\", …)"],
        by_hand: &[
            "unshare --user sleep 9 &",
            "sleep 1; echo '0 0 0' > /proc/$!/uid_map  # EINVAL: a length of 0",
            "echo '0 1 1' > /proc/$!/uid_map  # EPERM for all but root: another's ID",
        ],
    })?;
    let user = Grid::of(Person::User)?;
    lab.table(
        "UID is the writer's own ID outside, OTHER another user's",
        &["uid_map gets", "which is", "from a user"],
        user.rows(|_| true, &[&user]),
    )?;
    lab.claim(RULES)
        .without(user.counts(|attempt| attempt.user == Outcome::Done))
        .with(user.counts(|attempt| attempt.user != Outcome::Done))
        .shows(|seen| {
            seen.outside(TAKEN).is_some_and(|it| *it == 0)
                && seen.outside(SURPRISES).is_some_and(|it| *it == 0)
        })?;

    if lab.can_ask(&[PRIVILEGED])? {
        lab.step(Step {
            goal: "Write all of them as root, who stays outside, and see which answers change.",
            calls: &["write(\"/proc/PID/uid_map\", …)"],
            by_hand: &["sudo sh -c 'unshare --user sleep 9 & sleep 1; echo \"0 1 65535\" > /proc/$!/uid_map; cat /proc/$!/uid_map'"],
        })?;
        let root = Grid::of(Person::Root)?;
        let changed = |attempt: &Attempt| attempt.user != attempt.root;
        lab.picture(
            Picture::Heat(2),
            "What the privilege changes",
            &["uid_map gets", "which is", "from a user", "from root"],
            user.rows(changed, &[&user, &root]),
        )?;
        let same = root
            .answers
            .iter()
            .zip(&user.answers)
            .filter(|(root, user)| root.outcome == user.outcome)
            .count();
        lab.saw(Fact::outside("writes with the same answer for both", same))?;
        lab.picture(Picture::Bands, "A map as container engines write it", &COLUMNS, two_ranges()?)?;
        lab.claim(PRIVILEGED).without(user.counts(changed)).with(root.counts(changed)).shows(|seen| {
            seen.outside(TAKEN) == seen.outside(WRITES) && seen.outside(SURPRISES).is_some_and(|it| *it == 0)
        })?;
    }

    let ids = person::ids();
    let own_group = format!("0 {} 1\n", ids.gid);
    lab.step(Step {
        goal: "Write gid_map from outside, as an ordinary user, with setgroups denied and with setgroups left alone.",
        calls: &["write(\"/proc/PID/setgroups\", \"deny\")", "write(\"/proc/PID/gid_map\", \"0 GID 1\")"],
        by_hand: &[
            "unshare --user sleep 9 &",
            "sleep 1; echo \"0 $(id -g) 1\" > /proc/$!/gid_map  # EPERM",
            "echo deny > /proc/$!/setgroups; echo \"0 $(id -g) 1\" > /proc/$!/gid_map",
        ],
    })?;
    lab.claim(MUST_DENY)
        .without(write_gid_map(Person::User, &own_group, true)?)
        .with(write_gid_map(Person::User, &own_group, false)?)
        .shows(|seen| seen.outside(WRITE).is_some_and(|it| *it == "EPERM"))?;

    if lab.can_ask(&[ALWAYS_DENY, SETGROUPS])? {
        lab.step(Step {
            goal: "Do the same as root, for six groups, with and without `deny`; then let the child set its groups.",
            calls: &["write(\"/proc/PID/gid_map\", \"0 1 6\")", "setgroups([0, 5])"],
            by_hand: &["sudo sh -c 'unshare --user sleep 9 & sleep 1; echo \"0 1 6\" > /proc/$!/gid_map; cat /proc/$!/setgroups'"],
        })?;
        let denied = write_gid_map(Person::Root, "0 1 6\n", true)?;
        let allowed = write_gid_map(Person::Root, "0 1 6\n", false)?;
        lab.claim(ALWAYS_DENY)
            .without(denied.clone())
            .with(allowed.clone())
            .shows(|seen| seen.outside(WRITE).is_some_and(|it| *it == "EPERM"))?;
        lab.claim(SETGROUPS)
            .without(denied)
            .with(allowed)
            .shows(|seen| seen.inside("setgroups([0, 5])").is_some_and(|it| *it == "OK"))?;
    }

    lab.step(Step {
        goal: "Write `deny` to setgroups twice, without and with a write to gid_map between.",
        calls: &["write(\"/proc/self/setgroups\", \"deny\")", "write(\"/proc/self/gid_map\", \"0 GID 1\")"],
        by_hand: &["unshare --user --map-root-user bash -c 'echo deny > /proc/self/setgroups'"],
    })?;
    lab.claim(FROZEN)
        .without(deny_again(&own_group, false)?)
        .with(deny_again(&own_group, true)?)
        .shows(|answer| *answer == "EPERM")?;
    Ok(())
}

/// What a map's lines say.
pub(crate) const COLUMNS: [&str; 4] = ["map", "inside", "outside", "how many"];

/// A row for each line of a map that was read.
pub(crate) fn lines(file: &str, map: &str) -> Vec<Vec<Value>> {
    let ids = person::ids();
    let row = |line: &str| -> Option<Vec<Value>> {
        let numbers: Vec<u32> = line.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let &[inside, outside, length] = numbers.as_slice() else { return None };
        let ours = outside == ids.uid || outside == ids.gid;
        let outside = if ours { person::id(outside) } else { outside.into() };
        Some(vec![file.into(), inside.into(), outside, length.into()])
    };
    map.split(", ").filter_map(row).collect()
}

/// A map of two ranges, as container engines write it for a user, read back.
fn two_ranges() -> Result<Vec<Vec<Value>>> {
    let text = fill_in("0 UID 1\n1 100000 65536\n");
    let mut parent = Person::Root.child("parent", Namespaces::NONE, move |me| {
        let inside = Child::spawn("inside", Namespaces::USER, Witness::stay)?;
        Outcome::of(idmap::write_uid_map(Some(inside.pid()), &text))?;
        me.saw("uid_map", idmap::read(Some(inside.pid()), "uid_map")?)
    })?;
    Ok(lines("uid_map", parent.hear()?.value.as_str().unwrap_or_default()))
}

fn write_gid_map(writer: Person, text: &str, denies: bool) -> Result<Vec<Fact>> {
    let text = text.to_string();
    let mut parent = writer.child("parent", Namespaces::NONE, move |me| {
        let inside = Child::spawn("inside", Namespaces::USER, |me| {
            me.pause()?;
            let groups = [Gid::from_raw(0), Gid::from_raw(5)];
            me.saw("setgroups([0, 5])", Outcome::of(setgroups(&groups).named(|| "setgroups([0, 5])".into()))?)
        })?;
        if denies {
            idmap::write_setgroups(Some(inside.pid()), "deny")?;
        }
        let written = Outcome::of(idmap::write_gid_map(Some(inside.pid()), &text))?;
        me.tell(Fact::outside(WRITE, written))?;
        if writer == Person::Root {
            inside.release()?;
            person::tell_all_of(inside, me)?;
        }
        Ok(())
    })?;
    Ok(parent.hear_all()?)
}

fn deny_again(own_group: &str, after_gid_map: bool) -> Result<Vec<Fact>> {
    let own_group = own_group.to_string();
    let mut inside = Person::User.child("inside", Namespaces::USER, move |me| {
        idmap::write_setgroups(None, "deny")?;
        if after_gid_map {
            idmap::write_gid_map(None, &own_group)?;
        }
        me.saw("write(setgroups, \"deny\") again", Outcome::of(idmap::write_setgroups(None, "deny"))?)
    })?;
    Ok(inside.hear_all()?)
}

/// A write to uid_map, and the answer that the rules give.
struct Attempt {
    shown: String,
    which_is: &'static str,
    /// What is written before, in the same namespace.
    before: Option<String>,
    text: String,
    user: Outcome,
    root: Outcome,
}

/// What came of it.
struct Answer {
    outcome: Outcome,
    map_changed: bool,
}

/// All attempts of one writer.
struct Grid {
    writer: Person,
    attempts: Vec<Attempt>,
    answers: Vec<Answer>,
}

/// What an ordinary user may write, what nobody may, and what only root may.
fn attempts() -> Result<Vec<Attempt>> {
    let (ok, eperm, einval) = (Outcome::Done, Outcome::Failed(Errno::EPERM), Outcome::Failed(Errno::EINVAL));
    let attempt = |shown: &str, text: &str, which_is: &'static str, user: Outcome, root: Outcome| {
        // Shown as a C string has it, so that a NUL and a newline are seen.
        let (shown, text) = (shown.escape_debug().to_string(), fill_in(text));
        Attempt { shown, which_is, before: None, text, user, root }
    };
    let good = |text: &str, which_is| attempt(text, text, which_is, ok, ok);
    let no_map = |text: &str, which_is| attempt(text, text, which_is, einval, einval);
    let not_allowed = |text: &str, which_is| attempt(text, text, which_is, eperm, ok);

    // The kernel takes less than a page in one write.
    let page = sysconf(SysconfVar::PAGE_SIZE).named(|| "sysconf(_SC_PAGESIZE)".into())?;
    let page = usize::try_from(page.unwrap_or(4096))?;
    let padded_to = |width| format!("{:width$}", fill_in("0 UID 1"));
    // Not ID 0: to map that one needs CAP_SETFCAP as well (since Linux 5.12).
    let lines = |count: usize| (1..=count).map(|line| format!("{line} {line} 1\n")).collect::<String>();
    let wraps = format!("0 {} 1", u64::from(person::ids().uid) + (1 << 32));
    Ok(vec![
        good("0 UID 1\n", "the writer's own ID"),
        good("0 UID 1", "no newline"),
        good("\t0  UID\t1 ", "blanks and tabs"),
        good("0 UID 1\n\0uid ", "a NUL, then anything"),
        attempt("0 UID 1 …", &padded_to(page - 1), "one byte below a page", ok, ok),
        attempt("0 UID+2³² 1", &wraps, "read modulo 2³²", ok, ok),
        Attempt { before: Some("0 0 0".into()), ..good("0 UID 1", "after a refused write") },
        attempt("(nothing)", "", "an empty write", einval, einval),
        no_map("0 UID 0", "a length of 0"),
        no_map("0 -1 1", "a negative number"),
        no_map("root UID 1", "a name"),
        no_map("0 UID", "two numbers"),
        no_map("0 UID 1 1", "four numbers"),
        no_map("0 UID 1\nuid w", "no NUL, then anything"),
        no_map("0 UID 1\n\n", "an empty line"),
        no_map("0 4294967295 1", "the ID that means none"),
        no_map("4294967294 UID 2", "past the last ID"),
        no_map("0 UID 1\n0 OTHER 1", "an ID inside twice"),
        no_map("0 UID 1\n1 UID 1", "an ID outside twice"),
        attempt("0 UID 1 …", &padded_to(page), "a whole page", einval, einval),
        attempt("1 1 1\n2 2 1\n…", &lines(idmap::MOST_EXTENTS + 1), "341 lines", einval, einval),
        attempt("1 1 1\n2 2 1\n…", &lines(idmap::MOST_EXTENTS), "340 lines", eperm, ok),
        not_allowed("0 OTHER 1", "another user's ID"),
        not_allowed("0 UID 2", "a range of two"),
        not_allowed("0 1 65535", "a range of many"),
        not_allowed("0 UID 1\n1 OTHER 1", "two lines"),
        Attempt {
            before: Some(person::own_id()),
            ..attempt("0 UID 1", "0 UID 1", "a second write", eperm, eperm)
        },
    ])
}

fn fill_in(text: &str) -> String {
    let ids = person::ids();
    text.replace("UID", &ids.uid.to_string()).replace("OTHER", &ids.other.to_string())
}

impl Grid {
    fn of(writer: Person) -> Result<Grid> {
        let attempts = attempts()?;
        let texts: Vec<_> =
            attempts.iter().map(|attempt| (attempt.before.clone(), attempt.text.clone())).collect();
        let mut parent = writer.child("parent", Namespaces::NONE, move |me| {
            for (before, text) in &texts {
                // Each for a namespace of its own: a map that was taken stays.
                let inside = Child::spawn("inside", Namespaces::USER, Witness::stay)?;
                if let Some(before) = before {
                    Outcome::of(idmap::write_uid_map(Some(inside.pid()), before))?;
                }
                let map_before = idmap::read(Some(inside.pid()), "uid_map")?;
                me.saw("write(uid_map)", Outcome::of(idmap::write_uid_map(Some(inside.pid()), text))?)?;
                me.saw("uid_map changed", idmap::read(Some(inside.pid()), "uid_map")? != map_before)?;
            }
            Ok(())
        })?;
        let mut answers = Vec::new();
        for _ in &attempts {
            let outcome = parent.hear()?.value.as_outcome().unwrap_or(Outcome::Failed(Errno::UnknownErrno));
            answers.push(Answer { outcome, map_changed: parent.hear()?.value == true });
        }
        parent.wait()?;
        Ok(Grid { writer, attempts, answers })
    }

    /// A row for each attempt that is `wanted`, with the answers in each of `grids`.
    fn rows(&self, wanted: impl Fn(&Attempt) -> bool, grids: &[&Grid]) -> Vec<Vec<Value>> {
        let mut rows = Vec::new();
        for (at, attempt) in self.attempts.iter().enumerate().filter(|(_, attempt)| wanted(attempt)) {
            let mut row: Vec<Value> = vec![attempt.shown.as_str().into(), attempt.which_is.into()];
            row.extend(grids.iter().map(|grid| Value::from(grid.answers[at].outcome)));
            rows.push(row);
        }
        rows
    }

    /// The attempts that are `wanted`, counted by their answers.
    fn counts(&self, wanted: impl Fn(&Attempt) -> bool) -> Vec<Fact> {
        let asked: Vec<_> =
            self.attempts.iter().zip(&self.answers).filter(|(attempt, _)| wanted(attempt)).collect();
        let answered =
            |errno| asked.iter().filter(|(_, answer)| answer.outcome == Outcome::Failed(errno)).count();
        let by_the_rules =
            |attempt: &Attempt| if self.writer == Person::Root { attempt.root } else { attempt.user };
        let surprises =
            asked.iter().filter(|(attempt, answer)| answer.outcome != by_the_rules(attempt)).count();
        vec![
            Fact::outside(WRITES, asked.len()),
            Fact::outside(TAKEN, asked.iter().filter(|(_, answer)| answer.map_changed).count()),
            Fact::outside("EINVAL", answered(Errno::EINVAL)),
            Fact::outside("EPERM", answered(Errno::EPERM)),
            Fact::outside(SURPRISES, surprises),
        ]
    }
}
