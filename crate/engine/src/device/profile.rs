//! What is used of a GPU beyond WebGPU's defaults. Nothing here is required: each has a fallback that is tested.

/// Most lanes that share a row. Sixteen read 256 neighbouring bytes of a row at once; more would idle on short rows.
const MOST_LANES: u32 = 16;
/// Lanes where they meet in workgroup memory.
const PLAIN_LANES: u32 = 8;
/// Fewest lanes: software adapters have subgroups of four.
const FEWEST_LANES: u32 = 4;

/// What may be used of a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Least number of invocations in a subgroup; 0 where there are no subgroup operations.
    pub subgroup: u32,
    /// Largest storage binding in bytes.
    pub binding: u64,
}

impl Profile {
    /// Everything that any GPU has to offer.
    pub const ALL: Profile = Profile { subgroup: u32::MAX, binding: u64::MAX };
    /// WebGPU's default limits and no optional feature.
    pub const LEAST: Profile = Profile { subgroup: 0, binding: 128 << 20 };

    /// Whether shaders may use subgroup operations.
    #[must_use]
    pub fn subgroups(&self) -> bool {
        self.subgroup >= FEWEST_LANES
    }

    /// Invocations of a kernel that is one workgroup. Software adapters, which alone have subgroups of four as a rule, run them one
    /// after another in fours.
    #[must_use]
    pub fn crew(&self) -> u32 {
        if self.subgroup == FEWEST_LANES { 64 } else { 256 }
    }

    /// Lanes for rows of `columns` columns, a power of two: no more than there are blocks of 32.
    #[must_use]
    pub fn lanes(&self, columns: u32) -> u32 {
        let most = if self.subgroups() { self.subgroup.min(MOST_LANES) } else { PLAIN_LANES };
        // The power of two at or below it: sums go over halves.
        let most = 1 << most.ilog2();
        columns.div_ceil(32).next_power_of_two().clamp(FEWEST_LANES, most)
    }
}

#[test]
fn lanes_fit_the_subgroup_and_the_row() {
    let lanes = |subgroup, columns| Profile { subgroup, ..Profile::LEAST }.lanes(columns);
    assert_eq!(lanes(0, 4096), 8);
    assert_eq!(lanes(4, 4096), 4);
    assert_eq!(lanes(8, 4096), 8);
    assert_eq!(lanes(32, 4096), 16);
    assert_eq!(lanes(32, 200), 8);
    assert_eq!(lanes(32, 32), 4);
    assert_eq!(lanes(2, 4096), 8, "subgroups of two are no use");
}
