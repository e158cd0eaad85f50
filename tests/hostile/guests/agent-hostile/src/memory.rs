//! Everything a guest can know without asking: its own memory, searched byte by byte. It must never hold what it searches for: words
//! are given inverted, and are compared inverted.

/// How often a word stands anywhere in the linear memory of this component, given its bytes inverted.
#[allow(unsafe_code, reason = "no safe code may read memory that is not its own")]
pub(crate) fn count(inverted: &[u8]) -> usize {
    let end = core::arch::wasm32::memory_size(0) << 16;
    // SAFETY: all of `1..end` is linear memory, which is initialised, and read as bytes that may change at any time.
    let byte = |at: usize| unsafe { core::ptr::with_exposed_provenance::<u8>(at).read_volatile() };
    let is_here =
        |at: &usize| inverted.iter().enumerate().all(|(offset, wanted)| !byte(at + offset) == *wanted);
    (1..end.saturating_sub(inverted.len())).filter(is_here).count()
}
