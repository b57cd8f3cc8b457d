//! `cargo bench -p kindsmith-schema`: times of everything in `fixture`, the memory of a compiled schema, and in the end
//! one table of all figures beside their goals.
//!
//! `cargo bench -p kindsmith-schema -- validate` measures a part; the table then shows that part.

mod fixture;

use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use fixture::{MEMORY_GOAL_BYTES, PEER};
use mimalloc::MiMalloc;
use serde_json::Value;

/// The allocator of the processes that this is for.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How many compiled schemas share what resident memory is counted in, so that pages do not matter.
const COMPILED_COUNT: usize = 1000;

/// One line of the table.
struct Line {
    name: &'static str,
    goal: String,
    measured: String,
    of_peer: String,
    met: &'static str,
}

fn main() {
    // First, while the heap is small and nothing that was freed can be used again.
    let memory = memory_line();
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .without_plots()
        .configure_from_args();
    let mut lines = Vec::new();
    let mut peer = None;
    for case in fixture::cases() {
        let started = std::time::SystemTime::now();
        criterion.bench_function(case.name, |bencher| {
            bencher.iter_batched(|| case.input.clone(), &case.run, BatchSize::PerIteration);
        });
        let median = median(case.name, started);
        if case.name == PEER {
            peer = median;
        }
        lines.extend(median.map(|median| line(case.name, case.goal, median, peer)));
    }
    lines.extend(memory);
    criterion.final_summary();
    println!("\n{:<30} {:>12} {:>12} {:>8}  ok", "name", "goal", "measured", "of peer");
    for Line { name, goal, measured, of_peer, met } in lines {
        println!("{name:<30} {goal:>12} {measured:>12} {of_peer:>8}  {met}");
    }
}

fn line(name: &'static str, goal: Duration, measured: Duration, peer: Option<Duration>) -> Line {
    let ratio = |peer: Duration| format!("{:.2}x", measured.as_secs_f64() / peer.as_secs_f64());
    Line {
        name,
        goal: format!("< {goal:?}"),
        measured: format!("{measured:.2?}"),
        of_peer: peer.map(ratio).unwrap_or_default(),
        met: met(measured < goal),
    }
}

fn met(is_met: bool) -> &'static str {
    if is_met { "yes" } else { "NO" }
}

/// What criterion measured, if it did since `started`.
fn median(name: &str, started: std::time::SystemTime) -> Option<Duration> {
    let path = criterion_folder().join(name.replace('/', "_")).join("new/estimates.json");
    let written = path.metadata().ok()?.modified().ok()?;
    let estimates: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let nanoseconds = estimates.pointer("/median/point_estimate")?.as_f64()?;
    (written >= started).then(|| Duration::from_secs_f64(nanoseconds / 1e9))
}

/// Where criterion writes: in `CRITERION_HOME` or in cargo's target folder.
fn criterion_folder() -> PathBuf {
    if let Some(home) = std::env::var_os("CRITERION_HOME") {
        return home.into();
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from).join("criterion")
}

/// The resident memory of one compiled schema; nothing where the system does not tell.
fn memory_line() -> Option<Line> {
    let raw = fixture::schema();
    // What is made once for all schemas is no part of one of them.
    let first = fixture::compiled();
    let before = resident_bytes()?;
    let mut held = Vec::with_capacity(COMPILED_COUNT);
    for _ in 0..COMPILED_COUNT {
        held.push(fixture::compile(&raw));
    }
    let bytes = resident_bytes()?.saturating_sub(before) / held.len();
    drop((first, held));
    Some(Line {
        name: "memory of a compiled schema",
        goal: format!("< {} kB", MEMORY_GOAL_BYTES / 1000),
        measured: format!("{:.1} kB", bytes as f64 / 1000.0),
        of_peer: String::new(),
        met: met(bytes < MEMORY_GOAL_BYTES),
    })
}

fn resident_bytes() -> Option<usize> {
    const PAGE_BYTES: usize = 4096;
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES)
}
