//! The order of versions: GA before beta before alpha, newer before older, other names last.
//!
//! Source: k8s.io/apimachinery/pkg/version/helpers.go.

use std::cmp::Ordering;

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Stability {
    Alpha,
    Beta,
    Stable,
}

fn parse(version: &str) -> Option<(Stability, i64, i64)> {
    let rest = version.strip_prefix('v')?;
    let digits = |text: &str| -> Option<i64> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    for (word, stability) in [("alpha", Stability::Alpha), ("beta", Stability::Beta)] {
        if let Some((major, minor)) = rest.split_once(word) {
            return Some((stability, digits(major)?, digits(minor)?));
        }
    }
    Some((Stability::Stable, digits(rest)?, 0))
}

/// Compares two version names; `Less` means that `left` is preferred.
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    match (parse(left), parse(right)) {
        (Some(left), Some(right)) => right.cmp(&left),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => left.cmp(right),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_digits() {
        let mut names = ["foo", "v0", "v01beta1", "v1alpha0", "v99999999999999999999", "v+1"];
        names.sort_by(|left, right| compare(left, right));
        assert_eq!(names, ["v0", "v01beta1", "v1alpha0", "foo", "v+1", "v99999999999999999999"]);
    }

    #[test]
    fn versions_are_ordered_as_kubernetes_orders_them() {
        let mut names = [
            "foo1",
            "v1",
            "v2alpha1",
            "v11beta2",
            "v10",
            "v12alpha1",
            "v3beta1",
            "v2",
            "v10beta3",
            "foo10",
            "v11alpha2",
        ];
        names.sort_by(|left, right| compare(left, right));
        assert_eq!(
            names,
            [
                "v10",
                "v2",
                "v1",
                "v11beta2",
                "v10beta3",
                "v3beta1",
                "v12alpha1",
                "v11alpha2",
                "v2alpha1",
                "foo1",
                "foo10"
            ]
        );
    }
}
