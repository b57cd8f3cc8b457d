//! Odd requests from a table: a kind of ours answers as its twin does.

use anyhow::{Context as _, Result};
use kindsmith_tests::twin::definition::Backend;
use kindsmith_tests::twin::ground::Ground;
use kindsmith_tests::twin::pair::Pair;
use kindsmith_tests::twin::plan::{Raw, Step};

/// The requests.
const TABLE: &str = include_str!("../../cases/answers.txt");

/// Sends all of them to both sides, and returns how many there are and what differs.
///
/// # Errors
/// A line of the table cannot be read, or a connection failed.
pub(crate) async fn differences(ground: &Ground, namespace: &str) -> Result<(usize, Vec<String>)> {
    let mut pair = Pair::new(ground, namespace).await?;
    let mut found = Vec::new();
    for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        // A release has a status at once, of which another version knows nothing.
        let is_of_status = line.contains("<< {\"apiVersion\":\"{group}/v9\"}");
        if ground.definition.backend == Backend::Release && is_of_status {
            continue;
        }
        let request = read(line).with_context(|| format!("reading {line:?}"))?;
        found.extend(pair.step(&Step::Raw(request)).await?);
    }
    Ok((pair.requests, found))
}

/// A request as a line has it.
fn read(line: &'static str) -> Result<Raw> {
    let (head, body) = line.split_once(" << ").unwrap_or((line, ""));
    let mut parts = head.split(" | ");
    let (method, path) = parts.next().and_then(|ask| ask.split_once(' ')).context("METHOD PATH is wanted")?;
    let mut headers: Vec<_> = parts.filter_map(|header| header.split_once(": ")).collect();
    if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
        headers.push(("content-type", "application/json"));
    }
    let path = path.replace('~', "^/namespaces/{ns}/twins").replace('^', "/apis/{group}/v1");
    Ok(Raw { method, path, headers, body })
}
