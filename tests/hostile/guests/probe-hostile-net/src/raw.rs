//! HTTP called by hand: libraries are polite, and would never send what a host must refuse.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

wit_bindgen::generate!({
    inline: "package test:hostile-net;
        world raw {
            import wasi:http/outgoing-handler@0.2.12;
        }",
    path: "../../../../wit/plugin-0.1",
    generate_all,
});
