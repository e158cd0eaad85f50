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
    world logs { import wasi:logging/logging@0.1.0-draft; export razar:plugin/probe@0.1.0; }
    world old-logs { import wasi:logging/logging; export razar:plugin/probe@0.1.0; }
    world prints { import wasi:cli/stdout@0.2.0; import wasi:io/streams@0.2.0; export razar:plugin/probe@0.1.0; }
    world values { import wasi:keyvalue/store@0.2.0-draft; import wasi:keyvalue/atomics@0.2.0-draft;
        export razar:plugin/probe@0.1.0; }
    world http { import wasi:http/types@0.2.12; import wasi:http/outgoing-handler@0.2.12; import wasi:io/poll@0.2.12;
        export razar:plugin/probe@0.1.0; }
    world sockets { import wasi:sockets/instance-network@0.2.12; import wasi:sockets/ip-name-lookup@0.2.12;
        import wasi:sockets/tcp@0.2.12; import wasi:sockets/tcp-create-socket@0.2.12; import wasi:io/poll@0.2.12;
        import wasi:io/streams@0.2.12; export razar:plugin/probe@0.1.0; }
    world clocks { import wasi:clocks/monotonic-clock@0.2.0; import wasi:io/poll@0.2.0; export razar:plugin/probe@0.1.0; }
    world files { import wasi:filesystem/preopens@0.2.12; import wasi:filesystem/types@0.2.12;
        export razar:plugin/probe@0.1.0; }
    interface nowhere { beam-me-up: func(); }
    interface other { run: func(); }
    interface changed-probe { check: func(); }
";

const WASI: &[&str] = &[
    r"package wasi:io@0.2.0; interface poll { resource pollable { block: func(); } }
      interface error { resource error; }
      interface streams { use error.{error}; variant stream-error { last-operation-failed(error), closed }
        resource output-stream {
          blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; } }",
    r"package wasi:cli@0.2.0; interface exit { exit: func(status: result); }
      interface stdout { use wasi:io/streams@0.2.0.{output-stream}; get-stdout: func() -> output-stream; }",
    "package wasi:logging; interface logging { enum level { trace, debug, info, warn, error, critical }
     log: func(level: level, context: string, message: string); }",
    "package wasi:random@0.2.0; interface random { get-random-bytes: func(len: u64) -> list<u8>; }",
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

/// Logs one message of so many bytes, so many times, with this level and a context of two bytes, `db`, under the
/// versioned name of the interface or the one without.
pub(crate) fn logger(world: &str, level: u32, bytes: u32, times: u32) -> Vec<u8> {
    let name = if world == "logs" { "wasi:logging/logging@0.1.0-draft" } else { "wasi:logging/logging" };
    let extra = format!(
        r#"(import "{name}" "log" (func $log (param i32 i32 i32 i32 i32)))
           (global $left (mut i32) (i32.const {times}))
           (data (i32.const 300) "db") (data (i32.const 4000) "slow\n\1b[2K and more")"#
    );
    let body = format!(
        "(loop $l
            (call $log (i32.const {level}) (i32.const 300) (i32.const 2) (i32.const 4000) (i32.const {bytes}))
            (global.set $left (i32.sub (global.get $left) (i32.const 1)))
            (br_if $l (global.get $left)))
         (i32.const 64)"
    );
    component(world, &module_with_pages(&body, &extra, 16))
}

/// Prints 4,096 bytes on its standard output, so many times.
pub(crate) fn printer(times: u32) -> Vec<u8> {
    let extra = format!(
        r#"(import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
           (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
               (func $write (param i32 i32 i32 i32)))
           (global $left (mut i32) (i32.const {times}))"#
    );
    let body = "(local $out i32) (local.set $out (call $stdout))
        (loop $l
            (call $write (local.get $out) (i32.const 8192) (i32.const 4096) (i32.const 200))
            (global.set $left (i32.sub (global.get $left) (i32.const 1)))
            (br_if $l (global.get $left)))
        (i32.const 64)";
    component("prints", &module(body, &extra))
}

