//! Keys: which keyring is the user's depends on the user namespace.

use anyhow::Result;
use lesson::user::in_z;
use lesson::{Claim, Requirement, Step, hand, inside};
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Namespaces, Outcome};

use crate::keys;
use crate::user::stay_root;

const KEY: &str = "inception";

const KEYS: Claim = Claim::holds(
    "keys",
    "A key in the user's keyring is not found in a new user namespace: the same user has another keyring there.",
)
.factor("CLONE_NEWUSER")
.notes(&[110])
.requires(&[Requirement::Probe(a_keyring)]);

pub(crate) const LOOK_FOR_A_KEY: Step = Step {
    title: "Put a key into the user's keyring in Z, and look for it from Z and from A, as the same user.",
    calls: &[
        "add_key(\"user\", …, KEY_SPEC_USER_KEYRING)",
        "keyctl(KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, …)",
    ],
    by_hand: &[hand("unshare -Ur sh -c 'keyctl add user k v @u; keyctl search @u user k; unshare -Ur keyctl search @u user k'").prints("<key>\n<key>\n…"), ],
    claims: &[KEYS],
    run: |lab| {
        lab.compare(KEYS, Namespaces::NONE, Namespaces::USER, look_for_a_key)?.shows(
            inside("keyctl(KEYCTL_SEARCH)").is("ENOKEY") & inside("the user's keyring is Z's").is("no"),
        )
    },
};

fn look_for_a_key(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_z(Namespaces::NONE, move |me| {
        let key = keys::add(KEY)?;
        let keyring = keys::user_keyring()?;
        let mut child = Child::spawn("A's root", namespaces, move |me| {
            stay_root(namespaces)?;
            let found = match keys::find(KEY)? {
                Some(found) if found == key => "the key",
                Some(_) => "another key",
                None => "ENOKEY",
            };
            me.report("keyctl(KEYCTL_SEARCH)", found)?;
            me.report("the user's keyring is Z's", keys::user_keyring()? == keyring)
        })?;
        child.pass_on(me)
    })
}

/// What keeps us from using keyrings, as the seccomp filters of container engines do: a child tries.
fn a_keyring() -> ns_core::Result<Option<Unmet>> {
    let facts = in_z(Namespaces::NONE, |me| me.report("add_key()", Outcome::of(keys::add(KEY))?));
    let facts = facts.map_err(|error| ns_core::Error::Input(error.to_string()))?;
    let answer = facts.first().map_or("nothing".into(), |fact| fact.value.to_string());
    Ok((answer != "OK").then(|| {
        Unmet::new(
            format!("add_key() gives {answer}"),
            "run outside of a container, on a kernel with CONFIG_KEYS",
        )
    }))
}
