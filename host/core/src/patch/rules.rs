//! What of one component a proposal may change. Protected paths win over everything; of the rest, only what lies below
//! the roots. Nothing widens it once it is made.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::path::FilePath;
use super::protect::{Pattern, Protected, built_in};
use super::refusal::{Reason, Refusal};
use crate::id::ComponentId;

/// Why nothing of a component may be patched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Closed {
    /// It has no directory of its own, and no roots are named: its files cannot be told from those of this one.
    SharesDirectory(ComponentId),
    /// Its list of roots is empty.
    NoRoots,
}

/// The confinement of one component's patches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    roots: Roots,
    protect: Vec<Pattern>,
    /// Directories of other components, relative to this one's.
    #[serde(with = "shared")]
    others: Arc<[String]>,
    /// Paths of the host's own, relative to the component's directory.
    host: Vec<(String, Protected)>,
    deletions: bool,
}

mod shared {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(list: &Arc<[String]>, serializer: S) -> Result<S::Ok, S::Error> {
        list.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[String]>, D::Error> {
        Vec::<String>::deserialize(deserializer).map(Arc::from)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Roots {
    Whole,
    Below(Vec<FilePath>),
    Closed(Closed),
}

impl Default for Rules {
    /// The whole directory, but for what is protected everywhere.
    fn default() -> Self {
        Self {
            roots: Roots::Whole,
            protect: Vec::new(),
            others: Arc::default(),
            host: Vec::new(),
            deletions: false,
        }
    }
}

impl Rules {
    /// Only what lies below these directories, or is one of these files.
    #[must_use]
    pub fn below(mut self, roots: Vec<FilePath>) -> Self {
        self.roots = if roots.is_empty() { Roots::Closed(Closed::NoRoots) } else { Roots::Below(roots) };
        self
    }

    /// Nothing at all.
    #[must_use]
    pub fn closed(mut self, why: Closed) -> Self {
        self.roots = Roots::Closed(why);
        self
    }

    /// Not what the operator names.
    #[must_use]
    pub fn protecting(mut self, patterns: Vec<Pattern>) -> Self {
        self.protect = patterns;
        self
    }

    /// Not these directories, which are other components'.
    #[must_use]
    pub fn without_components(mut self, directories: Arc<[String]>) -> Self {
        self.others = directories;
        self
    }

    /// Not this file or directory of the host's, which lies inside the component's directory; an empty path is all of it.
    pub fn protect_host(&mut self, path: &str, what: Protected) {
        self.host.push((path.to_ascii_lowercase(), what));
    }

    /// Files may be deleted and emptied.
    #[must_use]
    pub const fn with_deletions(mut self, allowed: bool) -> Self {
        self.deletions = allowed;
        self
    }

    pub(super) const fn deletions(&self) -> bool {
        self.deletions
    }

    /// The directories and files below which something may be changed; one empty text for the component's directory.
    pub fn roots(&self) -> Vec<&str> {
        match &self.roots {
            Roots::Whole => vec![""],
            Roots::Below(roots) => roots.iter().map(FilePath::as_str).collect(),
            Roots::Closed(_) => Vec::new(),
        }
    }

    /// What protects this path, whatever its spelling in upper and lower case.
    pub fn protected(&self, path: &str) -> Option<Protected> {
        let folded = path.to_ascii_lowercase();
        let parts: Vec<&str> = folded.split('/').collect();
        let below = |directory: &str| {
            directory.is_empty()
                || folded.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // What is the host's own by its place is told as that, whatever its name is.
        let host = self.host.iter().find(|(path, _)| below(path)).map(|(_, what)| *what);
        let other = || self.others.iter().any(|other| below(other)).then_some(Protected::Component);
        let operator =
            || self.protect.iter().any(|pattern| pattern.matches(&parts)).then_some(Protected::Operator);
        host.or_else(|| built_in(&parts)).or_else(other).or_else(operator)
    }

    /// Whether a proposal may change this path at all, whatever lies there.
    pub(super) fn judge(&self, path: &FilePath) -> Result<(), Refusal> {
        if let Some(what) = self.protected(path.as_str()) {
            let said = format!("it is protected: {}", what.words());
            return Err(Refusal::new(Reason::Protected(what), said).of(path.as_str()));
        }
        let refused = |reason, what: String| Err(Refusal::new(reason, what).of(path.as_str()));
        match &self.roots {
            Roots::Whole => Ok(()),
            Roots::Below(roots) if roots.iter().any(|root| below(root, path)) => Ok(()),
            Roots::Below(roots) => {
                let roots: Vec<String> = roots.iter().take(8).map(|root| format!("`{root}`")).collect();
                refused(Reason::Outside, format!("it is not below {}", roots.join(", ")))
            }
            Roots::Closed(Closed::SharesDirectory(other)) => refused(
                Reason::NotPatchable,
                format!(
                    "the component has no directory of its own: it shares it with `{other}`, and no roots are named"
                ),
            ),
            Roots::Closed(Closed::NoRoots) => refused(
                Reason::NotPatchable,
                "the operator lets nothing of this component be patched".to_owned(),
            ),
        }
    }
}

fn below(root: &FilePath, path: &FilePath) -> bool {
    path.as_str().strip_prefix(root.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(rules: &Rules, path: &str) -> &'static str {
        rules.judge(&path.parse().unwrap()).map_or_else(|refusal| refusal.code(), |()| "free")
    }

    #[test]
    fn what_is_protected_wins_over_the_roots() {
        let rules = Rules::default().below(vec!["src".parse().unwrap(), "tests".parse().unwrap()]);
        for (path, expected) in [
            ("src/app.py", "free"),
            ("src", "free"),
            ("srcs/app.py", "outside"),
            ("app.py", "outside"),
            ("SRC/app.py", "outside"),
            ("tests/test_app.py", "protected-tests"),
            ("other/.git/config", "protected-vcs"),
        ] {
            assert_eq!(judged(&rules, path), expected, "{path}");
        }
    }

    #[test]
    fn the_hosts_files_and_other_components_are_found_by_place_and_in_any_case() {
        let mut rules = Rules::default()
            .without_components(["peers/b".to_owned()].into())
            .protecting(vec!["*.sql".parse().unwrap()]);
        rules.protect_host("etc/Stack.json", Protected::Config);
        rules.protect_host("var/state", Protected::State);
        for (path, expected) in [
            ("etc/stack.JSON", "protected-config"),
            ("etc/stack.jsonl", "free"),
            ("var/state/x/y.txt", "protected-state"),
            ("peers/b/app.py", "protected-component"),
            ("peers/bb/app.py", "free"),
            ("db/1.sql", "protected-operator"),
        ] {
            assert_eq!(judged(&rules, path), expected, "{path}");
        }
        rules.protect_host("", Protected::State);
        assert_eq!(judged(&rules, "app.py"), "protected-state");
    }

    #[test]
    fn a_closed_component_says_why() {
        let shared = Rules::default().closed(Closed::SharesDirectory("b".parse().unwrap()));
        assert_eq!((judged(&shared, "app.py"), shared.roots().len()), ("not-patchable", 0));
        assert_eq!(judged(&Rules::default().below(Vec::new()), "app.py"), "not-patchable");
        assert_eq!(judged(&shared, "tests/x.py"), "protected-tests");
    }
}
