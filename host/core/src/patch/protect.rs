//! What no proposal may touch, whoever makes it and wherever it lies: a table. It only ever takes; nothing an operator or
//! an agent writes makes a protected path free again.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::path::FilePath;

/// What a protected path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protected {
    /// Tests and what they need: the judge of the patch.
    Tests,
    /// What builds it and says how it is tested.
    Build,
    /// Continuous integration.
    Ci,
    /// Policy.
    Policy,
    /// What plugins are granted, and which plugins they are.
    Grants,
    /// The host's configuration.
    Config,
    /// Version control.
    VersionControl,
    /// What the host remembers.
    State,
    /// Other files of the host's.
    Host,
    /// Keys and passwords.
    Secrets,
    /// Installed packages and generated code.
    Dependencies,
    /// Another component's directory.
    Component,
    /// What the operator named.
    Operator,
}

impl Protected {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Tests,
        Self::Build,
        Self::Ci,
        Self::Policy,
        Self::Grants,
        Self::Config,
        Self::VersionControl,
        Self::State,
        Self::Host,
        Self::Secrets,
        Self::Dependencies,
        Self::Component,
        Self::Operator,
    ];

    /// The word in logs, labels and scripts.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Tests => "protected-tests",
            Self::Build => "protected-build",
            Self::Ci => "protected-ci",
            Self::Policy => "protected-policy",
            Self::Grants => "protected-grants",
            Self::Config => "protected-config",
            Self::VersionControl => "protected-vcs",
            Self::State => "protected-state",
            Self::Host => "protected-host",
            Self::Secrets => "protected-secrets",
            Self::Dependencies => "protected-dependencies",
            Self::Component => "protected-component",
            Self::Operator => "protected-operator",
        }
    }

    /// What it is, in words that end the sentence "it is protected: ".
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Tests => "tests are the judge of a patch",
            Self::Build => "it says how the component is built and tested",
            Self::Ci => "it belongs to continuous integration",
            Self::Policy => "it is policy",
            Self::Grants => "it says what plugins may do",
            Self::Config => "it is the host's configuration",
            Self::VersionControl => "it belongs to version control",
            Self::State => "it is what the host remembers",
            Self::Host => "it is the host's",
            Self::Secrets => "it holds secrets",
            Self::Dependencies => "it is installed or generated, and not the component's own source",
            Self::Component => "it is another component's",
            Self::Operator => "the operator protects it with `patch.protect`",
        }
    }

    /// What to do about it.
    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::Component => "propose a patch of that component instead",
            _ => "leave this path out; no proposal may change it",
        }
    }
}

