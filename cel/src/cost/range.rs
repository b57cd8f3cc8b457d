//! What is known of a size or of a cost before anything runs: at least and at most, in arithmetic that saturates.
//!
//! Follows `SizeEstimate` and `CostEstimate` in cel-go's checker/cost.go.

/// A size or a cost between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// At least.
    pub min: u64,
    /// At most.
    pub max: u64,
}

impl Range {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { min: 0, max: u64::MAX };

    /// What every union begins with.
    pub const NOTHING: Self = Self { min: u64::MAX, max: 0 };

    /// Exactly `value`.
    pub const fn fixed(value: u64) -> Self {
        Self { min: value, max: value }
    }

    /// The sum.
    pub(crate) fn add(self, other: Self) -> Self {
        Self { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }

    /// The product.
    pub fn times(self, other: Self) -> Self {
        Self { min: self.min.saturating_mul(other.min), max: self.max.saturating_mul(other.max) }
    }

    /// The product with a factor, rounded up.
    pub fn scaled(self, factor: f64) -> Self {
        Self { min: scaled(self.min, factor), max: scaled(self.max, factor) }
    }

    /// Either of the two.
    pub fn union(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

/// `multiplyByCostFactor`: rounded up. Floats above 2⁵³ are as inexact as they are in Go, so that limits agree, and what is
/// too large for 64 bits is the largest number.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the same conversions as cel-go's, and casts saturate"
)]
pub fn scaled(value: u64, factor: f64) -> u64 {
    (value as f64 * factor).ceil() as u64
}
