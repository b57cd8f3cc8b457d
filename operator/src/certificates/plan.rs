//! What is missing among the certificates: a pure function of their bytes and the time.

use std::{collections::BTreeSet, fmt};

use jiff::{SignedDuration, Timestamp};

use super::parsed::{Parsed, Role};

/// A certificate is renewed when two thirds of its life are over.
const RENEW_AFTER_THIRDS: i64 = 2;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Both are sound.
    Nothing,
    /// A new authority is to be issued; the serving certificate follows.
    IssueCa(Reason),
    /// A new serving certificate is to be issued by the authority there is.
    IssueLeaf(Reason),
}

/// Why a certificate is to be issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is none, or its bytes are not usable.
    Missing,
    /// It is not valid now.
    NotValid,
    /// Two thirds of its life are over.
    Renewal,
    /// It is of the wrong sort: an authority that cannot sign, or a serving certificate that can.
    WrongRole,
    /// It lacks a name, or has one too many.
    Names,
    /// It was not signed by the authority.
    OtherAuthority,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Missing => "there is no usable one",
            Self::NotValid => "it is not valid now",
            Self::Renewal => "two thirds of its life are over",
            Self::WrongRole => "it is of the wrong sort",
            Self::Names => "its names are not the ones wanted",
            Self::OtherAuthority => "it is not signed by the authority",
        })
    }
}

/// What is to be done, given what the Secrets hold. `None` stands for a missing Secret and for bytes that do not parse.
#[must_use]
pub fn plan(now: Timestamp, ca: Option<&Parsed>, leaf: Option<&Parsed>, wanted_sans: &BTreeSet<String>) -> Plan {
    let Some(ca) = ca else { return Plan::IssueCa(Reason::Missing) };
    if let Some(reason) = age(now, ca).or_else(|| (ca.role != Role::Authority).then_some(Reason::WrongRole)) {
        return Plan::IssueCa(reason);
    }
    let Some(leaf) = leaf else { return Plan::IssueLeaf(Reason::Missing) };
    if let Some(reason) = age(now, leaf) {
        return Plan::IssueLeaf(reason);
    }
    if leaf.role != Role::Leaf {
        return Plan::IssueLeaf(Reason::WrongRole);
    }
    if leaf.sans != *wanted_sans {
        return Plan::IssueLeaf(Reason::Names);
    }
    if !leaf.is_trusted_by([ca], now) {
        return Plan::IssueLeaf(Reason::OtherAuthority);
    }
    Plan::Nothing
}

/// Whether its age alone asks for a new one.
fn age(now: Timestamp, certificate: &Parsed) -> Option<Reason> {
    if !certificate.is_valid_at(now) {
        return Some(Reason::NotValid);
    }
    let life = certificate.not_after.as_second() - certificate.not_before.as_second();
    let renew_at = certificate.not_before.saturating_add(SignedDuration::from_secs(life / 3 * RENEW_AFTER_THIRDS));
    renew_at.is_ok_and(|at| at <= now).then_some(Reason::Renewal)
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::certificates::{Issued, issue_ca, issue_leaf, wanted_sans};

    fn now() -> Timestamp {
        "2026-11-23T00:00:00Z".parse().unwrap()
    }

    fn read(issued: &Issued) -> Option<Parsed> {
        Parsed::read(issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes()).ok()
    }

    fn fresh(now: Timestamp) -> (Option<Parsed>, Option<Parsed>) {
        let ca = issue_ca(now).unwrap();
        let leaf = issue_leaf(now, &ca.certificate_pem, &ca.key_pem, &wanted_sans("api", "system")).unwrap();
        (read(&ca), read(&leaf))
    }

    #[rstest]
    #[case::new(0, Plan::Nothing)]
    #[case::shortly_before_renewal(59 * 24, Plan::Nothing)]
    #[case::two_thirds_of_the_leaf(61 * 24, Plan::IssueLeaf(Reason::Renewal))]
    #[case::the_leaf_has_expired(91 * 24, Plan::IssueLeaf(Reason::NotValid))]
    #[case::two_thirds_of_the_authority(244 * 24, Plan::IssueCa(Reason::Renewal))]
    #[case::the_authority_has_expired(366 * 24, Plan::IssueCa(Reason::NotValid))]
    #[case::the_clock_went_back(-24, Plan::IssueCa(Reason::NotValid))]
    fn age_is_judged_by_the_certificates(#[case] hours: i64, #[case] expected: Plan) {
        let (ca, leaf) = fresh(now());
        let at = now().checked_add(hours.hours()).unwrap();
        assert_eq!(plan(at, ca.as_ref(), leaf.as_ref(), &wanted_sans("api", "system")), expected);
    }

    #[test]
    fn what_is_missing_is_issued() {
        let (ca, leaf) = fresh(now());
        let sans = wanted_sans("api", "system");
        assert_eq!(plan(now(), None, leaf.as_ref(), &sans), Plan::IssueCa(Reason::Missing));
        assert_eq!(plan(now(), ca.as_ref(), None, &sans), Plan::IssueLeaf(Reason::Missing));
    }

    #[test]
    fn other_names_ask_for_a_new_leaf() {
        let (ca, leaf) = fresh(now());
        let sans = wanted_sans("api", "elsewhere");
        assert_eq!(plan(now(), ca.as_ref(), leaf.as_ref(), &sans), Plan::IssueLeaf(Reason::Names));
    }

    #[test]
    fn a_leaf_of_another_authority_is_replaced() {
        let ((ca, _), (_, leaf)) = (fresh(now()), fresh(now()));
        let sans = wanted_sans("api", "system");
        assert_eq!(plan(now(), ca.as_ref(), leaf.as_ref(), &sans), Plan::IssueLeaf(Reason::OtherAuthority));
    }

    #[test]
    fn a_leaf_cannot_be_the_authority() {
        let (ca, leaf) = fresh(now());
        let sans = wanted_sans("api", "system");
        assert_eq!(plan(now(), leaf.as_ref(), leaf.as_ref(), &sans), Plan::IssueCa(Reason::WrongRole));
        assert_eq!(plan(now(), ca.as_ref(), ca.as_ref(), &sans), Plan::IssueLeaf(Reason::WrongRole));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn freshly_issued_certificates_need_nothing(
            second in 1_000_000_000_i64..4_000_000_000,
            service in "[a-z][a-z0-9]{0,14}",
            namespace in "[a-z][a-z0-9]{0,14}",
        ) {
            let now = Timestamp::from_second(second).unwrap();
            let sans = wanted_sans(&service, &namespace);
            let ca = issue_ca(now).unwrap();
            let leaf = issue_leaf(now, &ca.certificate_pem, &ca.key_pem, &sans).unwrap();
            prop_assert_eq!(plan(now, read(&ca).as_ref(), read(&leaf).as_ref(), &sans), Plan::Nothing);
        }

        #[test]
        fn garbage_is_never_taken_for_a_certificate(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let ca = issue_ca(now()).unwrap();
            prop_assert!(Parsed::read(&bytes, ca.key_pem.as_bytes()).is_err());
            prop_assert!(Parsed::read(ca.certificate_pem.as_bytes(), &bytes).is_err());
        }
    }
}
