//! Small components, written as core modules in text and wrapped by `wit-component`, so that no wasm toolchain is
//! needed to show how hostile ones are met.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The contract, and a world that imports what no host has.
const WORLDS: &str = r"
    package test:guests@1.0.0;
    world probe { export razar:plugin/probe@0.1.0; }
    world agent { export razar:plugin/agent@0.1.0; }
    world unknown { import nowhere; export razar:plugin/probe@0.1.0; }
    world several { export razar:plugin/probe@0.1.0; export extra: func(); }
    world none { export other; }
    world changed { export changed-probe; }
    world exits { import wasi:cli/exit@0.2.0; export razar:plugin/probe@0.1.0; }
    world random { import wasi:random/random@0.2.0; export razar:plugin/probe@0.1.0; }
    world clocks { import wasi:clocks/monotonic-clock@0.2.0; import wasi:io/poll@0.2.0; export razar:plugin/probe@0.1.0; }
    interface nowhere { beam-me-up: func(); }
    interface other { run: func(); }
    interface changed-probe { check: func(); }
";

const WASI: &[&str] = &[
    "package wasi:cli@0.2.0; interface exit { exit: func(status: result); }",
    "package wasi:random@0.2.0; interface random { get-random-bytes: func(len: u64) -> list<u8>; }",
    "package wasi:io@0.2.0; interface poll { resource pollable { block: func(); } }",
    r"package wasi:clocks@0.2.0; interface monotonic-clock { use wasi:io/poll@0.2.0.{pollable};
      subscribe-duration: func(when: u64) -> pollable; }",
];

/// A component of a world, from the text of its core module.
pub(crate) fn component(world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/plugin-0.1"))).unwrap();
    for package in WASI {
        resolve.push_str("wasi.wit", package).unwrap();
    }
    let package = resolve.push_str("guests.wit", WORLDS).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = wat::parse_str(module).unwrap_or_else(|error| panic!("{error}"));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// The core module of a probe whose `check` has this body; it must leave the address of the answer. At 64 lie forty
/// zero bytes: a healthy report without words. `extra` goes beside the function.
pub(crate) fn module(body: &str, extra: &str) -> String {
    module_with_pages(body, extra, 1)
}

/// The same with so many pages of memory.
pub(crate) fn module_with_pages(body: &str, extra: &str, pages: u32) -> String {
    let parameters = "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)";
    format!(
        r#"(module
            {extra}
            (memory (export "memory") {pages})
            (global $next (mut i32) (i32.const 4096))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func (export "razar:plugin/probe@0.1.0#check") {parameters} (result i32) {body}))"#
    )
}

/// A probe with this body.
pub(crate) fn probe(body: &str) -> Vec<u8> {
    component("probe", &module(body, ""))
}

/// Always healthy.
pub(crate) fn healthy() -> Vec<u8> {
    probe("(i32.const 64)")
}

const CLOCK: &str = r#"
    (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $subscribe (param i64) (result i32)))
    (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))"#;

/// Waits inside the host for ten thousand seconds.
pub(crate) fn sleeper() -> Vec<u8> {
    component(
        "clocks",
        &module("(call $block (call $subscribe (i64.const 10000000000000))) (i32.const 64)", CLOCK),
    )
}

/// Asks for one resource after the other and gives none back.
pub(crate) fn hoarder() -> Vec<u8> {
    component(
        "clocks",
        &module("(loop $l (drop (call $subscribe (i64.const 1))) (br $l)) (i32.const 64)", CLOCK),
    )
}

/// Healthy after so many milliseconds.
pub(crate) fn pause(ms: u32) -> Vec<u8> {
    let body =
        format!("(call $block (call $subscribe (i64.const {}))) (i32.const 64)", u64::from(ms) * 1_000_000);
    component("clocks", &module(&body, CLOCK))
}
