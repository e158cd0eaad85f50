//! The export macros. Each expands to nothing outside of wasm, so that a workspace with plugins in it still links natively.

/// Makes `$plugin`, which implements [`Probe`](crate::Probe), the component's `razar:plugin/probe`.
#[macro_export]
macro_rules! export_probe {
    ($plugin:ident) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code)]
        const _: () = {
    $crate::bindings::probe::export_probe_world!($plugin with_types_in $crate::bindings::probe);
        };
    };
}

/// Makes `$plugin`, which implements [`Agent`](crate::agent::Agent), the component's `razar:plugin/agent`.
#[macro_export]
macro_rules! export_agent {
    ($plugin:ident) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code)]
        const _: () = {
    $crate::bindings::agent::export_agent_world!($plugin with_types_in $crate::bindings::agent);
        };
    };
}

/// Makes `$plugin`, which implements [`Evaluator`](crate::evaluator::Evaluator), the component's `razar:plugin/evaluator`.
#[macro_export]
macro_rules! export_evaluator {
    ($plugin:ident) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code)]
        const _: () = {
            $crate::bindings::evaluator::export_evaluator_world!(
                $plugin with_types_in $crate::bindings::evaluator
            );
        };
    };
}

/// Makes `$plugin`, which implements [`Tools`](crate::tools::Tools), the component's `razar:plugin/tools`.
#[macro_export]
macro_rules! export_tools {
    ($plugin:ident) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code)]
        const _: () = {
    $crate::bindings::tools::export_tools_world!($plugin with_types_in $crate::bindings::tools);
        };
    };
}
