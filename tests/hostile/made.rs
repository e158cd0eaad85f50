//! The guests that need no toolchain: core modules in text, wrapped as the runtime's own tests wrap theirs, and bytes
//! that are no component at all. Large ones are made here because nobody wants them in a repository.

use std::fmt::Write as _;
use std::path::Path;

use razar_tests::repository;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WORLDS: &str = r"
    package test:hostile@1.0.0;
    world probe { export razar:plugin/probe@0.1.0; }
    world stranger { import nowhere; export razar:plugin/probe@0.1.0; }
    world crowd { IMPORTS export razar:plugin/probe@0.1.0; }
    world none { export other; }
    world clocks { import wasi:clocks/monotonic-clock@0.2.0; import wasi:io/poll@0.2.0; export razar:plugin/probe@0.1.0; }
    interface nowhere { beam-me-up: func(); }
    interface other { run: func(); }
";

const WASI: [&str; 2] = [
    "package wasi:io@0.2.0; interface poll { resource pollable { block: func(); } }",
    "package wasi:clocks@0.2.0; interface monotonic-clock { use wasi:io/poll@0.2.0.{pollable};
     subscribe-duration: func(when: u64) -> pollable; }",
];

const CLOCK: &str = r#"
    (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $subscribe (param i64) (result i32)))
    (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
    (import "wasi:io/poll@0.2.0" "[resource-drop]pollable" (func $drop (param i32)))"#;

/// Interfaces that one guest imports and no host has.
const CROWD: usize = 2_000;

/// Leaves the address of forty zero bytes: a healthy report without words.
const HEALTHY: &str = "(i32.const 64)";

/// A guest's name and how it is made.
type Guest = (&'static str, fn() -> Vec<u8>);

/// All of them.
const GUESTS: &[Guest] = &[
    ("healthy", || probe(HEALTHY, "")),
    ("spin-at-start", || probe(HEALTHY, "(func $s (loop $l (br $l))) (start $s)")),
    ("trap-at-start", || probe(HEALTHY, "(func $s (unreachable)) (start $s)")),
    // Says `degraded` when it was refused.
    ("grow", || {
        probe(
            "(i32.store8 (i32.const 68) (i32.eq (memory.grow (i32.const 512)) (i32.const -1))) (i32.const 64)",
            "",
        )
    }),
    ("memory-32-mib", || component("probe", &module(HEALTHY, "", 512))),
    ("memory-4-gib", || component("probe", &module(HEALTHY, "", 65_536))),
    ("table-100-thousand", || probe(HEALTHY, "(table 100000 funcref)")),
    ("table-4-billion", || probe(HEALTHY, "(table 4294967295 funcref)")),
    ("tables-40", || probe(HEALTHY, &"(table 1 funcref)".repeat(40))),
    // Grows by the number in its settings, and says `degraded` when that was refused.
    ("table-grow", || {
        probe(
            "(i32.store8 (i32.const 68) (i32.eq (table.grow $t (ref.null func) (call $number (local.get 7) (local.get 8))) (i32.const -1))) (i32.const 64)",
            &format!("(table $t 1 funcref) {NUMBER}"),
        )
    }),
    ("memories-101", || instances(101, "(memory 1)")),
    ("instances-128", || instances(127, "")),
    ("tables-1040", || instances(26, &"(table 1 funcref)".repeat(40))),
    ("recursion", || probe("(drop (call $r (i32.const -1))) (i32.const 64)", RECURSION)),
    ("recursion-of-100", || probe("(drop (call $r (i32.const 100))) (i32.const 64)", RECURSION)),
    ("memory64", || text("(component (core module (memory i64 1)))")),
    ("multi-memory", || text("(component (core module (memory 1) (memory 1)))")),
    ("shared-memory", || text("(component (core module (memory 1 1 shared)))")),
    ("relaxed-simd", || {
        text(
            "(component (core module (func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))))",
        )
    }),
    ("double-drop", || {
        clocked(
            "(local.set 0 (call $subscribe (i64.const 1))) (call $drop (local.get 0)) (call $drop (local.get 0)) (i32.const 64)",
        )
    }),
    ("use-after-drop", || {
        clocked(
            "(local.set 0 (call $subscribe (i64.const 1))) (call $drop (local.get 0)) (call $block (local.get 0)) (i32.const 64)",
        )
    }),
    ("foreign-handle", || clocked("(call $block (i32.const 4711)) (i32.const 64)")),
    // Calls the host while the host hands it a text.
    ("calls-out-of-realloc", || {
        let own = "(drop (call $subscribe (i64.const 1))) (local.get $at))";
        component("clocks", &module(HEALTHY, CLOCK, 1).replace("(local.get $at))", own))
    }),
    // Calls the host after its answer, where it only may clear up.
    ("calls-out-afterwards", || {
        let after = r#"(func (export "cabi_post_razar:plugin/probe@0.1.0#check") (param i32)
            (drop (call $subscribe (i64.const 1))))"#;
        component("clocks", &module(HEALTHY, &format!("{CLOCK} {after}"), 1))
    }),
    ("not-utf8", || {
        probe(
            "(i32.store8 (i32.const 200) (i32.const 255)) (i32.store (i32.const 80) (i32.const 200)) (i32.store (i32.const 84) (i32.const 1)) (i32.const 64)",
            "",
        )
    }),
    ("outside-memory", || {
        probe(
            "(i32.store (i32.const 80) (i32.const 4096)) (i32.store (i32.const 84) (i32.const -1)) (i32.const 64)",
            "",
        )
    }),
    ("unknown-variant", || probe("(i32.store8 (i32.const 64) (i32.const 9)) (i32.const 64)", "")),
    ("empty", Vec::new),
    ("four-bytes", || b"\0asm".to_vec()),
    ("text", || b"(component)".to_vec()),
    ("module", || text("(module)")),
    ("native", || [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 64]].concat()),
    ("script", || b"#!/bin/sh\necho hello\n".to_vec()),
    ("half", || {
        let whole = probe(HEALTHY, "");
        whole.get(..whole.len() / 2).unwrap_or_default().to_vec()
    }),
    ("stranger", || {
        let import = r#"(import "test:hostile/nowhere@1.0.0" "beam-me-up" (func $beam))"#;
        component("stranger", &module("(call $beam) (i32.const 64)", import, 1))
    }),
    ("crowd", crowd),
    ("other-world", || component("none", r#"(module (func (export "test:hostile/other@1.0.0#run")))"#)),
    ("no-world", || text("(component)")),
    ("wrong-type", || instances(0, "")),
    ("names-that-draw", || {
        let name = "\\1b[2J\\0d\\0a2026-11-21 INFO all is well".repeat(40);
        text(&format!(r#"(component (core module (func (export "{name}")) (func (export "{name}"))))"#))
    }),
    ("functions-50-thousand", || probe(HEALTHY, &"(func)".repeat(50_001))),
    ("function-of-600-kib", || probe(HEALTHY, &format!("(func {})", "(drop (i32.const 0))".repeat(200_000)))),
    ("locals-3-thousand", || probe(HEALTHY, &format!("(func (local {}))", "i32 ".repeat(3_000)))),
    ("levels-9", || text(&format!("{}{}", "(component ".repeat(9), ")".repeat(9)))),
    ("modules-65", || text(&format!("(component {})", "(core module)".repeat(65)))),
    ("items-half-a-million", || probe(HEALTHY, &"(global i32 (i32.const 0))".repeat(500_001))),
    ("file-of-41-mib", || with_custom(41 << 20)),
    ("custom-33-mib", || with_custom(33 << 20)),
];

const RECURSION: &str = "(func $r (param i32) (result i32) (if (result i32) (local.get 0)
    (then (i32.add (call $r (i32.sub (local.get 0) (i32.const 1))) (i32.const 1))) (else (i32.const 0))))";

/// Reads a number out of a text: all its digits, one after the other.
const NUMBER: &str =
    "(func $number (param $at i32) (param $left i32) (result i32) (local $n i32) (local $digit i32)
    (loop $next (if (local.get $left) (then
        (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
        (if (i32.lt_u (local.get $digit) (i32.const 10)) (then
            (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 10)) (local.get $digit)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next))))
    (local.get $n))";

/// Something by a probe's name that is none, and so many more instances of a module with this in it.
fn instances(count: usize, of: &str) -> Vec<u8> {
    text(&format!(
        r#"(component
            (core module $other {of})
            {}
            (core module $m (func (export "check")))
            (core instance $i (instantiate $m))
            (func $check (canon lift (core func $i "check")))
            (instance $probe (export "check" (func $check)))
            (export "razar:plugin/probe@0.1.0" (instance $probe)))"#,
        "(core instance (instantiate $other))".repeat(count)
    ))
}

/// The core module of a probe whose `check` has this body, with more beside it.
fn module(body: &str, extra: &str, pages: u32) -> String {
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

fn probe(body: &str, extra: &str) -> Vec<u8> {
    component("probe", &module(body, extra, 1))
}

fn clocked(body: &str) -> Vec<u8> {
    component("clocks", &module(body, CLOCK, 1))
}

/// A component of a world, from the text of its core module.
fn component(world: &str, module: &str) -> Vec<u8> {
    let imports = (0..CROWD).map(|n| format!("import stranger-{n}: func(); ")).collect::<String>();
    let mut resolve = Resolve::default();
    resolve.push_dir(repository().join("wit/plugin-0.1")).expect("the contract");
    for package in WASI {
        resolve.push_str("wasi.wit", package).expect("WASI");
    }
    let package = resolve.push_str("hostile.wit", &WORLDS.replace("IMPORTS", &imports)).expect("the worlds");
    let world = resolve.select_world(&[package], Some(world)).expect("a world");
    let mut module = text(module);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("a world fits");
    ComponentEncoder::default().module(&module).expect("a module").encode().expect("a component")
}

fn text(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Imports more than anybody would list.
fn crowd() -> Vec<u8> {
    let (mut imports, mut calls) = (String::new(), String::new());
    for n in 0..CROWD {
        let _ = write!(imports, r#"(import "$root" "stranger-{n}" (func $f{n}))"#);
        let _ = write!(calls, "(call $f{n})");
    }
    component("crowd", &module(&format!("{calls} (i32.const 64)"), &imports, 1))
}

/// The healthy one with a custom section of so many bytes.
fn with_custom(bytes: u32) -> Vec<u8> {
    let mut wasm = probe(HEALTHY, "");
    let mut size = bytes + 2;
    wasm.push(0);
    loop {
        let low = u8::try_from(size & 0x7f).unwrap_or_default();
        size >>= 7;
        wasm.push(low | if size > 0 { 0x80 } else { 0 });
        if size == 0 {
            break;
        }
    }
    wasm.extend(b"\x01x");
    wasm.resize(wasm.len() + bytes as usize, 0);
    wasm
}

/// Writes those that are missing. They never change but with this file, whose build makes the folder anew.
pub(crate) fn write_all(folder: &Path) {
    for (name, make) in GUESTS {
        std::fs::write(folder.join(format!("{name}.wasm")), make()).expect("a guest");
    }
}