/// Opens the store `counts` and adds one to `n`. The sum, one digit, is its summary; it is unhealthy when the store is
/// denied and degraded when the number is refused.
pub(crate) fn counter() -> Vec<u8> {
    let extra = r#"
        (import "wasi:keyvalue/store@0.2.0-draft" "open" (func $open (param i32 i32 i32)))
        (import "wasi:keyvalue/atomics@0.2.0-draft" "increment" (func $increment (param i32 i32 i32 i64 i32)))
        (data (i32.const 300) "counts") (data (i32.const 320) "n")"#;
    let body = "
        (call $open (i32.const 300) (i32.const 6) (i32.const 200))
        (if (i32.load8_u (i32.const 200)) (then
            (i32.store8 (i32.const 68) (i32.sub (i32.const 3) (i32.load8_u (i32.const 204))))
            (return (i32.const 64))))
        (call $increment (i32.load (i32.const 204)) (i32.const 320) (i32.const 1) (i64.const 1) (i32.const 208))
        (if (i32.load8_u (i32.const 208)) (then
            (i32.store8 (i32.const 68) (i32.const 1))
            (return (i32.const 64))))
        (i32.store8 (i32.const 240) (i32.add (i32.const 48) (i32.load (i32.const 216))))
        (i32.store (i32.const 80) (i32.const 240)) (i32.store (i32.const 84) (i32.const 1))
        (i32.const 64)";
    component("values", &module(body, extra))
}

const SOCKETS: &str = r#"
    (import "wasi:sockets/instance-network@0.2.12" "instance-network" (func $network (result i32)))
    (import "wasi:sockets/ip-name-lookup@0.2.12" "resolve-addresses" (func $resolve (param i32 i32 i32 i32)))
    (import "wasi:sockets/ip-name-lookup@0.2.12" "[method]resolve-address-stream.resolve-next-address"
        (func $next (param i32 i32)))
    (import "wasi:sockets/ip-name-lookup@0.2.12" "[method]resolve-address-stream.subscribe"
        (func $soon (param i32) (result i32)))
    (import "wasi:sockets/tcp-create-socket@0.2.12" "create-tcp-socket" (func $socket (param i32 i32)))
    (import "wasi:sockets/tcp@0.2.12" "[method]tcp-socket.start-connect"
        (func $start (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "wasi:sockets/tcp@0.2.12" "[method]tcp-socket.finish-connect" (func $finish (param i32 i32)))
    (import "wasi:sockets/tcp@0.2.12" "[method]tcp-socket.subscribe" (func $ready (param i32) (result i32)))
    (import "wasi:io/poll@0.2.12" "[method]pollable.block" (func $block (param i32)))
    (import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-write-and-flush"
        (func $write (param i32 i32 i32 i32)))
    (import "wasi:io/streams@0.2.12" "[method]input-stream.blocking-read" (func $read (param i32 i64 i32)))
    (global $net (mut i32) (i32.const 0))
    ;; Looks up the name at 300: 0 and its first address, an IPv4 one, at 400; else 1 and the error's number at 500.
    (func $lookup (param $length i32) (result i32)
        (local $answers i32)
        (call $resolve (global.get $net) (i32.const 300) (local.get $length) (i32.const 200))
        (local.set $answers (i32.load (i32.const 204)))
        (call $block (call $soon (local.get $answers)))
        (call $next (local.get $answers) (i32.const 220))
        (if (i32.load8_u (i32.const 220)) (then
            (i32.store8 (i32.const 500) (i32.load8_u (i32.const 222)))
            (return (i32.const 1))))
        (i32.store (i32.const 400) (i32.load (i32.const 226)))
        (i32.const 0))
    ;; Connects to the four bytes at 400: 0 and the streams at 244 and 248, or 1.
    (func $connect (param $port i32) (result i32)
        (local $tcp i32)
        (call $socket (i32.const 0) (i32.const 200))
        (local.set $tcp (i32.load (i32.const 204)))
        (call $start (local.get $tcp) (global.get $net) (i32.const 0) (local.get $port)
            (i32.load8_u (i32.const 400)) (i32.load8_u (i32.const 401))
            (i32.load8_u (i32.const 402)) (i32.load8_u (i32.const 403))
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 230))
        (if (i32.load8_u (i32.const 230)) (then (return (i32.const 1))))
        (call $block (call $ready (local.get $tcp)))
        (call $finish (local.get $tcp) (i32.const 240))
        (i32.load8_u (i32.const 240)))"#;

/// A guest with sockets: it has the helpers above, and its summary is what stands at 600, so many bytes.
fn with_sockets(body: &str, extra: &str) -> Vec<u8> {
    let body = format!("(global.set $net (call $network)) {body}");
    component("sockets", &module_with_pages(&body, &format!("{SOCKETS} {extra}"), 4))
}

/// A guest that looks a name up so many times, and what it does when the last one failed (`$failed`) or did not.
fn looking_up(name: &str, times: u32, then: &str) -> Vec<u8> {
    let extra = format!(
        r#"(data (i32.const 300) "{name}") (global $left (mut i32) (i32.const {times}))
           (global $failed (mut i32) (i32.const 0))"#
    );
    let body = format!(
        "(loop $l
            (global.set $failed (call $lookup (i32.const {})))
            (global.set $left (i32.sub (global.get $left) (i32.const 1)))
            (br_if $l (global.get $left)))
         {then}
         (i32.const 64)",
        name.len()
    );
    with_sockets(&body, &extra)
}

