//! Two hundred plugins with their code in the cache: until all of them can be called, ours beside reading the same code,
//! checking the same MAC over it, and making it runnable. They are `probe-tcp` two hundred times, each with a custom section
//! of its own, so that each has an identity and code of its own.

use std::path::Path;
use std::time::Instant;

use razar_core::id::PluginId;
use wasmtime::component::Component;

use crate::figure::{Bar, Figure, least, median};
use crate::ours::{package, runtime, threads};
use crate::raw;

const PLUGINS: usize = 200;
const ROUNDS: usize = 9;
/// Threads of both sides.
const THREADS: usize = 2;
const KEY: [u8; 32] = [7; 32];

pub(crate) fn measure() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ready");
    let (packages, cache, codes) = (dir.join("packages"), dir.join("cache"), dir.join("codes"));
    let package = package("probe-tcp");
    let engine = raw::Engine::new(None);
    std::fs::create_dir_all(&codes).unwrap();
    let code = engine.wasm.precompile_component(&package.wasm).unwrap();
    for index in 0..PLUGINS {
        let name = format!("probe-{index:03}");
        let place = packages.join(&name);
        std::fs::create_dir_all(&place).unwrap();
        let manifest = format!(
            "name = \"{name}\"\nversion = \"0.1.0\"\nwasm = \"plugin.wasm\"\ndescription = \"one of many\"\n\n[request]\ntcp = [\"{{target}}\"]\n"
        );
        std::fs::write(place.join("plugin.toml"), manifest).unwrap();
        let mut wasm = package.wasm.to_vec();
        // A custom section: number 0, its size, the size of its name, its name.
        let length = u8::try_from(name.len()).unwrap();
        wasm.extend([0, length + 1, length]);
        wasm.extend(name.as_bytes());
        std::fs::write(place.join("plugin.wasm"), wasm).unwrap();
        let mut file = blake3::keyed_hash(&KEY, &code).as_bytes().to_vec();
        file.extend_from_slice(&code);
        std::fs::write(codes.join(format!("{index}.cwasm")), file).unwrap();
    }
    let tokio = threads(THREADS);
    let ours = || {
        let runtime = runtime(None, Some(cache.clone()));
        let begun = Instant::now();
        let plugins = tokio.block_on(runtime.load_dir(&packages, &Default::default())).unwrap();
        let took = begun.elapsed().as_secs_f64() * 1e3;
        assert!(plugins.failed().is_empty(), "{:?}", plugins.failed());
        assert!(plugins.get(&"probe-007".parse::<PluginId>().unwrap()).is_some());
        took
    };
    ours(); // compiles, the first time
    let raw = || {
        let engine = raw::Engine::new(None);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (engine, codes) = (&engine, &codes);
                scope.spawn(move || {
                    let own = (thread..PLUGINS).step_by(THREADS);
                    own.map(|index| load(engine, &codes.join(format!("{index}.cwasm")))).collect::<Vec<_>>()
                });
            }
        });
        begun.elapsed().as_secs_f64() * 1e3
    };
    let (mut our_times, mut raw_times, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (our, raw) = (ours(), raw());
        our_times.push(our);
        raw_times.push(raw);
        ratios.push(our / raw);
    }
    Figure {
        name: "200 cached plugins ready over raw with the same MAC",
        value: median(&ratios),
        unit: "×",
        bar: Bar::AtMost(1.5),
        detail: format!(
            "{} KiB of wasm, {} KiB of code each: raw {:.0} ms (min {:.0}), ours {:.0} ms (min {:.0})",
            package.wasm.len() >> 10,
            code.len() >> 10,
            median(&raw_times),
            least(&raw_times),
            median(&our_times),
            least(&our_times)
        ),
    }
    .tell();
}

#[expect(unsafe_code, reason = "the bench compiled this file a moment ago")]
fn load(engine: &raw::Engine, file: &Path) -> raw::Probe {
    let bytes = std::fs::read(file).unwrap();
    let (mac, code) = bytes.split_at(32);
    assert!(blake3::keyed_hash(&KEY, code) == blake3::Hash::from_bytes(mac.try_into().unwrap()));
    // SAFETY: `precompile_component` of the same version and configuration wrote these bytes.
    let component = unsafe { Component::deserialize(&engine.wasm, code) }.unwrap();
    engine.probe(&component)
}
