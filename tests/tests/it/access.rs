//! Who may do what: RBAC per kind, nobody without credentials, no name taken on trust.

use anyhow::{Result, ensure};
use kindsmith_tests::{ControlPlane, Kindsmith};

use crate::{credentials::nothing_of_worth_is_sent, main_job::apply_definitions};

const ROLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: redis-user}
rules:
- {apiGroups: [apps.example.com], resources: [redises], verbs: ['*']}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: redis-user}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: redis-user}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: tenant}
";

const REDIS: &str = "{apiVersion: apps.example.com/v1alpha1, kind: Redis, metadata: {name: mine, namespace: default}}";

/// The status code and body of a request to our own apiserver with no credentials but what is given in headers.
async fn raw(port: u16, headers: &[(&str, &str)]) -> Result<(u16, String)> {
    let url = format!("https://127.0.0.1:{port}");
    let mut config = kube::Config::new(url.parse()?);
    config.accept_invalid_certs = true;
    let client = kube::Client::try_from(config)?;
    let mut request = http::Request::get("/apis/apps.example.com/v1alpha1/redises");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = client.send(request.body(kube::client::Body::empty())?).await?;
    let code = answer.status().as_u16();
    let body = answer.into_body().collect_bytes().await?;
    Ok((code, String::from_utf8_lossy(&body).into_owned()))
}

#[tokio::test]
async fn rbac_holds_for_each_kind_and_names_are_not_taken_on_trust() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    apply_definitions(&call).await?;
    control_plane.apply(ROLE).await?;

    let tenant = control_plane.kubeconfig_as("tenant", &[])?;
    let as_tenant = |args: &[&str]| call(args).kubeconfig(&tenant);
    as_tenant(&["create", "-f", "-"]).stdin(REDIS).ok().await?;
    let mine = as_tenant(&["get", "redises", "-o", "name"]).ok().await?;
    ensure!(mine == "redis.apps.example.com/mine\n", "kubectl printed {mine:?}");
    as_tenant(&["patch", "redis", "mine", "--type=merge", "-p", r#"{"spec":{"replicas":1}}"#]).ok().await?;
    for other in ["postgreses", "buckets"] {
        let refused = as_tenant(&["get", other]).fails().await?;
        let wanted = format!(
            r#"{other}.apps.example.com is forbidden: User "tenant" cannot list resource "{other}" in API group "apps.example.com" in the namespace "default""#
        );
        ensure!(refused.contains(&wanted), "kubectl complained {refused}");
    }
    let refused = as_tenant(&["get", "helmreleases"]).fails().await?;
    ensure!(refused.contains("Forbidden"), "kubectl complained {refused}");
    as_tenant(&["delete", "redis", "mine", "--timeout=20s"]).ok().await?;

    let port = kindsmith.port();
    let (code, body) = raw(port, &[]).await?;
    ensure!(code == 403 && body.contains("system:anonymous"), "anonymous got {code} {body}");
    let forged = [("X-Remote-User", "admin"), ("X-Remote-Group", "system:masters")];
    let (code, body) = raw(port, &forged).await?;
    ensure!(code == 403 && body.contains("system:anonymous"), "forged headers got {code} {body}");
    let (code, _) = raw(port, &[("Authorization", "Bearer nonsense")]).await?;
    ensure!(code == 401, "a token that nobody issued got {code}");
    nothing_of_worth_is_sent(&control_plane, &kindsmith).await
}