/// Names that are protected in every component, at every depth. What lies below a protected directory is protected.
const TABLE: &[(Protected, &[&str])] = &[
    (
        Protected::Tests,
        &[
            "test",
            "tests",
            "__tests__",
            "__snapshots__",
            "testdata",
            "fixtures",
            "test.*",
            "tests.*",
            "test_*",
            "*_test.*",
            "*_tests.*",
            "*.test.*",
            "*.spec.*",
            "*_spec.*",
            "spec_helper.*",
            "*test.java",
            "*tests.java",
            "*test.kt",
            "*tests.cs",
            "*test.cs",
            "*test.php",
            "conftest.py",
            "pytest.ini",
            ".pytest.ini",
            "phpunit.xml",
            ".coveragerc",
            "jest.config.*",
            "vitest.config.*",
            "karma.conf.*",
            "playwright.config.*",
            "mocha.opts",
            ".mocharc*",
            "sitecustomize.*",
            "usercustomize.*",
            "*.pth",
        ],
    ),
    (
        Protected::Build,
        &[
            "makefile",
            "gnumakefile",
            "justfile",
            "taskfile.*",
            "tox.ini",
            "noxfile.py",
            "setup.py",
            "setup.cfg",
            "pyproject.toml",
            "package.json",
            "cargo.toml",
            "build.rs",
            ".cargo",
            "cmakelists.txt",
            "build.gradle*",
            "pom.xml",
            "rakefile",
        ],
    ),
    (
        Protected::Ci,
        &[
            ".github",
            ".gitlab",
            ".gitlab-ci.*",
            ".ci",
            ".circleci",
            ".buildkite",
            ".drone.*",
            ".travis.*",
            ".woodpecker*",
            ".forgejo",
            ".gitea",
            "jenkinsfile*",
            "azure-pipelines.*",
            "bitbucket-pipelines.*",
            "appveyor.*",
            ".appveyor.*",
            ".pre-commit-config.*",
            "codecov.*",
            ".codecov.*",
        ],
    ),
    (Protected::Policy, &["*.cedar", "*.cedarschema"]),
    (Protected::Grants, &["grants.toml", "plugins.lock", "plugin.toml", "signers.toml"]),
    (
        Protected::Config,
        &["boot_config*", "razar_ai_agents*", "razar_env*", "razar_config*", "razar-host.service"],
    ),
    (
        Protected::VersionControl,
        &[
            ".git",
            ".gitmodules",
            ".gitattributes",
            ".gitignore",
            "git~*",
            ".hg",
            ".hgsub",
            ".svn",
            ".jj",
            ".bzr",
            "cvs",
        ],
    ),
    // What begins with `.razar-` the host puts beside a file while it replaces it, and finds again after a crash.
    (
        Protected::State,
        &["razar-state", "razar.db*", "razar_state.json", "host.lock", "ledger.key", ".razar-*"],
    ),
    (
        Protected::Secrets,
        &[
            ".env",
            ".env.*",
            "*.env",
            "*.pem",
            "*.key",
            "*.p12",
            "*.pfx",
            "secrets",
            ".ssh",
            "id_rsa*",
            "id_ed25519*",
            ".netrc",
            ".npmrc",
            ".pypirc",
            ".aws",
        ],
    ),
    (
        Protected::Dependencies,
        &[
            "site-packages",
            "dist-packages",
            ".venv",
            "venv",
            "virtualenv",
            "pyvenv.cfg",
            "node_modules",
            "bower_components",
            "vendor",
            "__pycache__",
            "*.pyc",
            "*.pyo",
            "*.egg-info",
            "*.dist-info",
            "*.so",
            "*.dll",
            "*.dylib",
        ],
    ),
];

/// Directories that are policy if they lie just here.
const POLICY: &[&str] = &["policy", "policies", "config/policy", "config/policies"];

/// What of every component is protected, and by what. It is asked for every file of a tree, again and again.
pub(super) fn built_in(parts: &[&str]) -> Option<Protected> {
    let named = |pattern: &str| parts.iter().any(|part| matches_part(pattern.as_bytes(), part.as_bytes()));
    let placed = || POLICY.iter().any(|place| matches_path(place, true, parts));
    let is = |(what, patterns): &&(Protected, &[&str])| {
        patterns.iter().any(|pattern| named(pattern)) || *what == Protected::Policy && placed()
    };
    TABLE.iter().find(is).map(|(what, _)| *what)
}

/// What an operator protects: a file or a directory below the component's, `*` standing for any letters of one part. One
/// part alone is meant at every depth; a slash at its beginning ties it to the component's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern {
    text: String,
    rooted: bool,
}

impl Pattern {
    pub(super) fn matches(&self, parts: &[&str]) -> bool {
        matches_path(&self.text, self.rooted, parts)
    }
}

/// A text that is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a pattern of paths below the component's directory")]
pub struct PatternError;

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (rooted, rest) = text.strip_prefix('/').map_or((false, text), |rest| (true, rest));
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // `*` is the only thing a pattern may have that a path may not; alone it would protect everything, which is what
        // an empty list of roots is for.
        let plain = rest.replace('*', "x");
        if plain.parse::<FilePath>().is_err() || rest.contains("**") || rest == "*" {
            return Err(PatternError);
        }
        Ok(Self { text: rest.to_ascii_lowercase(), rooted })
    }
}

/// Whether a pattern names this path or a directory that holds it. Both are in lower case.
fn matches_path(pattern: &str, rooted: bool, parts: &[&str]) -> bool {
    if !pattern.contains('/') && !rooted {
        return parts.iter().any(|part| matches_part(pattern.as_bytes(), part.as_bytes()));
    }
    let mut parts = parts.iter();
    pattern
        .split('/')
        .all(|pattern| parts.next().is_some_and(|part| matches_part(pattern.as_bytes(), part.as_bytes())))
}