/// Looks a name up so many times; degraded when the last one failed, and the error's number, as a letter after `a`, is
/// the summary.
pub(crate) fn resolver(name: &str, times: u32) -> Vec<u8> {
    let tell = "(if (global.get $failed) (then
            (i32.store8 (i32.const 68) (i32.const 1))
            (i32.store8 (i32.const 600) (i32.add (i32.const 97) (i32.load8_u (i32.const 500))))
            (i32.store (i32.const 80) (i32.const 600)) (i32.store (i32.const 84) (i32.const 1))))";
    looking_up(name, times, tell)
}

/// Looks a name up, so many times, and connects to what came of the last; unhealthy when it had no address, degraded
/// when it may not be dialed.
pub(crate) fn caller(name: &str, times: u32, port: u16) -> Vec<u8> {
    let dial = format!(
        "(if (global.get $failed) (then (i32.store8 (i32.const 68) (i32.const 2)) (return (i32.const 64))))
         (if (call $connect (i32.const {port})) (then (i32.store8 (i32.const 68) (i32.const 1))))"
    );
    looking_up(name, times, &dial)
}

/// Connects to this machine and writes until it may not; degraded when it could not connect.
pub(crate) fn sender(port: u16) -> Vec<u8> {
    stream(port, "(call $write (i32.load (i32.const 248)) (i32.const 8192) (i32.const 4096) (i32.const 260))")
}

/// Connects to this machine and reads until it may not; degraded when it could not connect.
pub(crate) fn receiver(port: u16) -> Vec<u8> {
    let next = "(global.set $next (i32.const 8192))
        (call $read (i32.load (i32.const 244)) (i64.const 4096) (i32.const 260))";
    stream(port, next)
}

fn stream(port: u16, step: &str) -> Vec<u8> {
    let body = format!(
        r"(i32.store (i32.const 400) (i32.const 0x0100007f))
          (if (call $connect (i32.const {port})) (then
            (i32.store8 (i32.const 68) (i32.const 1)) (return (i32.const 64))))
          (loop $l {step} (br_if $l (i32.eqz (i32.load8_u (i32.const 260)))))
          (i32.const 64)"
    );
    with_sockets(&body, "")
}

/// Appends one field of 1,000 bytes after the other to a header it never sends.
pub(crate) fn verbose_header() -> Vec<u8> {
    let extra = r#"
        (import "wasi:http/types@0.2.12" "[constructor]fields" (func $fields (result i32)))
        (import "wasi:http/types@0.2.12" "[method]fields.append" (func $append (param i32 i32 i32 i32 i32 i32)))
        (data (i32.const 300) "x-filler") (func $fill (memory.fill (i32.const 8192) (i32.const 97) (i32.const 1000)))"#;
    let body = "(local $header i32) (call $fill) (local.set $header (call $fields))
        (loop $l
            (call $append (local.get $header) (i32.const 300) (i32.const 8) (i32.const 8192) (i32.const 1000)
                (i32.const 200))
            (br_if $l (i32.eqz (i32.load8_u (i32.const 200)))))
        (i32.const 64)";
    component("http", &module(body, extra))
}

/// Sends `GET /` to this machine and waits for the beginning of an answer, whatever it is.
pub(crate) fn getter(port: u16) -> Vec<u8> {
    getter_with(port, &[])
}

