//! Which namespaces are shown: `--filter 'kind=net members>1'`.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use ns_core::Kind;

use crate::model::{Keeper, Namespace};

/// Conditions that a namespace meets all of.
#[derive(Debug, Clone, Default)]
pub struct Filter(Vec<Condition>);

#[derive(Debug, Clone)]
struct Condition {
    field: Field,
    sign: Sign,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Field {
    Kind,
    Members,
    Pid,
    User,
    Command,
    Kept,
    Made,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Sign {
    Is,
    IsNot,
    Above,
    Below,
}

const FIELDS: [(&str, Field); 7] = [
    ("kind", Field::Kind),
    ("members", Field::Members),
    ("pid", Field::Pid),
    ("user", Field::User),
    ("command", Field::Command),
    ("kept", Field::Kept),
    ("made", Field::Made),
];

const SIGNS: [(&str, Sign); 4] =
    [("!=", Sign::IsNot), ("=", Sign::Is), (">", Sign::Above), ("<", Sign::Below)];

impl FromStr for Filter {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Filter> {
        text.split_whitespace().map(condition).collect::<Result<_>>().map(Filter)
    }
}

fn condition(text: &str) -> Result<Condition> {
    let names = || FIELDS.map(|(name, _)| name).join(", ");
    let found =
        SIGNS.iter().filter_map(|(sign, it)| Some((text.find(sign)?, *sign, *it))).min_by_key(|it| it.0);
    let Some((at, sign, kind)) = found else {
        bail!(
            "'{text}' is no condition: write FIELD=VALUE, with !=, > or < as well; the fields are {}",
            names()
        );
    };
    let (name, value) = (&text[..at], &text[at + sign.len()..]);
    let field = FIELDS.iter().find(|(field, _)| *field == name).map(|(_, field)| *field);
    let field = field.ok_or_else(|| anyhow!("there is no field '{name}'; choose from {}", names()))?;
    match field {
        Field::Kind if Kind::from_link(value).is_none() => {
            bail!("there is no kind '{value}'; choose from {}", Kind::ALL.map(Kind::link).join(", "))
        }
        Field::Members | Field::Pid if value.parse::<u64>().is_err() => {
            bail!("'{value}' is no number: {name} takes one")
        }
        Field::Members | Field::Pid => {}
        Field::Kept if !Keeper::WORDS.contains(&value) => {
            bail!("nothing keeps a namespace as '{value}'; choose from {}", Keeper::WORDS.join(", "))
        }
        _ if matches!(kind, Sign::Above | Sign::Below) => {
            bail!("'{sign}' is for numbers; '{name}' takes = or !=")
        }
        _ => {}
    }
    Ok(Condition { field, sign: kind, value: value.into() })
}

/// As it is typed.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Condition { field, sign, value }) in self.0.iter().enumerate() {
            let name = FIELDS.iter().find(|(_, it)| it == field).map_or("", |(name, _)| name);
            let sign = SIGNS.iter().find(|(_, it)| it == sign).map_or("", |(sign, _)| sign);
            write!(f, "{}{name}{sign}{value}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl Filter {
    /// Whether there is no condition.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `namespace` meets all conditions.
    pub fn takes(&self, namespace: &Namespace) -> bool {
        self.0.iter().all(|condition| condition.takes(namespace))
    }
}

impl Condition {
    fn takes(&self, namespace: &Namespace) -> bool {
        let first = namespace.first.as_ref();
        match self.field {
            Field::Kind => self.is(namespace.id.kind.link() == self.value),
            Field::Members => self.compares(Some(namespace.members as u64)),
            Field::Pid => self.compares(namespace.lowest.and_then(|pid| u64::try_from(pid).ok())),
            Field::User => self
                .is(first
                    .is_some_and(|first| first.user == self.value || first.uid.to_string() == self.value)),
            Field::Command => self.is(first.is_some_and(|first| first.command == self.value)),
            Field::Kept => self.is(namespace.kept_by.iter().any(|keeper| keeper.word() == self.value)),
            Field::Made => self.is(namespace.made_by.as_ref().is_some_and(|creator| {
                creator.to_string().to_lowercase().contains(&self.value.to_lowercase())
            })),
        }
    }

    fn is(&self, equal: bool) -> bool {
        equal == (self.sign == Sign::Is)
    }

    fn compares(&self, number: Option<u64>) -> bool {
        let (Some(number), Ok(value)) = (number, self.value.parse()) else { return false };
        match self.sign {
            Sign::Is => number == value,
            Sign::IsNot => number != value,
            Sign::Above => number > value,
            Sign::Below => number < value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ns_core::NsId;

    fn of(text: &str) -> Result<Filter> {
        text.parse()
    }

    #[test]
    fn conditions_are_met_together() {
        let mut namespace = Namespace::new(NsId { kind: Kind::Net, dev: 4, ino: 7 });
        namespace.members = 3;
        for (text, takes) in [
            ("", true),
            ("kind=net", true),
            ("kind!=net", false),
            ("kind=net members>2", true),
            ("kind=net members>3", false),
            ("members<3", false),
            ("members=3", true),
            ("user=root", false),
            ("user!=root", true),
            ("made=docker", false),
        ] {
            let filter = of(text).unwrap();
            assert_eq!(filter.takes(&namespace), takes, "{text}");
            assert_eq!(filter.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_condition_is_named() {
        for (text, named) in [
            ("net", "'net' is no condition"),
            ("kind=moon", "there is no kind 'moon'"),
            ("size=3", "there is no field 'size'"),
            ("members=many", "'many' is no number"),
            ("user>root", "'>' is for numbers"),
            ("kept=glue", "nothing keeps a namespace as 'glue'"),
        ] {
            let said = of(text).unwrap_err().to_string();
            assert!(said.starts_with(named), "{said}");
        }
    }
}
