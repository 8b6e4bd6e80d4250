//! Keys: which keyring is the user's depends on the user namespace.

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step};
use ns_core::probe::Missing;
use ns_core::{Child, Fact, Namespaces, Outcome, Value, keys};

use crate::person::{in_z, stay_root, tell_all_of};

pub(crate) const KEYS: Claim = Claim::holds(
    "keys",
    "A key in the user's keyring is not found in a new user namespace: the same user has another keyring there.",
)
.cause("CLONE_NEWUSER")
.notes(&[110])
.needs(&[Need::Probe(a_keyring)]);

const KEY: &str = "inception";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if lab.can_ask(&[KEYS])? {
        lab.step(Step {
            goal: "Put a key into the user's keyring in Z, and look for it from Z and from A, as the same user.",
            calls: &["add_key(\"user\", …, KEY_SPEC_USER_KEYRING)", "keyctl(KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, …)"],
            by_hand: &[
                "unshare -Ur sh -c 'keyctl add user k v @u; keyctl search @u user k; unshare -Ur keyctl search @u user k' # apt install keyutils",
            ],
        })?;
        lab.claim(KEYS)
            .without(look_for_a_key(Namespaces::NONE)?)
            .with(look_for_a_key(Namespaces::USER)?)
            .shows(|seen| {
                seen.inside("keyctl(KEYCTL_SEARCH)").is_some_and(|it| *it == "ENOKEY")
                    && seen.inside("the user's keyring is Z's").is_some_and(|it| *it == false)
            })?;
    }
    Ok(())
}

fn look_for_a_key(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_z(Namespaces::NONE, move |me| {
        let key = keys::add(KEY)?;
        let keyring = keys::user_keyring()?;
        let child = Child::spawn("A's root", namespaces, move |me| {
            stay_root(namespaces)?;
            let found = match keys::find(KEY)? {
                Some(found) if found == key => "the key",
                Some(_) => "another key",
                None => "ENOKEY",
            };
            me.saw("keyctl(KEYCTL_SEARCH)", found)?;
            me.saw("the user's keyring is Z's", Value::from(keys::user_keyring()? == keyring))
        })?;
        tell_all_of(child, me)
    })
}

/// What keeps us from using keyrings, as the seccomp filters of container engines do: a child tries.
fn a_keyring() -> ns_core::Result<Option<Missing>> {
    let facts = in_z(Namespaces::NONE, |me| me.saw("add_key()", Outcome::of(keys::add(KEY))?));
    let facts = facts.map_err(|error| ns_core::Error::Input(error.to_string()))?;
    let answer = facts.first().map_or("nothing".into(), |fact| fact.value.to_string());
    Ok((answer != "OK").then(|| {
        Missing::new(
            format!("add_key() gives {answer}"),
            "run outside of a container, on a kernel with CONFIG_KEYS",
        )
    }))
}