/// The same with these headers, set in this order.
pub(crate) fn getter_with(port: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let authority = format!("127.0.0.1:{port}");
    let (mut words, mut set) = (String::new(), String::new());
    for (name, value) in headers {
        let at = 1_000 + words.len();
        set.push_str(&format!(
            "(call $append (local.get $header) (i32.const {at}) (i32.const {}) (i32.const {}) (i32.const {}) (i32.const 200))",
            name.len(), at + name.len(), value.len(),
        ));
        words.push_str(name);
        words.push_str(value);
    }
    let extra = format!(
        r#"(import "wasi:http/types@0.2.12" "[constructor]fields" (func $fields (result i32)))
        (import "wasi:http/types@0.2.12" "[method]fields.append" (func $append (param i32 i32 i32 i32 i32 i32)))
        (import "wasi:http/types@0.2.12" "[constructor]outgoing-request" (func $request (param i32) (result i32)))
        (import "wasi:http/types@0.2.12" "[method]outgoing-request.set-scheme"
            (func $scheme (param i32 i32 i32 i32 i32) (result i32)))
        (import "wasi:http/types@0.2.12" "[method]outgoing-request.set-authority"
            (func $authority (param i32 i32 i32 i32) (result i32)))
        (import "wasi:http/types@0.2.12" "[method]outgoing-request.set-path-with-query"
            (func $path (param i32 i32 i32 i32) (result i32)))
        (import "wasi:http/types@0.2.12" "[method]future-incoming-response.subscribe"
            (func $soon (param i32) (result i32)))
        (import "wasi:http/outgoing-handler@0.2.12" "handle" (func $handle (param i32 i32 i32 i32)))
        (import "wasi:io/poll@0.2.12" "[method]pollable.block" (func $block (param i32)))
        (data (i32.const 299) "/{authority}") (data (i32.const 1000) "{words}")"#
    );
    let body = format!(
        "(local $request i32) (local $header i32) (local.set $header (call $fields)) {set}
        (local.set $request (call $request (local.get $header)))
        (drop (call $scheme (local.get $request) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
        (drop (call $authority (local.get $request) (i32.const 1) (i32.const 300) (i32.const {})))
        (drop (call $path (local.get $request) (i32.const 1) (i32.const 299) (i32.const 1)))
        (call $handle (local.get $request) (i32.const 0) (i32.const 0) (i32.const 200))
        (if (i32.load8_u (i32.const 200)) (then (i32.store8 (i32.const 68) (i32.const 1)) (return (i32.const 64))))
        (call $block (call $soon (i32.load (i32.const 208))))
        (i32.const 64)",
        authority.len()
    );
    component("http", &module(&body, &extra))
}

const FILES: &str = r#"
    (import "wasi:filesystem/preopens@0.2.12" "get-directories" (func $directories (param i32)))
    (import "wasi:filesystem/types@0.2.12" "[method]descriptor.create-directory-at"
        (func $mkdir (param i32 i32 i32 i32)))
    (import "wasi:filesystem/types@0.2.12" "[method]descriptor.open-at"
        (func $open (param i32 i32 i32 i32 i32 i32 i32)))
    (import "wasi:filesystem/types@0.2.12" "[method]descriptor.set-size" (func $size (param i32 i64 i32)))
    (data (i32.const 300) "abcdefghijklmnopqrstuvwxyz") (data (i32.const 340) "file")
    (global $root (mut i32) (i32.const 0))
    (global $file (mut i32) (i32.const 0))
    (global $told (mut i32) (i32.const 0))
    (func $tell
        (i32.store8 (i32.add (i32.const 600) (global.get $told)) (if (result i32) (i32.load8_u (i32.const 220))
            (then (i32.add (i32.const 97) (i32.load8_u (i32.const 221)))) (else (i32.const 46))))
        (global.set $told (i32.add (global.get $told) (i32.const 1))))"#;

/// A guest with a directory, that tells of each step `.` when it was done, else the error's number as a letter after `a`.
fn with_directory(steps: &str) -> Vec<u8> {
    let body = format!(
        "(call $directories (i32.const 200))
         (global.set $root (i32.load (i32.load (i32.const 200))))
         {steps}
         (i32.store (i32.const 80) (i32.const 600)) (i32.store (i32.const 84) (global.get $told))
         (i32.const 64)"
    );
    component("files", &module(&body, FILES))
}

/// Makes so many directories.
pub(crate) fn directories(count: u32) -> Vec<u8> {
    let step = |name: u32| {
        format!(
            "(call $mkdir (global.get $root) (i32.const {}) (i32.const 1) (i32.const 220)) (call $tell)",
            300 + name
        )
    };
    with_directory(&(0..count).map(step).collect::<String>())
}

/// Makes a file, and then as long as this, and this.
pub(crate) fn sizes(sizes: &[u64]) -> Vec<u8> {
    let step = |size: &u64| {
        format!("(call $size (global.get $file) (i64.const {size}) (i32.const 220)) (call $tell)")
    };
    let open = "(call $open (global.get $root) (i32.const 0) (i32.const 340) (i32.const 4) (i32.const 1) (i32.const 3)
            (i32.const 240))
        (global.set $file (i32.load (i32.const 244)))";
    with_directory(&format!("{open} {}", sizes.iter().map(step).collect::<String>()))
}
