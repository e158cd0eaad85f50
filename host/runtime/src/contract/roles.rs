//! What a plugin is for, read from the names of its exports. Whatever else it exports is tolerated.

use std::fmt;

use razar_core::grant::Role;
use wasmtime::component::Component;

/// The package every contract interface belongs to.
const PACKAGE: &str = "razar:plugin/";
/// The tracks this host speaks.
const TRACKS: &[(u64, u64)] = &[(0, 1)];

/// One role with the contract version it was built for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The role.
    pub role: Role,
    /// The version, as the plugin names it.
    pub version: String,
}

impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PACKAGE}{}@{}", self.role, self.version)
    }
}

/// Names that a component exports.
pub(crate) fn exports(component: &Component) -> Vec<String> {
    component.component_type().exports(component.engine()).map(|(name, _)| name.to_owned()).collect()
}

/// The roles among them.
pub(crate) fn roles(exports: &[String]) -> Vec<Export> {
    exports.iter().filter_map(|name| role(name)).collect()
}

fn role(export: &str) -> Option<Export> {
    let (interface, version) = export.strip_prefix(PACKAGE)?.split_once('@')?;
    let role = Role::ALL.into_iter().find(|role| role.as_str() == interface)?;
    TRACKS.iter().any(|track| in_track(version, *track)).then(|| Export { role, version: version.to_owned() })
}

/// Whether `0.1.3` is on the track `0.1`.
fn in_track(version: &str, (major, minor): (u64, u64)) -> bool {
    let mut parts = version.splitn(3, '.').map(str::parse::<u64>);
    let (a, b, patch) = (parts.next(), parts.next(), parts.next());
    a == Some(Ok(major)) && b == Some(Ok(minor)) && matches!(patch, Some(Ok(_)))
}

/// The exports this host looks for, in words.
pub(crate) fn expected() -> String {
    let roles = Role::ALL.map(|role| format!("`{PACKAGE}{role}@0.1`"));
    roles.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_come_from_names_and_tracks() {
        for (name, role) in [
            ("razar:plugin/probe@0.1.0", Some(Role::Probe)),
            ("razar:plugin/probe@0.1.7", Some(Role::Probe)),
            ("razar:plugin/agent@0.1.0", Some(Role::Agent)),
            ("razar:plugin/evaluator@0.1.0", Some(Role::Evaluator)),
            ("razar:plugin/tools@0.1.0", Some(Role::Tools)),
            ("razar:plugin/probe@0.2.0", None),
            ("razar:plugin/probe@0.1.0-rc.1", None),
            ("razar:plugin/probe@0.10.0", None),
            ("razar:plugin/probe", None),
            ("razar:plugin/types@0.1.0", None),
            ("other:plugin/probe@0.1.0", None),
            ("run", None),
        ] {
            assert_eq!(roles(&[name.to_owned()]).first().map(|export| export.role), role, "{name}");
        }
    }
}
