//! The limits a request can set, and sets of them that an offer misses.

/// One limit. Declaration order breaks ties when several limits rule out equally much: what people change most
/// readily stands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Limit {
    MaxPrice,
    Memory,
    Vcpus,
    Disk,
    Gpus,
    GpuModel,
    Market,
    Arch,
    Region,
    Provider,
    Image,
    Os,
    /// No field of the request: every zone failed for capacity or quota lately.
    Capacity,
    /// Only as nonsense: no offer misses it.
    Count,
}

impl Limit {
    pub(super) const ALL: [Self; 14] = [
        Self::MaxPrice,
        Self::Memory,
        Self::Vcpus,
        Self::Disk,
        Self::Gpus,
        Self::GpuModel,
        Self::Market,
        Self::Arch,
        Self::Region,
        Self::Provider,
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
            Self::Region => "region",
            Self::Provider => "provider",
            Self::Image => "image",
            Self::Os => "os",
            Self::Capacity => "capacity",
            Self::Count => "count",
        }
    }
}

/// A set of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Misses(u16);

impl Misses {
    pub(super) const fn add_if(&mut self, missed: bool, limit: Limit) {
        if missed {
            self.0 |= 1 << limit as u16;
        }
    }

    pub(super) const fn has(self, limit: Limit) -> bool {
        self.0 & (1 << limit as u16) != 0
    }

    pub(super) const fn none(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn count(self) -> u32 {
        self.0.count_ones()
    }
}
