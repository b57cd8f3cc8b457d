//! Behaviours of `kindsmith check`, shown with the binary itself.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;

const REDIS: &str = "apiVersion: kindsmith.dev/v1alpha1
kind: ApplicationDefinition
metadata:
  name: redises.apps.example.com
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
          spec:
            type: object
            properties:
              size: {type: integer, minimum: 1}
              users:
                type: array
                items: {type: object, properties: {name: {type: string}}}
  backend:
    helmRelease: {prefix: redis-, chartRef: {kind: OCIRepository, name: redis, namespace: charts}}
";

fn folder(files: &[(&str, &str)]) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for (name, text) in files {
        fs::write(folder.path().join(name), text)?;
    }
    Ok(folder)
}

fn check(folder: &Path, args: &[&str], stdin: &str) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kindsmith"));
    command.arg("check").args(args).current_dir(folder);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no standard input")?.write_all(stdin.as_bytes())?;
    Ok(child.wait_with_output()?)
}

/// What is said of a definition that adopts by chart.
fn note(file: &str, plural: &str, of: &str, prefix: &str) -> String {
    format!(
        "{file}: {plural}.apps.example.com: note: releases made by hand are instances too: those of {of} \
         named {prefix}*; adopt: Labels leaves them out"
    )
}

fn redis_note(file: &str) -> String {
    note(file, "redises", "OCIRepository charts/redis", "redis-")
}

#[track_caller]
fn says(output: &Output, code: i32, lines: &[&str]) {
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(printed.lines().collect::<Vec<_>>(), lines, "{errors}");
    assert_eq!(output.status.code(), Some(code), "{errors}");
}

#[test]
fn a_sound_definition_is_ok() -> Result<()> {
    let folder = folder(&[("redis.yaml", REDIS)])?;
    let ok = ["redis.yaml: ok: apps.example.com/v1 Redis (redises)", &redis_note("redis.yaml")];
    says(&check(folder.path(), &["redis.yaml"], "")?, 0, &ok);
    let ok = ["-: ok: apps.example.com/v1 Redis (redises)", &redis_note("-")];
    says(&check(folder.path(), &["-"], REDIS)?, 0, &ok);
    let by_labels = REDIS.replace("{prefix: redis-,", "{prefix: redis-, adopt: Labels,");
    says(&check(folder.path(), &["-"], &by_labels)?, 0, &ok[..1]);
    Ok(())
}

#[test]
fn the_examples_are_sound() -> Result<()> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let output = check(&examples, &["examples"], "")?;
    says(
        &output,
        0,
        &[
            "examples/bucket.yaml: ok: apps.example.com/v1alpha1 Bucket (buckets)",
            &note("examples/bucket.yaml", "buckets", "OCIRepository charts/bucket", "bucket-"),
            "examples/postgres.yaml: ok: apps.example.com/v1alpha1 Postgres (postgreses)",
            &note("examples/postgres.yaml", "postgreses", "chart postgres of HelmRepository charts/apps", "postgres-"),
            "examples/redis.yaml: ok: apps.example.com/v1alpha1 Redis (redises)",
            &note("examples/redis.yaml", "redises", "OCIRepository charts/redis", "redis-"),
        ],
    );
    Ok(())
}

#[test]
fn a_kind_in_our_own_store_is_for_dev_alone() -> Result<()> {
    let (head, _) = REDIS.split_once("  backend:").context("no backend")?;
    let stored = format!("{head}  backend: {{store: {{}}}}\n");
    let folder = folder(&[])?;
    says(
        &check(folder.path(), &["-"], &stored)?,
        1,
        &[
            "-: redises.apps.example.com: spec.backend.store: Forbidden: there is no storage of our own in this \
             cluster; use helmRelease",
            "1 fault",
        ],
    );
    let ok = ["-: ok: apps.example.com/v1 Redis (redises)"];
    says(&check(folder.path(), &["-", "--in", "dev"], &stored)?, 0, &ok);
    Ok(())
}

