//! How long certificates live, and when they are renewed: from their own bytes, so that two operators agree.

use jiff::{SignedDuration, Timestamp};

use super::parsed::{Parsed, Role};

/// How long an authority lives unless configured: a year.
pub const CA_LIFETIME: SignedDuration = SignedDuration::from_hours(365 * 24);

/// How long a serving certificate lives unless configured: 90 days.
pub const LEAF_LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Clocks of other machines may be this far behind ours. A certificate that lives shorter is backdated by its lifetime.
const BACKDATED_MAX: SignedDuration = SignedDuration::from_hours(1);

/// The shortest life of a serving certificate.
const LEAF_MIN: SignedDuration = SignedDuration::from_secs(5);

/// The longest life of an authority.
const CA_MAX: SignedDuration = SignedDuration::from_hours(20 * 365 * 24);

/// How many times longer an authority lives than what it signs: it is replaced at half its life, and nothing it signed
/// may outlive it.
const CA_LIVES_LEAVES: i32 = 4;

/// Renewals are spread over a twentieth of the life, before their time.
const JITTER_PART: i32 = 20;

/// How long new certificates live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    leaf: SignedDuration,
    ca: SignedDuration,
}

/// Why lifetimes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifetimeError {
    /// The serving certificate would live too short.
    #[error("a serving certificate must live for at least {LEAF_MIN:#}")]
    Leaf,
    /// The authority would live too short.
    #[error("the CA must live at least {CA_LIVES_LEAVES} times as long as a serving certificate")]
    Ca,
    /// The authority would live too long.
    #[error("the CA must not live longer than 20 years")]
    CaTooLong,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { leaf: LEAF_LIFETIME, ca: CA_LIFETIME }
    }
}

impl Lifetimes {
    /// Of serving certificates and of authorities.
    ///
    /// # Errors
    /// When they are too short or too long, or do not fit each other.
    pub fn new(leaf: SignedDuration, ca: SignedDuration) -> Result<Self, LifetimeError> {
        if leaf < LEAF_MIN {
            return Err(LifetimeError::Leaf);
        }
        if leaf.checked_mul(CA_LIVES_LEAVES).is_none_or(|least| ca < least) {
            return Err(LifetimeError::Ca);
        }
        if ca > CA_MAX {
            return Err(LifetimeError::CaTooLong);
        }
        Ok(Self { leaf, ca })
    }

    /// Of serving certificates.
    #[must_use]
    pub fn leaf(self) -> SignedDuration {
        self.leaf
    }

    /// Of authorities.
    #[must_use]
    pub fn ca(self) -> SignedDuration {
        self.ca
    }
}

/// By how much a certificate of that lifetime is backdated.
pub(super) fn backdated(lifetime: SignedDuration) -> SignedDuration {
    lifetime.min(BACKDATED_MAX)
}

/// When a certificate is to be renewed: a serving certificate after two thirds of its life, an authority after half,
/// less a part of it that its bytes decide.
#[must_use]
pub fn renew_at(certificate: &Parsed) -> Timestamp {
    let total = certificate.not_after.duration_since(certificate.not_before);
    // What was added to the front was at most half of the whole.
    let life = total - (total / 2).min(BACKDATED_MAX);
    let part = match certificate.role {
        Role::Leaf => life / 3 * 2,
        Role::Authority => life / 2,
    };
    let jitter = (life / JITTER_PART).mul_f64(certificate.fraction());
    let before_end = life - part + jitter;
    certificate.not_after.checked_sub(before_end).unwrap_or(certificate.not_before)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::usual(90 * 86_400, 365 * 86_400, None)]
    #[case::of_a_test(10, 40, None)]
    #[case::no_time_to_renew(2, 365 * 86_400, Some(LifetimeError::Leaf))]
    #[case::negative(-10, 365 * 86_400, Some(LifetimeError::Leaf))]
    #[case::ends_before_what_it_signed(90 * 86_400, 100 * 86_400, Some(LifetimeError::Ca))]
    #[case::endless(90 * 86_400, i64::MAX, Some(LifetimeError::CaTooLong))]
    #[case::absurd(i64::MAX, i64::MAX, Some(LifetimeError::Ca))]
    fn nonsense_is_refused(#[case] leaf: i64, #[case] ca: i64, #[case] error: Option<LifetimeError>) {
        let made = Lifetimes::new(SignedDuration::from_secs(leaf), SignedDuration::from_secs(ca));
        assert_eq!(made.err(), error);
    }
}
