//! What a plugin may look like: every limit met and passed by one.

use super::*;

const GOOD: &str = r#"(component
    (core module $m (func (export "f") (local i32 i32)) (memory 1))
    (core instance $i (instantiate $m)))"#;

fn bytes(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

fn check(bytes: &[u8]) -> Result<Shape, ScanError> {
    scan(bytes, &ScanLimits::DEFAULT)
}

#[test]
fn what_is_not_a_component_is_named() {
    let module = bytes("(module)");
    let native = [b"\x7fELF".as_slice(), &[0; 64]].concat();
    type Is = fn(&ScanError) -> bool;
    let cases: [(&[u8], Is); 8] = [
        (b"", |e| *e == ScanError::Empty),
        (b"\0asm", |e| matches!(e, ScanError::Damaged { .. })),
        (b"abcd", |e| matches!(e, ScanError::NotWasm { .. })),
        (b"\0\0\0\0", |e| matches!(e, ScanError::NotWasm { .. })),
        (b"  (component)", |e| *e == ScanError::Text),
        (b";; comment\n(component)", |e| *e == ScanError::Text),
        (&module, |e| *e == ScanError::CoreModule),
        (&native, |e| *e == ScanError::Native),
    ];
    for (bytes, expected) in cases {
        let error = check(bytes).unwrap_err();
        assert!(expected(&error), "{bytes:?}: {error:?}");
    }
}

#[test]
fn a_component_is_measured() {
    let shape = check(&bytes(GOOD)).unwrap();
    assert_eq!((shape.functions, shape.most_locals, shape.core_instances), (1, 2, 1));
}

#[test]
fn every_limit_is_enforced_by_name() {
    let good = bytes(GOOD);
    let none = ScanLimits::DEFAULT;
    let cases = [
        (What::Bytes, ScanLimits { bytes: 8, ..none }),
        (What::Functions, ScanLimits { functions: 0, ..none }),
        (What::BodyBytes, ScanLimits { body: 1, ..none }),
        (What::Locals, ScanLimits { locals: 1, ..none }),
        (What::Depth, ScanLimits { depth: 1, ..none }),
        (What::Modules, ScanLimits { modules: 1, ..none }),
        (What::Memories, ScanLimits { memories: 0, ..none }),
        (What::CoreInstances, ScanLimits { core_instances: 0, ..none }),
        (What::Items, ScanLimits { items: 0, ..none }),
        (What::CustomBytes, ScanLimits { custom: 0, ..none }),
    ];
    for (what, limits) in cases {
        match scan(&good, &limits) {
            Err(ScanError::Beyond { what: found, .. }) => assert_eq!(found, what),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn one_memory_a_module_however_many_modules() {
    let both = |one: &str, other: &str| format!("(component (core module {one}) (core module {other}))");
    let own = "(memory 1)";
    let imported = r#"(import "env" "memory" (memory 1))"#;
    assert!(check(&bytes(&both(own, imported))).is_ok());
    for two in [format!("{own} {own}"), format!("{imported} {own}"), format!("{imported} {imported}")] {
        match check(&bytes(&both(own, &two))) {
            Err(ScanError::Beyond { what: What::Memories, found: 2, limit: 1 }) => {}
            other => panic!("{two}: {other:?}"),
        }
    }
}

#[test]
fn bombs_are_refused_before_they_are_compiled() {
    let many = format!("(component (core module {}))", "(func)".repeat(50_001));
    let locals = format!("(component (core module (func (local {}))))", "i64 ".repeat(2_001));
    let body = format!("(component (core module (func {})))", "i32.const 1 drop ".repeat(200_000));
    let deep = format!("{}{}", "(component ".repeat(9), ")".repeat(9));
    for (text, what) in
        [(many, What::Functions), (locals, What::Locals), (body, What::BodyBytes), (deep, What::Depth)]
    {
        match check(&bytes(&text)) {
            Err(ScanError::Beyond { what: found, .. }) => assert_eq!(found, what),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let good = bytes(GOOD);
    let accepted = (0..good.len()).filter(|end| check(&good[..*end]).is_ok()).collect::<Vec<_>>();
    // The bare header is a legal empty component, and so is every cut between two sections: those the compiler
    // accepts too, and the loader refuses them because they export no role.
    for end in &accepted {
        assert!(wasmparser::Validator::new().validate_all(&good[..*end]).is_ok() || *end > 8, "cut at {end}");
    }
    assert!(accepted.len() < 8, "{accepted:?}");
}