#[test]
fn each_fault_is_a_line_with_its_field() -> Result<()> {
    let faulty = REDIS
        .replace("size: {type: integer,", "size: {type: objekt,")
        .replace("kind: Redis,", "kind: Redis_,")
        .replace("  scope: Namespaced", "  scope: Namespaced\n  colour: red");
    let output = check(folder(&[])?.path(), &["-"], &faulty)?;
    says(&output, 1, &["-: redises.apps.example.com: spec.colour: is no field of an ApplicationDefinition", "1 fault"]);
    let output = check(folder(&[])?.path(), &["-"], &faulty.replace("  colour: red\n", ""))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(printed.contains("-: redises.apps.example.com: spec.names.kind: Invalid value: \"redis_\""), "{printed}");
    assert!(
        printed.contains(
            "spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[size].type: Unsupported value: \
             \"objekt\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\""
        ),
        "{printed}"
    );
    Ok(())
}

#[test]
fn a_fault_in_notes_or_access_is_told_with_its_place() -> Result<()> {
    let told = "    notes: |\n      Redis ${self.metadata.name}:\n        ${self.spec.sise} GiB\n    access:\n    - name: client\n      \
        host: ${self.spec.users}\n      port: 6379\n";
    let faulty = REDIS.replace("  backend:", &format!("{told}  backend:"));
    let output = check(folder(&[])?.path(), &["-"], &faulty)?;
    says(
        &output,
        1,
        &[
            "-: redises.apps.example.com: spec.versions[0].notes: Invalid value: \"self.spec.sise\": compilation failed: \
             ERROR: <input>:2:14: undefined field 'sise'",
            " |   ${self.spec.sise} GiB",
            " | .............^",
            "-: redises.apps.example.com: spec.versions[0].access[0].host: Invalid value: \"self.spec.users\": the expression \
             at 1:3 must give a string, a number, a bool or a time, and gives list(self.spec.users.@idx)",
            "2 faults",
        ],
    );
    let mended = faulty.replace("sise", "size").replace("${self.spec.users}", "redis");
    let against = folder(&[("old.yaml", REDIS), ("new.yaml", &mended)])?;
    for (new, old) in [("new.yaml", "old.yaml"), ("old.yaml", "new.yaml")] {
        let output = check(against.path(), &[new, "--against", old], "")?;
        says(&output, 0, &[&format!("{new}: ok: apps.example.com/v1 Redis (redises)"), &redis_note(new)]);
    }
    Ok(())
}

#[test]
fn two_definitions_that_ask_for_one_name_are_told() -> Result<()> {
    let other = REDIS.replace("redises", "caches").replace("redis-", "cache-");
    let folder = folder(&[("a.yaml", &format!("{REDIS}---\n{other}")), ("b.yaml", REDIS)])?;
    let output = check(folder.path(), &["a.yaml"], "")?;
    says(
        &output,
        1,
        &[
            "a.yaml: redises.apps.example.com: spec.names.singular: \"redis\" is asked for by ApplicationDefinition \
             \"caches.apps.example.com\" in a.yaml too; only one of them can have it",
            "a.yaml: redises.apps.example.com: spec.names.kind: \"Redis\" is asked for by ApplicationDefinition \
             \"caches.apps.example.com\" in a.yaml too; only one of them can have it",
            "a.yaml: redises.apps.example.com: spec.names.listKind: \"RedisList\" is asked for by \
             ApplicationDefinition \"caches.apps.example.com\" in a.yaml too; only one of them can have it",
            &redis_note("a.yaml"),
            "a.yaml: ok: apps.example.com/v1 Redis (caches)",
            &note("a.yaml", "caches", "OCIRepository charts/redis", "cache-"),
            "3 faults",
        ],
    );
    let output = check(folder.path(), &["b.yaml", "b.yaml"], "")?;
    says(
        &output,
        1,
        &[
            "b.yaml: ok: apps.example.com/v1 Redis (redises)",
            &redis_note("b.yaml"),
            "b.yaml: redises.apps.example.com: metadata.name: \"redises.apps.example.com\" is defined in b.yaml too",
            &redis_note("b.yaml"),
            "1 fault",
        ],
    );
    Ok(())
}

