//! The tree over all facts, as RFC 6962 (and 9162) define it: one signed root vouches for every fact, and a proof that a
//! fact is below it needs a handful of hashes and no ledger. Leaf and node hashes begin with different bytes, so a
//! node can never be passed off as a fact.

use razar_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

/// The hash of a fact, a node or the root.
pub type Hash = [u8; 32];

/// More hashes than any tree of `u64` leaves needs in a proof.
pub const MAX_PROOF: usize = 64;

const LEAF: [u8; 1] = [0];
const NODE: [u8; 1] = [1];

/// The leaf of one fact: what the chain hashes, without its predecessor.
pub fn leaf(seq: u64, at: Timestamp, body: &[u8]) -> Hash {
    let hash = Sha256::new().chain_update(LEAF).chain_update(seq.to_be_bytes());
    hash.chain_update(at.0.to_be_bytes()).chain_update(body).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update(NODE).chain_update(left).chain_update(right).finalize().into()
}

/// All nodes, level by level; a node without a sibling is its own parent, which gives the tree of the RFC.
#[derive(Debug)]
pub struct Tree {
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree over these leaves, first fact first.
    pub fn new(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            let pairs = level.chunks(2).filter_map(|pair| match pair {
                [left, right] => Some(node(left, right)),
                [single] => Some(*single),
                _ => None,
            });
            let next = pairs.collect();
            levels.push(next);
        }
        Self { levels }
    }

    /// Leaves below the root.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, Vec::len) as u64
    }

    /// What a signature vouches for.
    pub fn root(&self) -> Hash {
        match self.levels.last().and_then(|level| level.first()) {
            Some(root) => *root,
            None => Sha256::digest([]).into(),
        }
    }

    /// The hashes beside the way from a leaf to the root; none when there is no such leaf.
    pub fn proof(&self, index: u64) -> Option<Vec<Hash>> {
        let mut at = usize::try_from(index).ok().filter(|_| index < self.size())?;
        let mut proof = Vec::new();
        for level in &self.levels {
            proof.extend(level.get(at ^ 1));
            at >>= 1;
        }
        Some(proof)
    }
}

/// Whether a proof leads from this leaf to this root of a tree of this size.
pub fn proves(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for beside in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(beside, &hash);
            // The last node of a level may have risen several levels without a sibling.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(size: u64) -> Vec<Hash> {
        (1..=size).map(|seq| leaf(seq, Timestamp(seq * 7), format!("fact {seq}").as_bytes())).collect()
    }

    /// The definition, word for word: split at the largest power of two below the size.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [single] => *single,
            _ => {
                let half = leaves.len().next_power_of_two() / 2;
                node(&defined(&leaves[..half]), &defined(&leaves[half..]))
            }
        }
    }

    #[test]
    fn every_leaf_of_every_size_is_proven_and_nothing_else_is() {
        for size in 0..=64 {
            let leaves = leaves(size);
            let tree = Tree::new(leaves.clone());
            let root = tree.root();
            assert_eq!(root, defined(&leaves), "the root of {size}");
            assert_eq!(tree.proof(size), None);
            for index in 0..size {
                let leaf = leaves[index as usize];
                let proof = tree.proof(index).unwrap();
                assert!(proves(leaf, index, size, &proof, &root), "{index} of {size}");
                // Another place, another size, a shorter and a longer proof.
                for other in (0..size + 2).filter(|other| *other != index) {
                    assert!(!proves(leaf, other, size, &proof, &root), "{index} as {other} of {size}");
                }
                for shorter in 0..proof.len() {
                    assert!(!proves(leaf, index, size, &proof[..shorter], &root), "{index} of {size}");
                }
                let mut longer = proof.clone();
                longer.push(root);
                assert!(!proves(leaf, index, size, &longer, &root), "{index} of {size}");
                for at in 0..proof.len() {
                    let mut changed = proof.clone();
                    changed[at][31] ^= 1;
                    assert!(!proves(leaf, index, size, &changed, &root), "{index} of {size}, hash {at}");
                }
                let mut other = leaf;
                other[0] ^= 1;
                assert!(!proves(other, index, size, &proof, &root), "{index} of {size}, another leaf");
                let mut other = root;
                other[0] ^= 1;
                assert!(!proves(leaf, index, size, &proof, &other), "{index} of {size}, another root");
            }
        }
    }

    #[test]
    fn a_proof_belongs_to_one_size() {
        for size in 1..=64 {
            let leaves = leaves(size);
            let tree = Tree::new(leaves.clone());
            for index in 0..size {
                let proof = tree.proof(index).unwrap();
                for other in (1..=66).filter(|other| *other != size) {
                    let root = Tree::new(super::tests::leaves(other)).root();
                    let leaf = leaves[index as usize];
                    assert!(!proves(leaf, index, size, &proof, &root), "{index} of {size} below {other}");
                }
            }
        }
    }

    #[test]
    fn the_trees_of_the_rfc_have_the_roots_that_others_compute() {
        // The reference values of certificate-transparency's own test suite.
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let leaf = |input: &&[u8]| Sha256::new().chain_update(LEAF).chain_update(input).finalize().into();
        let root = |count: usize| hex::encode(Tree::new(inputs[..count].iter().map(leaf).collect()).root());
        assert_eq!(root(0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(root(1), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(root(2), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
        assert_eq!(root(8), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }

    proptest! {
        #[test]
        fn no_random_proof_proves_anything(
            size in 1_u64..1000,
            index in any::<prop::sample::Index>(),
            noise in prop::collection::vec(any::<Hash>(), 0..12),
        ) {
            let leaves = leaves(size);
            let index = index.index(size as usize) as u64;
            let tree = Tree::new(leaves.clone());
            let true_proof = tree.proof(index).unwrap();
            prop_assert!(proves(leaves[index as usize], index, size, &true_proof, &tree.root()));
            prop_assert_eq!(
                proves(leaves[index as usize], index, size, &noise, &tree.root()),
                noise == true_proof
            );
        }
    }
}
