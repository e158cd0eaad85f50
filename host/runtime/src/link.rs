//! Owns the linker: which interfaces a plugin may import. All of them are linked and all of them are empty-handed;
//! what a call can reach is decided by the grant, not by what is linked. An import that is not here is refused by
//! name when the plugin is loaded.

use std::fmt;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};
use wasmtime_wasi_config::WasiConfig;

use crate::broker::files::add_room_to_linker;
use crate::broker::keyvalue::{self, add_keyvalue_to_linker};
use crate::broker::log::{self, add_logging_to_linker};
use crate::broker::tcp::{add_meter_to_linker, add_names_to_linker};
use crate::state::State;
use crate::tape::clock::add_clock_to_linker;

/// Stable WASI: any version of the 0.2 line.
const STABLE: &[(&str, &[&str])] = &[
    ("wasi:io", &["error", "poll", "streams"]),
    ("wasi:clocks", &["wall-clock", "monotonic-clock"]),
    ("wasi:random", &["random", "insecure", "insecure-seed"]),
    (
        "wasi:cli",
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("wasi:filesystem", &["types", "preopens"]),
    (
        "wasi:sockets",
        &[
            "instance-network",
            "network",
            "ip-name-lookup",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    ),
    ("wasi:http", &["types", "outgoing-handler"]),
];

/// Drafts: exactly this version.
const DRAFTS: &[&str] = &["wasi:config/store@0.2.0-rc.1"];

/// Every draft that is linked.
fn drafts() -> impl Iterator<Item = &'static str> {
    DRAFTS.iter().copied().chain(log::INTERFACES).chain(keyvalue::INTERFACES)
}

/// An interface the host does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownImport {
    /// As the plugin names it.
    pub name: String,
    /// What the host has of that name, if it has any.
    pub known: Option<String>,
}

impl fmt::Display for UnknownImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.name)?;
        match &self.known {
            Some(known) => write!(f, " (this host has `{known}`)"),
            None => Ok(()),
        }
    }
}

/// Everything a plugin may import.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    add_names_to_linker(&mut linker, State::names)?;
    add_meter_to_linker(&mut linker, State::meter)?;
    add_room_to_linker(&mut linker, State::room)?;
    add_clock_to_linker(&mut linker, State::clock)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    add_keyvalue_to_linker(&mut linker, State::keyvalue)?;
    add_logging_to_linker(&mut linker, |state| &state.log)?;
    wasmtime_wasi_config::add_to_linker(&mut linker, |state: &mut State| WasiConfig::from(&state.config))?;
    Ok(linker)
}

/// Imports of a component, in its order. One of types only (`razar:plugin/types`) asks nothing of the host.
pub(crate) fn imports(component: &Component) -> Vec<String> {
    let engine = component.engine();
    let asks = |item: &ComponentItem| match item {
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).any(|(_, export)| !matches!(export.ty, ComponentItem::Type(_)))
        }
        ComponentItem::Type(_) => false,
        _ => true,
    };
    let component = component.component_type();
    component
        .imports(engine)
        .filter(|(_, import)| asks(&import.ty))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Those of them that the host does not have: all, not only the first.
pub(crate) fn unknown(imports: &[String]) -> Vec<UnknownImport> {
    imports
        .iter()
        .filter(|name| !is_known(name))
        .map(|name| UnknownImport { name: name.clone(), known: near(name) })
        .collect()
}

fn is_known(import: &str) -> bool {
    if drafts().any(|draft| draft == import) {
        return true;
    }
    stable(import).is_some_and(|version| version.starts_with("0.2.") && !version.contains('-'))
}

/// The version, when package and interface are ours.
fn stable(import: &str) -> Option<&str> {
    let (path, version) = import.split_once('@')?;
    let (package, interface) = path.split_once('/')?;
    STABLE
        .iter()
        .any(|(known, interfaces)| *known == package && interfaces.contains(&interface))
        .then_some(version)
}

/// What the host has under the same name.
fn near(import: &str) -> Option<String> {
    let path = import.split('@').next()?;
    if stable(import).is_some() {
        return Some(format!("{path}@0.2"));
    }
    drafts().find(|draft| draft.split('@').next() == Some(path)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_interfaces_match_by_line_and_drafts_exactly() {
        for known in [
            "wasi:io/poll@0.2.0",
            "wasi:io/poll@0.2.6",
            "wasi:http/outgoing-handler@0.2.99",
            "wasi:config/store@0.2.0-rc.1",
            "wasi:logging/logging@0.1.0-draft",
            "wasi:logging/logging",
            "wasi:keyvalue/store@0.2.0-draft",
            "wasi:keyvalue/atomics@0.2.0-draft",
            "wasi:keyvalue/batch@0.2.0-draft",
        ] {
            assert!(unknown(&[known.to_owned()]).is_empty(), "{known}");
        }
        for (import, near) in [
            ("wasi:io/poll@0.3.0", Some("wasi:io/poll@0.2")),
            ("wasi:io/poll@0.2.0-rc.1", Some("wasi:io/poll@0.2")),
            ("wasi:config/store@0.2.0", Some("wasi:config/store@0.2.0-rc.1")),
            ("wasi:logging/logging@0.1.0", Some("wasi:logging/logging@0.1.0-draft")),
            ("wasi:keyvalue/store@0.2.0-draft2", Some("wasi:keyvalue/store@0.2.0-draft")),
            ("wasi:keyvalue/watcher@0.2.0-draft", None),
            ("wasi:http/incoming-handler@0.2.0", None),
            ("wasi:io/poll", None),
            ("evil:host/api@1.0.0", None),
            ("env", None),
        ] {
            let found = unknown(&[import.to_owned()]);
            assert_eq!(
                found,
                [UnknownImport { name: import.into(), known: near.map(str::to_owned) }],
                "{import}"
            );
        }
    }

    #[test]
    fn every_interface_of_the_table_is_linked() {
        let engine = wasmtime::Engine::new(&crate::engine::config(crate::engine::Flavor::Plain)).unwrap();
        let linker = linker(&engine).unwrap();
        let names = STABLE
            .iter()
            .flat_map(|(package, interfaces)| {
                interfaces.iter().map(move |name| format!("{package}/{name}@0.2.0"))
            })
            .chain(drafts().map(str::to_owned));
        for name in names {
            let text = format!("(component (import \"{name}\" (instance)))");
            let component = Component::new(&engine, wat::parse_str(&text).unwrap()).unwrap();
            linker.instantiate_pre(&component).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        }
    }
}
