//! What the command line says of the command's surroundings: variables, working directory, user.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// A variable, as NAME=VALUE.
pub(super) fn variable(text: &str) -> Result<String, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_string())),
        None => (text, None),
    };
    if name.is_empty() || text.contains('\0') {
        return Err("give NAME=VALUE, or NAME for the value that it has here".into());
    }
    let value = value.or_else(|| std::env::var(name).ok());
    value
        .map(|value| format!("{name}={value}"))
        .ok_or_else(|| format!("{name} is not set here; give {name}=VALUE"))
}

/// An absolute path in the container, as a path below its root.
pub(super) fn path_inside(text: &OsString) -> Result<PathBuf, String> {
    let form = || "give an absolute path in the container, without `..`".to_string();
    let path = Path::new(text).strip_prefix("/").map_err(|_| form())?;
    if path.components().any(|part| !matches!(part, Component::Normal(_))) {
        return Err(form());
    }
    Ok(path.components().collect())
}

/// The user and the group of the command, as names or IDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(super) user: String,
    pub(super) group: Option<String>,
}

pub(super) fn account(text: &str) -> Result<Account, String> {
    let mut parts = text.split(':').map(str::to_string);
    let account = Account { user: parts.next().unwrap_or_default(), group: parts.next() };
    let is_whole = parts.next().is_none() && !account.user.is_empty() && account.group.as_deref() != Some("");
    is_whole.then_some(account).ok_or_else(|| {
        "give USER or USER:GROUP, such as 1000, 1000:1000 or nobody; a map of IDs is --user's".into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_a_name() {
        assert_eq!(variable("A=b=c"), Ok("A=b=c".into()));
        assert_eq!(variable("A="), Ok("A=".into()));
        assert_eq!(variable("PATH").ok(), std::env::var("PATH").ok().map(|it| format!("PATH={it}")));
        for bad in ["", "=", "=x", "MINI_CONTAINER_NOT_SET"] {
            assert!(variable(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_inside_is_absolute_and_leads_down() {
        assert_eq!(path_inside(&"/a//b/".into()), Ok("a/b".into()));
        assert_eq!(path_inside(&"/".into()), Ok("".into()));
        for bad in ["", "a", "./a", "/../a", "/a/.."] {
            assert!(path_inside(&bad.into()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_account_is_a_user_and_perhaps_a_group() {
        let expected = Account { user: "1".into(), group: Some("2".into()) };
        assert_eq!(account("1:2"), Ok(expected));
        assert_eq!(account("nobody"), Ok(Account { user: "nobody".into(), group: None }));
        for bad in ["", ":", "1:", ":1", "0:1:2"] {
            assert!(account(bad).is_err(), "{bad}");
        }
    }
}