#[test]
fn kinds_that_may_ask_for_one_name_of_a_release_are_told() -> Result<()> {
    let cache = REDIS
        .replace("redises", "caches")
        .replace("kind: Redis", "kind: Cache")
        .replace("prefix: redis-", "prefix: redis-cache-, adopt: Labels")
        .replace("name: redis,", "name: cache,");
    let folder = folder(&[("cache.yaml", &cache), ("redis.yaml", REDIS)])?;
    let output = check(folder.path(), &["cache.yaml", "redis.yaml"], "")?;
    let told = String::from_utf8(output.stdout)?;
    assert_eq!(output.status.code(), Some(0), "{told}");
    for (file, definition, prefixes) in [
        ("cache.yaml: caches.apps.example.com", "redises.apps.example.com", r#""redis-cache-" overlaps with "redis-""#),
        ("redis.yaml: redises.apps.example.com", "caches.apps.example.com", r#""redis-" overlaps with "redis-cache-""#),
    ] {
        let note = format!("{file}: note: prefix {prefixes} of ApplicationDefinition \"{definition}\"");
        assert!(told.lines().any(|line| line.starts_with(&note)), "{note} is not in {told}");
    }
    Ok(())
}

#[test]
fn what_a_change_breaks_is_told() -> Result<()> {
    let new = REDIS.replace("minimum: 1", "minimum: 2").replace("{name: {type: string}}", "{}");
    let folder = folder(&[("new.yaml", &new), ("old.yaml", REDIS)])?;
    let breaks = [
        "new.yaml: ok: apps.example.com/v1 Redis (redises)",
        &redis_note("new.yaml"),
        "new.yaml: redises.apps.example.com: breaks v1 spec.size: had to be at least 1 and must be at least 2 \
         [hurts stored instances and clients]",
        "new.yaml: redises.apps.example.com: breaks v1 spec.users[*].name: the field is no longer in the schema and is \
         dropped; keep it, or set x-kubernetes-preserve-unknown-fields [hurts stored instances and clients]",
        "2 breaking changes",
    ];
    says(&check(folder.path(), &["new.yaml", "--against", "old.yaml"], "")?, 1, &breaks);
    says(&check(folder.path(), &["new.yaml", "--against", "-"], REDIS)?, 1, &breaks);
    says(
        &check(folder.path(), &["old.yaml", "--against", "old.yaml"], "")?,
        0,
        &["old.yaml: ok: apps.example.com/v1 Redis (redises)", &redis_note("old.yaml")],
    );
    let output = check(folder.path(), &["new.yaml", "--against", "old.yaml", "-o", "json"], "")?;
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(report["sound"], false);
    let definition = &report["definitions"][0];
    assert_eq!(definition["kind"]["servedVersions"], serde_json::json!(["v1"]));
    assert_eq!(definition["faults"], serde_json::json!([]));
    assert_eq!(definition["breaks"][1]["path"], "spec.users[*].name");
    assert_eq!(definition["breaks"][1]["hurts"], serde_json::json!({"stored": true, "clients": true}));
    Ok(())
}

#[test]
fn what_cannot_be_read_is_said_at_once() -> Result<()> {
    let folder = folder(&[("no.yaml", "kind: Namespace\n"), ("broken.yaml", "a: [\n")])?;
    for (args, text) in [
        (&["absent.yaml"][..], "kindsmith: absent.yaml does not exist"),
        (&["no.yaml"], "kindsmith: there is no ApplicationDefinition in no.yaml"),
        (&["broken.yaml"], "kindsmith: broken.yaml cannot be read: "),
        (&["-", "--against", "-"], "kindsmith: the standard input can be read once only"),
    ] {
        let output = check(folder.path(), args, "")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.starts_with(text), "{errors}");
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
    }
    Ok(())
}
