//! The layer of rights: what root may do beyond what a user may, given up. A host that is not root has nothing to lose.
//! Nothing brings them back, because nothing can be executed.

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use super::Standing;

/// Files of any owner are its business as far as the other layer lets it, and a low port for metrics may be.
const KEPT: CapabilitySet = CapabilitySet::DAC_OVERRIDE
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::NET_BIND_SERVICE);

const REMEDY: &str = "run the host as a user of its own, as the unit `razar-host.service` does";

/// Gives them up.
pub(super) fn give_up() -> Standing {
    let give_up = || {
        let had = capabilities(None)?;
        let kept = had.permitted & KEPT;
        let left = CapabilitySets {
            effective: had.effective & kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, left)?;
        Ok::<_, rustix::io::Errno>(kept.iter_names().count())
    };
    match give_up() {
        Ok(0) => Standing::Whole("none kept".to_owned()),
        Ok(kept) => Standing::Whole(format!("{kept} kept")),
        Err(error) => {
            Standing::Missing { why: format!("capabilities cannot be given up: {error}"), remedy: REMEDY }
        }
    }
}
