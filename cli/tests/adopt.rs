//! Behaviours of `kindsmith adopt --dry-run`, shown with the binary itself and releases in files.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

const REDIS: &str = "apiVersion: kindsmith.dev/v1alpha1
kind: ApplicationDefinition
metadata: {name: redises.apps.example.com}
spec:
  group: apps.example.com
  scope: Namespaced
  names: {kind: Redis, plural: redises}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer, minimum: 1}}}
  backend:
    helmRelease: {prefix: redis-, chartRef: {kind: OCIRepository, name: redis, namespace: charts}}
";

const RELEASES: &str = "apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: redis-platform, namespace: team-a}
spec:
  chartRef: {kind: OCIRepository, name: redis, namespace: charts}
  values: {size: 0, \"a\\e[31m\": 1}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: redis-config}
---
apiVersion: v1
kind: List
items:
- apiVersion: helm.toolkit.fluxcd.io/v2
  kind: HelmRelease
  metadata: {name: redis-own, labels: {kindsmith.dev/kind: Redis, kindsmith.dev/group: apps.example.com}}
  spec: {chartRef: {kind: OCIRepository, name: newer, namespace: charts}, values: {size: 3}}
- apiVersion: helm.toolkit.fluxcd.io/v2
  kind: HelmRelease
  metadata: {name: postgres-main}
  spec: {chartRef: {kind: OCIRepository, name: postgres, namespace: charts}}
";

fn adopt(folder: &Path, args: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kindsmith"));
    Ok(command.arg("adopt").args(args).current_dir(folder).env("KUBECONFIG", "/nowhere").output()?)
}

fn folder() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for (name, text) in [
        ("redis.yaml", REDIS),
        ("labels.yaml", &REDIS.replace("{prefix: redis-,", "{prefix: redis-, adopt: Labels,")),
        ("faulty.yaml", &REDIS.replace("kind: Redis,", "kind: Redis_,")),
        ("clusters/one/apps/releases.yaml", RELEASES),
        ("clusters/one/README.md", "no manifest"),
        ("clusters/.git/config.yaml", "a: ["),
    ] {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().context("no folder")?)?;
        fs::write(file, text)?;
    }
    Ok(folder)
}

#[test]
fn releases_that_become_instances_are_told_and_what_does_not_fit() -> Result<()> {
    let folder = folder()?;
    let output = adopt(folder.path(), &["--dry-run", "redis.yaml", "--releases", "clusters", "-n", "flux"])?;
    let wanted = "\
redises.apps.example.com: 2 of 3 releases are instances of kind Redis, 1 of them made by hand (adopt: Chart)
flux/redis-own: Redis flux/own, by labels
team-a/redis-platform: Redis team-a/platform, by chart
team-a/redis-platform: breaks spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1
team-a/redis-platform: spec.a\\u{1b}[31m is not in the schema; it stays
1 of 2 instances with values that do not fit the schema
";
    assert_eq!(String::from_utf8_lossy(&output.stdout), wanted, "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    let output = adopt(folder.path(), &["--dry-run", "redis.yaml", "--releases", "clusters/one", "-o", "json"])?;
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!((&report["sound"], &report["lookedAt"]), (&json!(false), &json!(3)));
    let by_hand = &report["releases"][1];
    assert_eq!(
        (&by_hand["release"], &by_hand["selectedBy"], &by_hand["faults"][0]["field"]),
        (&json!("redis-platform"), &json!("chart"), &json!("spec.size"))
    );
    assert_eq!(by_hand["instance"], json!({"group": "apps.example.com", "kind": "Redis", "name": "platform"}));
    Ok(())
}

#[test]
fn with_labels_nothing_made_by_hand_is_adopted() -> Result<()> {
    let folder = folder()?;
    let output = adopt(folder.path(), &["--dry-run", "labels.yaml", "--releases", "clusters"])?;
    let wanted = "\
redises.apps.example.com: 1 of 3 releases is an instance of kind Redis, 0 of them made by hand (adopt: Labels)
default/redis-own: Redis default/own, by labels
";
    assert_eq!((String::from_utf8_lossy(&output.stdout).as_ref(), output.status.code()), (wanted, Some(0)));
    Ok(())
}

#[test]
fn what_cannot_be_done_is_said() -> Result<()> {
    let folder = folder()?;
    for (args, code, text) in [
        (
            &["redis.yaml", "--releases", "clusters"][..],
            1,
            "nothing was done: releases become instances when the definition",
        ),
        (&["--dry-run", "redis.yaml", "--releases", "absent"], 1, "absent does not exist"),
        (&["--dry-run", "redis.yaml", "--releases", "clusters/.git"], 1, "config.yaml cannot be read"),
        (&["--dry-run", "redis.yaml", "--kubeconfig", "/nowhere"], 1, "/nowhere cannot be used"),
        (&["--dry-run", "--releases", "clusters"], 2, "FILE|DIR"),
        (&["--dry-run", "redis.yaml", "--releases", "clusters", "--kubeconfig", "x"], 2, "cannot be used with"),
    ] {
        let output = adopt(folder.path(), args)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(text), "{args:?}: {errors}");
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(code), true), "{args:?}");
    }
    let output = adopt(folder.path(), &["--dry-run", "faulty.yaml", "--releases", "clusters"])?;
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("faulty.yaml: redises.apps.example.com: spec.names.kind: "), "{printed}");
    assert_eq!(output.status.code(), Some(1));
    Ok(())
}