/// `*` stands for any bytes. Linear but for one step back to the last `*`, so no pattern makes it slow.
fn matches_part(pattern: &[u8], part: &[u8]) -> bool {
    // Nearly all end here.
    if pattern.first().is_some_and(|first| *first != b'*' && part.first() != Some(first)) {
        return false;
    }
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = part.get(t) {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(byte) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(path: &str) -> Option<Protected> {
        let path = path.to_ascii_lowercase();
        built_in(&path.split('/').collect::<Vec<_>>())
    }

    #[test]
    fn the_table_says_what_is_protected_and_nothing_else() {
        for (path, expected) in [
            ("tests/test_app.py", Some(Protected::Tests)),
            ("src/deep/Tests/x.py", Some(Protected::Tests)),
            ("app_test.go", Some(Protected::Tests)),
            ("web/button.spec.ts", Some(Protected::Tests)),
            ("conftest.py", Some(Protected::Tests)),
            ("src/sitecustomize.py", Some(Protected::Tests)),
            ("Makefile", Some(Protected::Build)),
            (".github/workflows/ci.yml", Some(Protected::Ci)),
            ("policy/default.cedar", Some(Protected::Policy)),
            ("x/y.cedar", Some(Protected::Policy)),
            ("config/policy/x.txt", Some(Protected::Policy)),
            ("src/policy/retry.py", None),
            ("config/grants.toml", Some(Protected::Grants)),
            ("config/boot_config.json", Some(Protected::Config)),
            (".git/config", Some(Protected::VersionControl)),
            (".GIT/hooks/pre-commit", Some(Protected::VersionControl)),
            ("GIT~1/config", Some(Protected::VersionControl)),
            ("razar-state/razar.db", Some(Protected::State)),
            ("razar.db-wal", Some(Protected::State)),
            ("lib/.razar-patch-0123456789abcdef-0.whole", Some(Protected::State)),
            (".env", Some(Protected::Secrets)),
            ("keys/server.pem", Some(Protected::Secrets)),
            (".venv/lib/python3/site-packages/x.py", Some(Protected::Dependencies)),
            ("src/__pycache__/app.pyc", Some(Protected::Dependencies)),
            ("app.py", None),
            ("src/contest.py", None),
            ("latest.json", None),
            ("config/settings.toml", None),
            ("protest/march.py", None),
            ("environment.py", None),
        ] {
            assert_eq!(what(path), expected, "{path}");
        }
        for (_, patterns) in TABLE {
            for pattern in *patterns {
                assert_eq!(*pattern, pattern.to_ascii_lowercase(), "paths are compared in lower case");
                assert!(pattern.parse::<Pattern>().is_ok(), "{pattern}");
                assert!(
                    !pattern.contains('/'),
                    "`{pattern}` would never be found: places have a list of their own"
                );
            }
        }
    }

    #[test]
    fn an_operators_pattern_is_a_path_with_stars() {
        for (pattern, path, expected) in [
            ("migrations", "src/migrations/1.sql", true),
            ("/migrations", "src/migrations/1.sql", false),
            ("/migrations/", "migrations/1.sql", true),
            ("src/*.sql", "src/a.sql", true),
            ("src/*.sql", "src/x/a.sql", false),
            ("src/*/gen", "src/x/gen/a.py", true),
            ("*_pb2.py", "src/a_pb2.py", true),
            ("a*b*c", "src/aXbYc", true),
            ("a*b*c", "src/acb", false),
        ] {
            let pattern: Pattern = pattern.parse().unwrap();
            let folded = path.to_ascii_lowercase();
            assert_eq!(
                pattern.matches(&folded.split('/').collect::<Vec<_>>()),
                expected,
                "{pattern:?} {path}"
            );
        }
        for bad in ["", "/", "*", "a/**", "../x", "a//b", "/etc/../x", "a\\b", "x\n"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn many_stars_are_not_slow() {
        let pattern = "*a".repeat(60);
        assert!(!matches_part(pattern.as_bytes(), "a".repeat(200).replace('a', "ab").as_bytes()));
    }
}
