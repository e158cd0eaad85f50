//! Who a service runs as. Looks people up; changes nothing.

use std::ffi::CString;

use nix::unistd::{Gid, Uid, User, getgrouplist};

/// A user of this machine, with everything a login would give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// Number.
    pub(crate) uid: u32,
    /// Primary group.
    pub(crate) gid: u32,
    /// All groups.
    pub(crate) groups: Vec<u32>,
    /// `USER`, `LOGNAME` and `HOME`, where they are known.
    pub(crate) env: Vec<(&'static str, String)>,
}

/// Why somebody cannot be run as.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserError {
    /// There is no such account.
    #[error("there is no user `{0}` on this machine: create the account or correct `user`")]
    Unknown(String),
    /// Only root may.
    #[error("only root may start a service as user `{0}`: run the host as root or remove `user`")]
    NotRoot(String),
    /// The user database does not answer.
    #[error("cannot look up user `{name}`: {error}; check `getent passwd {name}`")]
    Lookup {
        /// Who was looked for.
        name: String,
        /// What the system said.
        error: nix::Error,
    },
}

/// The account of this name or number; none when it is the one we run as anyway.
pub(crate) fn find(name: &str) -> Result<Option<Account>, UserError> {
    let failed = |error| UserError::Lookup { name: name.to_owned(), error };
    let user = match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)).map_err(failed)?,
        Err(_) => User::from_name(name).map_err(failed)?,
    };
    let (uid, gid) = match (&user, name.parse()) {
        (Some(user), _) => (user.uid, user.gid),
        // A number needs no entry: containers use such users.
        (None, Ok(number)) => (Uid::from_raw(number), Gid::from_raw(number)),
        (None, Err(_)) => return Err(UserError::Unknown(name.to_owned())),
    };
    if uid == Uid::effective() {
        return Ok(None);
    }
    if !Uid::effective().is_root() {
        return Err(UserError::NotRoot(name.to_owned()));
    }
    let (groups, env) = match user {
        Some(user) => {
            let groups = CString::new(user.name.as_str())
                .map_err(|_| UserError::Unknown(name.to_owned()))
                .and_then(|name| getgrouplist(&name, gid).map_err(failed))?;
            let home = user.dir.to_string_lossy().into_owned();
            (groups, vec![("USER", user.name.clone()), ("LOGNAME", user.name), ("HOME", home)])
        }
        None => (vec![gid], Vec::new()),
    };
    let groups = groups.into_iter().map(Gid::as_raw).collect();
    Ok(Some(Account { uid: uid.as_raw(), gid: gid.as_raw(), groups, env }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_found_and_strangers_are_named() {
        if !Uid::effective().is_root() {
            assert!(matches!(find("root"), Err(UserError::NotRoot(_))));
            return;
        }
        assert_eq!(find("root").unwrap(), None);
        let nobody = find("nobody").unwrap().unwrap();
        assert_eq!(find(&nobody.uid.to_string()).unwrap().unwrap(), nobody);
        assert!(nobody.groups.contains(&nobody.gid));
        assert_eq!(find("4000123").unwrap().unwrap().gid, 4_000_123);
        let error = find("no-such-user").unwrap_err().to_string();
        assert!(error.contains("no user `no-such-user`"), "{error}");
    }
}
