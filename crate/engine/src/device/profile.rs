//! What is used of a GPU beyond WebGPU's defaults. Nothing here is required: each has a fallback that is tested.

/// Most lanes that share a row: what a subgroup of most GPUs has.
const MOST_LANES: u32 = 32;
/// Lanes where they meet in workgroup memory.
const PLAIN_LANES: u32 = 8;
/// Fewest lanes: software adapters have subgroups of four.
const FEWEST_LANES: u32 = 4;

/// Invocations that keep a wide GPU busy. Of 2^14 to 2^18 an H200 is fastest with 2^17.
const BUSY: u32 = 1 << 17;
/// Most lanes of a group: what every device has room for in a workgroup.
const WIDEST: u32 = 256;

/// What may be used of a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Least number of invocations in a subgroup; 0 where there are no subgroup operations.
    pub subgroup: u32,
    /// Largest storage binding in bytes.
    pub binding: u64,
    /// Whether it has thousands of invocations at once, so that a launch of few leaves it idle: software has not.
    pub wide: bool,
}

impl Profile {
    /// Everything that any GPU has to offer.
    pub const ALL: Profile = Profile { subgroup: u32::MAX, binding: u64::MAX, wide: true };
    /// WebGPU's default limits and no optional feature.
    pub const LEAST: Profile = Profile { subgroup: 0, binding: 128 << 20, wide: false };

    /// Whether shaders may use subgroup operations.
    #[must_use]
    pub fn subgroups(&self) -> bool {
        self.subgroup >= FEWEST_LANES
    }

    /// Whether invocations run one after another in fours: software adapters alone have subgroups of four as a rule.
    #[must_use]
    pub fn software(&self) -> bool {
        self.subgroup == FEWEST_LANES
    }

    /// Invocations of a kernel that is one workgroup.
    #[must_use]
    pub fn crew(&self) -> u32 {
        if self.software() { 64 } else { 256 }
    }

    /// Most lanes of a group, a power of two: sums go over halves.
    #[must_use]
    pub fn most_lanes(&self) -> u32 {
        let most = if self.subgroups() { self.subgroup.min(MOST_LANES) } else { PLAIN_LANES };
        1 << most.ilog2()
    }

    /// Lanes for rows of `columns` columns, a power of two: no more than there are quarters of blocks of 32.
    #[must_use]
    pub fn lanes(&self, columns: u32) -> u32 {
        quarters(columns).clamp(FEWEST_LANES, self.most_lanes())
    }

    /// The same where `groups` groups are launched: more than a subgroup has, where a wide GPU would have too little to do otherwise,
    /// and each lane's loads would wait for one another. An H200 makes 1.4 times as many tokens of a shape of 1.3 billion weights so.
    #[must_use]
    pub fn wide_lanes(&self, columns: u32, groups: u32) -> u32 {
        let lanes = self.lanes(columns);
        if !(self.wide && self.subgroups()) {
            return lanes;
        }
        let idle = (BUSY / groups.next_power_of_two()).min(WIDEST);
        quarters(columns).min(idle).max(lanes)
    }
}

/// Quarters of blocks of 32 in a row, or the next power of two.
fn quarters(columns: u32) -> u32 {
    (4 * columns.div_ceil(32)).next_power_of_two()
}

#[test]
fn lanes_fit_the_subgroup_and_the_row() {
    let lanes = |subgroup, columns| Profile { subgroup, ..Profile::LEAST }.lanes(columns);
    assert_eq!(lanes(0, 4096), 8);
    assert_eq!(lanes(4, 4096), 4);
    assert_eq!(lanes(8, 4096), 8);
    assert_eq!(lanes(32, 4096), 32);
    assert_eq!(lanes(128, 4096), 32);
    assert_eq!(lanes(32, 200), 32);
    assert_eq!(lanes(32, 64), 8);
    assert_eq!(lanes(32, 32), 4);
    assert_eq!(lanes(2, 4096), 8, "subgroups of two are no use");
}

#[test]
fn lanes_are_many_where_groups_are_few() {
    let lanes = |wide, subgroup, groups| Profile { subgroup, wide, ..Profile::LEAST }.wide_lanes(4096, groups);
    assert_eq!(lanes(true, 32, 100), 256);
    assert_eq!(lanes(true, 32, 2000), 64);
    assert_eq!(lanes(true, 32, 50_000), 32);
    assert_eq!(lanes(false, 32, 100), 32);
    assert_eq!(lanes(true, 0, 100), 8, "without subgroups");
}
