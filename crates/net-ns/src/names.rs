//! What a device may be called: what the kernel takes, as it stands.

use anyhow::Result;
use lesson::{Claim, Lab, Observation, Step, cause};
use ns_core::net::Netlink;
use ns_core::{Fact, Outcome, Value};

pub(crate) const LENGTH: Claim =
    Claim::holds("length", "A device's name has at most 15 bytes: with 16, ERANGE.")
        .cause("a 16th byte")
        .notes(&[66]);
pub(crate) const FORBIDDEN: Claim = Claim::holds(
    "forbidden",
    "The kernel refuses '/', ':' and white space in a device's name, and the names '.' and '..': EINVAL.",
)
.cause("what could be mistaken for a path or an end")
.notes(&[66]);
pub(crate) const ESCAPES: Claim = Claim::holds(
    "escapes",
    "A device's name may be an escape sequence, which a terminal obeys when the name is printed to it.",
)
.cause("ESC instead of '/'")
.notes(&[66]);
pub(crate) const A0: Claim = Claim::holds(
    "byte-a0",
    "A name with the byte 0xA0 is refused as white space: no device is called à, though one may be called é.",
)
.cause("à instead of é")
.notes(&[66]);
pub(crate) const COUNTS: Claim =
    Claim::holds("counts", "In %d of a device's name the kernel puts the first number that is free.")
        .cause("%d")
        .notes(&[66]);

/// What people and programs may give.
const NAMES: &[&str] = &[
    "eth0",
    "fifteen-bytes-x",
    "sixteen-bytes-xx",
    "...",
    "-x",
    "a;b",
    "$(id)",
    "*",
    "\x1b[2J",
    "a\x7f",
    "é",
    "à",
    "n%d",
    "n%s",
    "%",
    ".",
    "..",
    "a/b",
    "a:b",
    "a b",
    "a\tb",
    "a\nb",
    "all",
    "default",
    "lo",
];

pub(crate) fn run(lab: &mut Lab, net: &Netlink) -> Result<()> {
    lab.step(Step {
        goal: "Ask the kernel for a device of each name, as it stands; most programs would refuse many of them first.",
        calls: &["RTM_NEWLINK(IFLA_IFNAME=…)"],
        by_hand: &[
            "ip link add 'a;b' type bridge; ip link add \"$(printf '\\33[31m')\" type bridge; ip link add 'n%d' type bridge",
            "ip -brief link | cat -v",
        ],
    })?;
    let mut rows = Vec::new();
    for name in NAMES {
        let tried = net.try_name(name);
        let called = tried.as_ref().map_or(Value::Text("–".into()), |called| called.as_str().into());
        rows.push(vec![(*name).into(), (name.len() as i64).into(), Outcome::of(tried)?.into(), called]);
    }
    lab.table(
        "What a device may be called",
        &["asked for", "bytes", "the kernel says", "it is called"],
        rows,
    )?;

    let ask = |names: &[&str]| -> Result<Observation> {
        let facts = names.iter().map(|name| {
            let tried = net.try_name(name);
            Ok(Fact::outside(format!("RTM_NEWLINK({name:?})"), Outcome::of(tried)?))
        });
        Ok(facts.collect::<Result<Vec<_>>>()?.into())
    };
    lab.claim(LENGTH)
        .without(ask(&["fifteen-bytes-x"])?)
        .with(ask(cause(&["sixteen-bytes-xx"], &["fifteen-bytes-x"]))?)
        .shows(|answer| *answer == "ERANGE")?;
    lab.claim(FORBIDDEN)
        .without(ask(&["a-b", "a_b", "a;b", "a.b", "...", "...."])?)
        .with(ask(cause(
            &["a/b", "a:b", "a b", "a\tb", ".", ".."],
            &["a-b", "a_b", "a;b", "a.b", "...", "...."],
        ))?)
        .shows(|answers| answers.facts().iter().all(|it| it.value == "EINVAL"))?;
    lab.claim(ESCAPES)
        .without(ask(&["/[2J"])?)
        .with(ask(cause(&["\x1b[2J"], &["/[2J"]))?)
        .shows(|answer| *answer == "OK")?;
    lab.claim(A0)
        .without(ask(&["é"])?)
        .with(ask(cause(&["à"], &["é"]))?)
        .shows(|answer| *answer == "EINVAL")?;
    let called = |name: &str| {
        let called = net.try_name(name);
        let text = called.unwrap_or_else(|error| error.to_string());
        Fact::outside(format!("a device made as {name} is called"), text)
    };
    lab.claim(COUNTS).without(called("nd")).with(called(cause("n%d", "nd"))).shows(|name| *name == "n0")?;
    Ok(())
}
