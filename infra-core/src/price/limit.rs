//! The limits a request can set, and sets of them that an offer misses.
//!
//! An offer that misses none fits. One that misses some is a near miss, and what it misses is the explanation: the
//! same bits decide and explain, so that the two never differ.

/// One limit. Declaration order breaks ties when several limits rule out equally much: what people change most
/// readily stands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Limit {
    /// One machine with its disk costs more per hour than the cap.
    MaxPrice,
    /// Less memory.
    Memory,
    /// Fewer virtual processors.
    Vcpus,
    /// More disk is asked than the type has and than can be bought.
    Disk,
    /// Fewer accelerators.
    Gpus,
    /// Another accelerator, or none.
    GpuModel,
    /// Bought in another way.
    Market,
    /// Another architecture.
    Arch,
    /// Its processors may be used fully only for a time.
    Burstable,
    /// An older generation, or none that is known.
    Generation,
    /// A family that is denied, or not among those allowed.
    Families,
    /// In another region.
    Region,
    /// In a region that is denied, or not among those allowed.
    Regions,
    /// At another cloud.
    Provider,
    /// At a cloud that is denied, or not among those allowed.
    Providers,
    /// The image asked for by id is not there, or not for this architecture.
    Image,
    /// No image of the operating system for this architecture.
    Os,
    /// No field of the request: every zone failed for capacity or quota lately.
    Capacity,
    /// Only as nonsense: no offer misses it.
    Count,
}

impl Limit {
    /// Every limit, in declaration order.
    pub(super) const ALL: [Self; 19] = [
        Self::MaxPrice,
        Self::Memory,
        Self::Vcpus,
        Self::Disk,
        Self::Gpus,
        Self::GpuModel,
        Self::Market,
        Self::Arch,
        Self::Burstable,
        Self::Generation,
        Self::Families,
        Self::Region,
        Self::Regions,
        Self::Provider,
        Self::Providers,
        Self::Image,
        Self::Os,
        Self::Capacity,
        Self::Count,
    ];

    /// The field's name on the wire.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::MaxPrice => "max_price_per_hour",
            Self::Memory => "memory_gib",
            Self::Vcpus => "vcpus",
            Self::Disk => "disk_gib",
            Self::Gpus => "gpus",
            Self::GpuModel => "gpu_model",
            Self::Market => "market",
            Self::Arch => "arch",
            Self::Burstable => "policy.burstable",
            Self::Generation => "policy.min_generation",
            Self::Families => "policy.families",
            Self::Region => "region",
            Self::Regions => "policy.regions",
            Self::Provider => "provider",
            Self::Providers => "policy.providers",
            Self::Image => "image",
            Self::Os => "os",
            Self::Capacity => "capacity",
            Self::Count => "count",
        }
    }
}

/// A set of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Misses(u32);

impl Misses {
    /// Adds a limit if it was missed.
    pub(super) const fn add_if(&mut self, missed: bool, limit: Limit) {
        if missed {
            self.0 |= 1 << limit as u32;
        }
    }

    /// Is this one missed?
    pub(super) const fn has(self, limit: Limit) -> bool {
        self.0 & (1 << limit as u32) != 0
    }

    /// Is none missed?
    pub(super) const fn none(self) -> bool {
        self.0 == 0
    }

    /// How many are missed.
    pub(super) const fn count(self) -> u32 {
        self.0.count_ones()
    }
}
