//! What is refused at load, each with its own reason, and what is tolerated.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use libtest_mimic::Trial;
use razar_core::document::units::Bytes;
use razar_core::grant::{Grant, LimitsOverride, Role};
use razar_runtime::Runtime;
use razar_runtime::compile::{CompileCommand, CompileError};
use razar_runtime::engine::EngineKind;
use razar_runtime::load::LoadError;
use razar_runtime::package::PackageError;
use razar_runtime::plugin::Warning;
use razar_runtime::plugins::FailedLoad;
use razar_runtime::prescan::ScanError;

use crate::setup::{GENEROUS, check, compiler, expect_healthy, load, options, run, runtime, source};
use crate::{Is, guests, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("load: what is not a component is refused by kind", kinds),
        trial("load: a file cut anywhere is refused", truncated),
        trial("load: flipped bits are refused or contained", flipped),
        trial("load: unknown imports are refused by name", unknown_imports),
        trial("load: another world is refused with what was expected and found", worlds),
        trial("load: additional exports are tolerated", additional_exports),
        trial("load: components composed of components are compiled", composed),
        trial("load: what does not fit the limits is refused before it runs", limits),
        trial("load: large memories go to the on-demand engine", large_memory),
        trial("load: a compiler that fails, dies or is missing is reported as such", compilers),
        trial("load: a compile bomb is killed", bomb),
        trial("load: one broken package does not touch the others", directory),
        trial("load: a package's files are checked", packages),
    ]
}

async fn refusal(runtime: &Runtime, wasm: Vec<u8>) -> LoadError {
    load(runtime, wasm).await.expect_err("it loaded")
}

fn kinds() {
    run(async {
        let runtime = runtime(1);
        let cases: [(Vec<u8>, Is<ScanError>); 5] = [
            (Vec::new(), |error| *error == ScanError::Empty),
            (b"(component)".to_vec(), |error| *error == ScanError::Text),
            (wat::parse_str("(module)").unwrap(), |error| *error == ScanError::CoreModule),
            ((0..=255).rev().collect(), |error| matches!(error, ScanError::NotWasm { .. })),
            (b"\0asm\x0d\0\x01\0garbage".to_vec(), |error| matches!(error, ScanError::Damaged { .. })),
        ];
        for (wasm, expected) in cases {
            match refusal(&runtime, wasm).await {
                LoadError::Scan(error) if expected(&error) => {}
                other => panic!("{other:?}"),
            }
        }
    });
}

