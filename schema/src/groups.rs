//! API groups that belong to somebody else: a definition cannot ask for them.
//!
//! RBAC knows groups and resources, not versions and not who serves them. Rights on a kind of a definition are therefore
//! rights on whatever else its group has under the same plural, and the built-in roles take these rights up.

/// The domains whose groups a definition cannot ask for, each with who owns it. Subdomains are included.
///
/// A domain is here when writing objects of its groups decides what runs in a cluster, with which rights, or who sees
/// which secrets, and when platforms commonly run it.
const OWNERS: [(&str, &str); 23] = [
    ("k8s.io", "Kubernetes"),
    ("kubernetes.io", "Kubernetes"),
    ("x-k8s.io", "the special interest groups of Kubernetes"),
    ("kindsmith.dev", "Kindsmith"),
    ("fluxcd.io", "Flux"),
    ("cozystack.io", "Cozystack; its own definitions are served with --definitions cozystack"),
    ("argoproj.io", "Argo"),
    ("crossplane.io", "Crossplane"),
    ("upbound.io", "Crossplane's providers"),
    ("coreos.com", "the Prometheus operator and the Operator Lifecycle Manager"),
    ("openshift.io", "OpenShift"),
    ("cattle.io", "Rancher"),
    ("cert-manager.io", "cert-manager"),
    ("external-secrets.io", "External Secrets"),
    ("kyverno.io", "Kyverno"),
    ("gatekeeper.sh", "Gatekeeper"),
    ("istio.io", "Istio"),
    ("cilium.io", "Cilium"),
    ("projectcalico.org", "Calico"),
    ("tekton.dev", "Tekton"),
    ("knative.dev", "Knative"),
    ("kubevirt.io", "KubeVirt"),
    ("velero.io", "Velero"),
];

/// Returns who owns a group that a definition cannot ask for, or none if the group is free.
#[must_use]
pub fn owner(group: &str) -> Option<&'static str> {
    let is_below = |domain: &str| group.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    OWNERS.iter().find(|(domain, _)| is_below(domain)).map(|(_, owner)| *owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_owns_itself_and_what_is_below_it() {
        for group in
            ["kustomize.toolkit.fluxcd.io", "fluxcd.io", "gateway.networking.x-k8s.io", "x-k8s.io", "apps.cozystack.io"]
        {
            assert!(owner(group).is_some(), "{group}");
        }
        for group in ["example.com", "myfluxcd.io", "fluxcd.io.example.com", "box-k8s.io", "notk8s.io", "io"] {
            assert_eq!(owner(group), None, "{group}");
        }
    }
}
