//! WASI called by hand: libraries are polite, and would never send what a host must refuse.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

wit_bindgen::generate!({
    inline: "package test:hostile;
        world raw {
            import wasi:filesystem/preopens@0.2.12;
            import wasi:clocks/monotonic-clock@0.2.12;
            import wasi:random/random@0.2.12;
            import wasi:config/store@0.2.0-rc.1;
        }",
    path: "../../../../wit/plugin-0.1",
    generate_all,
});
