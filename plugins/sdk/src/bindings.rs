//! Generated from `wit/plugin-0.1`: one world per role, so that a plugin's component type names exactly the roles it exports.
//! Public only for the export macros.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

/// The role `probe`, and the types all roles share.
pub mod probe {
    wit_bindgen::generate!({
        path: "../../wit/plugin-0.1",
        world: "probe-plugin",
        generate_all,
        generate_unused_types: true,
        pub_export_macro: true,
        default_bindings_module: "razar_sdk::bindings::probe",
        runtime_path: "razar_sdk::bindings::runtime",
        export_macro_name: "export_probe_world",
    });
}

/// The role `agent`.
pub mod agent {
    wit_bindgen::generate!({
        path: "../../wit/plugin-0.1",
        world: "agent-plugin",
        with: { "razar:plugin/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
        default_bindings_module: "razar_sdk::bindings::agent",
        runtime_path: "razar_sdk::bindings::runtime",
        export_macro_name: "export_agent_world",
    });
}

/// The role `evaluator`.
pub mod evaluator {
    wit_bindgen::generate!({
        path: "../../wit/plugin-0.1",
        world: "evaluator-plugin",
        with: { "razar:plugin/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
        default_bindings_module: "razar_sdk::bindings::evaluator",
        runtime_path: "razar_sdk::bindings::runtime",
        export_macro_name: "export_evaluator_world",
    });
}

/// The role `tools`.
pub mod tools {
    wit_bindgen::generate!({
        path: "../../wit/plugin-0.1",
        world: "tool-plugin",
        with: { "razar:plugin/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
        default_bindings_module: "razar_sdk::bindings::tools",
        runtime_path: "razar_sdk::bindings::runtime",
        export_macro_name: "export_tools_world",
    });
}

/// `wasi:http` as the plugin calls it.
#[cfg(target_family = "wasm")]
pub mod wasi_http {
    wit_bindgen::generate!({
        inline: "package razar:sdk; world http-client { import wasi:http/outgoing-handler@0.2.12; }",
        path: "../../wit/plugin-0.1",
        generate_all,
        runtime_path: "razar_sdk::bindings::runtime",
    });
}

/// `wasi:config` as the plugin calls it.
#[cfg(target_family = "wasm")]
pub mod wasi_config {
    wit_bindgen::generate!({
        inline: "package razar:sdk; world configured { import wasi:config/store@0.2.0-rc.1; }",
        path: "../../wit/plugin-0.1",
        generate_all,
        runtime_path: "razar_sdk::bindings::runtime",
    });
}

/// `wasi:keyvalue` as the plugin calls it.
#[cfg(target_family = "wasm")]
pub mod wasi_keyvalue {
    wit_bindgen::generate!({
        inline: "package razar:sdk; world values { import wasi:keyvalue/store@0.2.0-draft; import wasi:keyvalue/atomics@0.2.0-draft; }",
        path: "../../wit/plugin-0.1",
        generate_all,
        runtime_path: "razar_sdk::bindings::runtime",
    });
}

/// `wasi:logging` as the plugin calls it.
#[cfg(target_family = "wasm")]
pub mod wasi_logging {
    wit_bindgen::generate!({
        inline: "package razar:sdk; world log { import wasi:logging/logging@0.1.0-draft; }",
        path: "../../wit/plugin-0.1",
        generate_all,
        runtime_path: "razar_sdk::bindings::runtime",
    });
}

pub use self::probe::razar::plugin::types;
/// What generated code needs at run time.
pub use wit_bindgen::rt as runtime;
