//! What is left in the end, what is gone, and what still goes.

use super::plan::{CRD, Count, Crd, Fate, Found, Operator, Seen, Surroundings, counted};

/// Returns the lines about it, from what was there before and what is there after the steps.
pub(super) fn lines(before: &Surroundings, after: &Surroundings, namespace: &str) -> Vec<String> {
    let was: &[Found] = before.definitions.known().map(Vec::as_slice).unwrap_or_default();
    let again = registered_again(after);
    let mut lines: Vec<String> = again.iter().map(|name| format!("left: APIService {name}")).collect();
    let instances = instances(was);
    match &after.definitions {
        Seen::Unknown(_) => lines.push("left: definitions, if there are any".to_owned()),
        Seen::Known(is) => {
            let (going, staying): (Vec<&Found>, Vec<&Found>) = is.iter().partition(|it| it.fate == Fate::Goes);
            let gone = was.iter().filter(|it| !is.iter().any(|there| there.name == it.name)).count();
            if gone > 0 {
                lines.push(format!("gone: {}", counted(gone, "definition")));
            }
            lines.extend(going.into_iter().map(going_on));
            if staying.is_empty() {
                lines.extend(instances.map(|instances| format!("left: {instances}")));
            } else {
                let instances = instances.map(|it| format!(" and {it}")).unwrap_or_default();
                lines.push(format!("left: {}{instances}", counted(staying.len(), "definition")));
            }
        }
    }
    match (before.crd.known(), after.crd.known()) {
        (_, Some(Crd::There(Fate::Stays))) => lines.push(format!(
            "left: the CustomResourceDefinition {CRD}; kindsmith uninstall --crds deletes it and the definitions"
        )),
        (_, Some(Crd::There(Fate::Goes))) => lines.push(format!(
            "going: the CustomResourceDefinition {CRD}, which is being deleted, with what is left of definitions"
        )),
        (Some(Crd::There(_)), Some(Crd::Absent)) => lines.push(format!("gone: the CustomResourceDefinition {CRD}")),
        (_, Some(Crd::Absent) | None) => {}
    }
    if before.operator != Seen::Known(Operator::Absent) {
        lines.push(format!(
            "left: the namespace {namespace} with its Deployments and Secrets, which go with the chart or by: kubectl delete \
             -f deploy/manifests/"
        ));
    }
    lines
}

/// Returns the APIServices that are there in the end, as somebody registered them again.
pub(super) fn registered_again(after: &Surroundings) -> &[String] {
    after.api_services.known().map(Vec::as_slice).unwrap_or_default()
}

/// The instances that definitions had, which are left as releases.
fn instances(was: &[Found]) -> Option<String> {
    let known = |it: &Found| if let Count::Known { count, .. } = it.instances { count } else { 0 };
    let count: usize = was.iter().map(known).sum();
    let is_uncounted = was.iter().any(|it| matches!(it.instances, Count::Unknown(_)));
    match (count, is_uncounted) {
        (0, false) => None,
        (0, true) => Some("instances, as HelmReleases, which could not be counted".to_owned()),
        (_, false) => Some(format!("{}, as HelmReleases", counted(count, "instance"))),
        (_, true) => {
            Some(format!("{} and some that could not be counted, as HelmReleases", counted(count, "instance")))
        }
    }
}

/// A definition that is being deleted and still there.
fn going_on(found: &Found) -> String {
    let name = &found.name;
    match (&found.finalizer, &found.others[..]) {
        (Some(_), _) => format!("going: definition {name}, when its finalizer is removed"),
        (None, []) => format!("going: definition {name}"),
        (None, others) => {
            format!("going: definition {name}, when others remove their finalizers: {}", others.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::plan::{
            Policy,
            tests::{found, nothing},
        },
        *,
    };

    fn one() -> Surroundings {
        found(Policy::Block, Count::Known { count: 1, first: vec!["default/a".to_owned()] })
    }

    #[test]
    fn what_stays_is_said_with_how_it_goes() {
        let told = lines(&one(), &one(), "system");
        assert_eq!(
            told,
            [
                "left: APIService v1.apps.example.com",
                "left: 1 definition and 1 instance, as HelmReleases",
                "left: the CustomResourceDefinition applicationdefinitions.kindsmith.dev; kindsmith uninstall --crds deletes \
                 it and the definitions",
                "left: the namespace system with its Deployments and Secrets, which go with the chart or by: kubectl delete \
                 -f deploy/manifests/",
            ]
        );
        let uncounted = found(Policy::Block, Count::Unknown("forbidden".to_owned()));
        let told = lines(&uncounted, &uncounted, "system");
        assert_eq!(told[1], "left: 1 definition and instances, as HelmReleases, which could not be counted");
    }

    #[test]
    fn what_went_is_not_said_to_be_left() {
        let told = lines(&one(), &nothing(), "system");
        assert_eq!(
            told[..3],
            [
                "gone: 1 definition",
                "left: 1 instance, as HelmReleases",
                "gone: the CustomResourceDefinition applicationdefinitions.kindsmith.dev",
            ]
        );
    }

    #[test]
    fn what_still_goes_is_said_with_what_holds_it() {
        let mut after = one();
        after.crd = Seen::Known(Crd::There(Fate::Goes));
        if let Seen::Known(definitions) = &mut after.definitions {
            definitions[0].fate = Fate::Goes;
            definitions[0].finalizer = None;
            definitions[0].others = vec!["example.com/mine".to_owned()];
        }
        let told = lines(&one(), &after, "system");
        assert_eq!(
            told[1],
            "going: definition redises.apps.example.com, when others remove their finalizers: example.com/mine"
        );
        assert!(told[3].starts_with("going: the CustomResourceDefinition"), "{told:?}");
    }

    #[test]
    fn nothing_is_left_of_nothing() {
        assert_eq!(lines(&nothing(), &nothing(), "system"), [] as [String; 0]);
    }
}
