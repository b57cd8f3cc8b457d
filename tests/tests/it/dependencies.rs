//! What Kindsmith is built of: licences, refused crates and sources, as `deny.toml` lists them.
//!
//! cargo-deny judges the same lists and advisories besides, where it is installed: building it takes longer than all other checks.

use std::{env, fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::program;

/// The strings of a list of `deny.toml`. It is our own file, so the syntax is as plain as it stands there.
fn listed(text: &str, section: &str, list: &str) -> Result<Vec<String>> {
    let body = text.split(&format!("\n[{section}]\n")).nth(1).with_context(|| format!("there is no [{section}]"))?;
    let body = body.split("\n[").next().unwrap_or_default();
    let items = body.split(&format!("\n{list} = [")).nth(1).with_context(|| format!("{section} has no {list}"))?;
    let items = items.split(']').next().unwrap_or_default();
    Ok(items.split('"').skip(1).step_by(2).map(str::to_owned).collect())
}

/// Reports whether a licence expression can be kept with the allowed licences alone (SPDX, annex D; a slash is an old "or").
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (outcome, rest) = any(&words, allowed);
    outcome && rest.is_empty()
}

fn any<'w>(words: &'w [&'w str], allowed: &[String]) -> (bool, &'w [&'w str]) {
    let (mut outcome, mut rest) = all(words, allowed);
    while let Some(("OR", next)) = rest.split_first().map(|(first, next)| (*first, next)) {
        let (other, after) = all(next, allowed);
        (outcome, rest) = (outcome || other, after);
    }
    (outcome, rest)
}

fn all<'w>(words: &'w [&'w str], allowed: &[String]) -> (bool, &'w [&'w str]) {
    let (mut outcome, mut rest) = one(words, allowed);
    while let Some(("AND", next)) = rest.split_first().map(|(first, next)| (*first, next)) {
        let (other, after) = one(next, allowed);
        (outcome, rest) = (outcome && other, after);
    }
    (outcome, rest)
}

fn one<'w>(words: &'w [&'w str], allowed: &[String]) -> (bool, &'w [&'w str]) {
    match words {
        ["(", rest @ ..] => {
            let (outcome, after) = any(rest, allowed);
            match after {
                [")", after @ ..] => (outcome, after),
                _ => (false, after),
            }
        }
        [name, "WITH", exception, rest @ ..] => (allowed.contains(&format!("{name} WITH {exception}")), rest),
        [name, rest @ ..] => (allowed.iter().any(|it| it == name), rest),
        [] => (false, &[]),
    }
}

#[test]
fn licences_are_read_as_they_are_meant() {
    let allowed = ["MIT".to_owned(), "ISC".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
    for (expression, wanted) in [
        ("MIT", true),
        ("MIT OR GPL-3.0", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("ISC AND (GPL-3.0 OR MIT)", true),
        ("(MIT AND GPL-3.0) OR GPL-2.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0", false),
        ("(MIT", false),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), wanted, "{expression:?}");
    }
}

#[test]
fn it_is_built_of_what_is_allowed_alone() -> Result<()> {
    let folder = program::workspace();
    let lists = fs::read_to_string(folder.join("deny.toml")).context("reading deny.toml")?;
    let licences = listed(&lists, "licenses", "allow")?;
    let denied = listed(&lists, "bans", "deny")?;
    let registries = listed(&lists, "sources", "allow-registry")?;
    ensure!(licences.len() > 5 && denied.len() > 5 && registries.len() == 1, "{licences:?} {denied:?} {registries:?}");

    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&folder).args(["tree", "--workspace", "--locked", "--offline", "--edges", "normal,build"]);
    let tree = command.args(["--prefix", "none", "--format", "{p}|{l}"]).output().context("asking cargo")?;
    ensure!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout)?;
    let mut faults = Vec::new();
    let mut count = 0;
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let (package, licence) = line.split_once('|').with_context(|| format!("{line} is not understood"))?;
        let name = package.split(' ').next().unwrap_or_default();
        count += 1;
        if denied.iter().any(|it| it == name) {
            faults.push(format!("{package} is refused"));
        }
        if !is_allowed(licence.trim_end_matches(" (*)"), &licences) {
            faults.push(format!("{package} has the licence {licence:?}"));
        }
    }
    ensure!(count > 100, "cargo told of {count} crates");

    let locked = fs::read_to_string(folder.join("Cargo.lock")).context("reading Cargo.lock")?;
    for source in locked.lines().filter_map(|line| line.strip_prefix("source = ")) {
        if !registries.iter().any(|registry| source == format!("\"registry+{registry}\"")) {
            faults.push(format!("{source} is a source that nobody allowed"));
        }
    }
    faults.sort();
    faults.dedup();
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}