/// Two components, each with a memory of its own, and a text that goes from one to the other: what the tools of some
/// languages make of every plugin.
const COMPOSED: &str = r#"(component
    (component $callee
        (core module $m (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
            (func (export "len") (param i32 i32) (result i32) (local.get 1)))
        (core instance $i (instantiate $m))
        (func (export "len") (param "s" string) (result u32)
            (canon lift (core func $i "len") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
    (component $caller
        (import "len" (func $len (param "s" string) (result u32)))
        (core module $libc (memory (export "memory") 1))
        (core instance $libc (instantiate $libc))
        (core func $len (canon lower (func $len) (memory (core memory $libc "memory"))))
        (core module $m (import "" "len" (func $len (param i32 i32) (result i32)))
            (func (export "run") (result i32) (call $len (i32.const 0) (i32.const 3))))
        (core instance $i (instantiate $m (with "" (instance (export "len" (func $len))))))
        (func (export "run") (result u32) (canon lift (core func $i "run"))))
    (instance $a (instantiate $callee))
    (instance $b (instantiate $caller (with "len" (func $a "len"))))
    (export "run" (func $b "run")))"#;

fn composed() {
    run(async {
        match refusal(&runtime(1), wat::parse_str(COMPOSED).unwrap()).await {
            // It is no plugin, which is asked after it was compiled and loaded.
            LoadError::World { found, .. } => assert_eq!(found, "`run`"),
            other => panic!("{other:?}"),
        }
    });
}

fn truncated() {
    run(async {
        let runtime = runtime(1);
        let good = guests::healthy();
        let mut refused_by_scan = 0;
        for end in (0..good.len()).step_by(good.len() / 60) {
            match refusal(&runtime, good[..end].to_vec()).await {
                LoadError::Scan(_) => refused_by_scan += 1,
                // Cut between two sections it is another, smaller component.
                LoadError::World { .. } | LoadError::Compile(CompileError::Invalid(_)) => {}
                other => panic!("cut at {end}: {other:?}"),
            }
        }
        assert!(refused_by_scan > 40, "{refused_by_scan}");
    });
}

/// From a fixed seed, so that a failure can be repeated.
fn flipped() {
    run(async {
        let runtime = runtime(2);
        let good = guests::healthy();
        let control = load(&runtime, good.clone()).await.unwrap();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..60 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let mut wasm = good.clone();
            let place = usize::try_from(state).unwrap() % wasm.len();
            wasm[place] ^= 1 << (state >> 61);
            if let Ok(plugin) = load(&runtime, wasm).await {
                assert_ne!(plugin.inspection().digest, control.inspection().digest);
                // Whatever it says, it says it as one of the known outcomes and the host goes on.
                let _ = check(&plugin, GENEROUS).await;
            }
            expect_healthy(&control).await;
        }
    });
}

fn unknown_imports() {
    run(async {
        let import = r#"(import "test:guests/nowhere@1.0.0" "beam-me-up" (func $beam))"#;
        let wasm = guests::component("unknown", &guests::module("(call $beam) (i32.const 64)", import));
        match refusal(&runtime(1), wasm).await {
            LoadError::Imports(unknown) => {
                assert_eq!(unknown.len(), 1);
                assert_eq!(unknown[0].name, "test:guests/nowhere@1.0.0");
            }
            other => panic!("{other:?}"),
        }
    });
}

fn worlds() {
    run(async {
        let runtime = runtime(1);
        let other = r#"(module (func (export "test:guests/other@1.0.0#run")))"#;
        let error = refusal(&runtime, guests::component("none", other)).await;
        let text = error.to_string();
        assert!(matches!(error, LoadError::World { .. }), "{text}");
        assert!(
            text.contains("razar:plugin/probe@0.1") && text.contains("test:guests/other@1.0.0"),
            "{text}"
        );
        let nothing = wat::parse_str("(component)").unwrap();
        assert!(refusal(&runtime, nothing).await.to_string().contains("found nothing"));
        // The right name on a function of another type.
        let wrong = r#"(component
            (core module $m (func (export "check")))
            (core instance $i (instantiate $m))
            (func $check (canon lift (core func $i "check")))
            (instance $probe (export "check" (func $check)))
            (export "razar:plugin/probe@0.1.0" (instance $probe)))"#;
        match refusal(&runtime, wat::parse_str(wrong).unwrap()).await {
            LoadError::Contract { export, .. } => assert_eq!(export, "razar:plugin/probe@0.1.0"),
            other => panic!("{other:?}"),
        }
    });
}

fn additional_exports() {
    run(async {
        let runtime = runtime(1);
        let wasm =
            guests::component("several", &guests::module("(i32.const 64)", r#"(func (export "extra"))"#));
        let plugin = load(&runtime, wasm).await.unwrap();
        expect_healthy(&plugin).await;
        assert_eq!(
            plugin.inspection().roles.iter().map(|export| export.role).collect::<Vec<_>>(),
            [Role::Probe]
        );
        assert!(plugin.inspection().imports.is_empty(), "{:?}", plugin.inspection().imports);
    });
}

fn grant(limits: LimitsOverride) -> Grant {
    Grant { limits, ..Grant::default() }
}

fn limits() {
    run(async {
        let runtime = runtime(4);
        let pages = guests::component("probe", &guests::module_with_pages("(i32.const 64)", "", 512));
        match refusal(&runtime, pages).await {
            LoadError::InitialMemory { needs, limit } => assert_eq!((needs, limit), (32 << 20, 16 << 20)),
            other => panic!("{other:?}"),
        }
        let tables = |count| format!("(table {count} funcref)");
        for count in ["4294967295", "9999999"] {
            let wasm = guests::component("probe", &guests::module("(i32.const 64)", &tables(count)));
            match refusal(&runtime, wasm).await {
                LoadError::Declared { what: "table-elements", .. } | LoadError::Code(_) => {}
                other => panic!("{count}: {other:?}"),
            }
        }
        let many = guests::component("probe", &guests::module("(i32.const 64)", &tables("1").repeat(40)));
        assert!(matches!(refusal(&runtime, many).await, LoadError::Declared { what: "tables", .. }));
        let tiny = grant(LimitsOverride { memory: Some(Bytes(1)), ..LimitsOverride::default() });
        let error = runtime.load(source("tiny", guests::healthy()), &tiny).await.unwrap_err();
        assert!(matches!(error, LoadError::Limits(_)), "{error:?}");
        // Big, but within its limits: it loads with a warning.
        let pages = guests::component("probe", &guests::module_with_pages("(i32.const 64)", "", 17));
        let plugin = load(&runtime, pages).await.unwrap();
        assert_eq!(plugin.inspection().warnings, [Warning::LargeInitialMemory { bytes: 17 << 16 }]);
    });
}

fn large_memory() {
    run(async {
        let runtime = runtime(2);
        let large = grant(LimitsOverride { memory: Some(Bytes::mib(256)), ..LimitsOverride::default() });
        let pages = guests::component("probe", &guests::module_with_pages("(i32.const 64)", "", 2048));
        let plugin = runtime.load(source("large", pages), &large).await.unwrap();
        assert_eq!(plugin.engine(Role::Probe), Some(EngineKind::OnDemand));
        let report = check(&plugin, GENEROUS).await;
        assert_eq!(report.usage.memory, 128 << 20);
        expect_healthy(&plugin).await;
        let small = load(&runtime, guests::healthy()).await.unwrap();
        assert_eq!(small.engine(Role::Probe), Some(EngineKind::Fast));
    });
}

fn shell(script: &str) -> CompileCommand {
    CompileCommand { program: "/bin/sh".into(), args: vec!["-c".into(), script.into()] }
}

async fn compiled_by(compiler: CompileCommand, wasm: Vec<u8>) -> CompileError {
    let compiler = compiler.into();
    let runtime = Runtime::new(razar_runtime::RuntimeOptions { compiler, ..options(1) }).unwrap();
    match refusal(&runtime, wasm).await {
        LoadError::Compile(error) => error,
        other => panic!("{other:?}"),
    }
}

fn compilers() {
    run(async {
        let missing = CompileCommand { program: "/nowhere/compiler".into(), args: Vec::new() };
        let cases: [(CompileCommand, Is<CompileError>); 6] = [
            (missing, |error| matches!(error, CompileError::Start { .. })),
            (shell("exit 3"), |error| matches!(error, CompileError::Failed(_))),
            (shell("kill -XCPU $$"), |error| matches!(error, CompileError::Limit(_))),
            (shell("kill -ABRT $$"), |error| matches!(error, CompileError::Limit(_))),
            (shell("kill -TERM $$"), |error| matches!(error, CompileError::Failed(_))),
            (
                shell("printf -- '-no good'"),
                |error| matches!(error, CompileError::Invalid(why) if why == "no good"),
            ),
        ];
        for (compiler, expected) in cases {
            let error = compiled_by(compiler, guests::healthy()).await;
            assert!(expected(&error), "{error:?}");
        }
    });
}

/// Within every limit of the pre-scan, and too much for one second of CPU.
fn bomb() {
    run(async {
        let step = |n: usize| {
            let (a, b) = (n % 900, (n * 7 + 1) % 900);
            format!(
                "(block (br_if 0 (local.get {a})) (local.set {b} (i32.add (local.get {a}) (local.get {b}))))"
            )
        };
        let steps = (0..24_000).map(step).collect::<String>();
        let function =
            format!("(func (local {}) (loop $l {steps} (br_if $l (local.get 3))))", "i32 ".repeat(900));
        let bomb = guests::component("probe", &guests::module("(i32.const 64)", &function.repeat(6)));
        let limited = CompileCommand {
            program: "/bin/sh".into(),
            args: vec![
                "-c".into(),
                "ulimit -t 1 && exec \"$0\" \"$1\"".into(),
                compiler().program.into(),
                "compile-plugin".into(),
            ],
        };
        let began = Instant::now();
        let error = compiled_by(limited.clone(), bomb).await;
        assert!(matches!(error, CompileError::Limit(_)), "{error:?} after {:?}", began.elapsed());
        let runtime =
            Runtime::new(razar_runtime::RuntimeOptions { compiler: limited.into(), ..options(1) }).unwrap();
        expect_healthy(&load(&runtime, guests::healthy()).await.unwrap()).await;
    });
}

fn manifest(name: &str, wasm: &str) -> String {
    format!("name = \"{name}\"\nversion = \"0.1.0\"\nwasm = \"{wasm}\"\ndescription = \"a guest\"\n")
}

fn package(dir: &Path, place: &str, name: &str, wasm: &[u8]) {
    let dir = dir.join(place);
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("plugin.toml"), manifest(name, "guest.wasm")).unwrap();
    std::fs::write(dir.join("guest.wasm"), wasm).unwrap();
}

fn directory() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    for number in 0..5 {
        package(dir, &format!("good-{number}"), &format!("good-{number}"), &guests::healthy());
    }
    package(dir, "damaged", "damaged", b"\0asm garbage");
    package(dir, "twin-a", "twin", &guests::healthy());
    package(dir, "twin-b", "twin", &guests::healthy());
    std::fs::create_dir(dir.join("empty")).unwrap();
    std::fs::create_dir(dir.join(".hidden")).unwrap();
    std::fs::write(dir.join("stray.wasm"), guests::healthy()).unwrap();
    std::fs::write(dir.join("README.md"), "words").unwrap();
    run(async {
        let runtime = Arc::new(runtime(4));
        let plugins = runtime.load_dir(dir, &BTreeMap::new()).await.unwrap();
        assert_eq!(plugins.loaded().len(), 5);
        for number in 0..5 {
            expect_healthy(plugins.get(&format!("good-{number}").parse().unwrap()).unwrap()).await;
        }
        let failed = plugins
            .failed()
            .iter()
            .map(|failed| (failed.dir.file_name().unwrap().to_str().unwrap(), &failed.error))
            .collect::<BTreeMap<_, _>>();
        assert_eq!(failed.len(), 5, "{failed:?}");
        assert!(matches!(failed["damaged"], FailedLoad::Load(LoadError::Scan(ScanError::Damaged { .. }))));
        assert!(matches!(failed["twin-a"], FailedLoad::Duplicate { other, .. } if other.ends_with("twin-b")));
        assert!(matches!(failed["twin-b"], FailedLoad::Duplicate { other, .. } if other.ends_with("twin-a")));
        assert!(matches!(failed["empty"], FailedLoad::Package(PackageError::Read { .. })));
        assert!(matches!(failed["stray.wasm"], FailedLoad::Package(PackageError::Stray(_))));
        assert!(runtime.load_dir(&dir.join("nowhere"), &BTreeMap::new()).await.is_err());
    });
}

fn packages() {
    let temp = tempfile::tempdir().unwrap();
    let made = |name: &str, prepare: fn(&Path)| {
        let dir = temp.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("plugin.toml"), manifest("guest", "guest.wasm")).unwrap();
        prepare(&dir);
        razar_runtime::package::Package::read(&dir)
    };
    type Prepare = fn(&Path);
    let cases: [(&str, Prepare, Is<PackageError>); 5] = [
        ("missing", |_| (), |error| matches!(error, PackageError::Read { .. })),
        (
            "directory",
            |dir| std::fs::create_dir(dir.join("guest.wasm")).unwrap(),
            |error| matches!(error, PackageError::NotAFile(_)),
        ),
        (
            "fifo",
            |dir| {
                let made = std::process::Command::new("mkfifo").arg(dir.join("guest.wasm")).status().unwrap();
                assert!(made.success());
            },
            |error| matches!(error, PackageError::NotAFile(_)),
        ),
        (
            "not-text",
            |dir| std::fs::write(dir.join("plugin.toml"), [0xff, 0xfe]).unwrap(),
            |error| matches!(error, PackageError::NotText(_)),
        ),
        (
            "not-toml",
            |dir| std::fs::write(dir.join("plugin.toml"), "name = ").unwrap(),
            |error| matches!(error, PackageError::Manifest(problems) if !problems.is_empty()),
        ),
    ];
    for (name, prepare, expected) in cases {
        let error = made(name, prepare).unwrap_err();
        assert!(expected(&error), "{name}: {error:?}");
        assert!(!error.to_string().is_empty());
    }
    let sparse =
        made("huge", |dir| std::fs::File::create(dir.join("guest.wasm")).unwrap().set_len(41 << 20).unwrap());
    assert!(matches!(sparse.unwrap_err(), PackageError::TooLarge { .. }));
}
