//! Runs the body of a target over its corpus and over mutations of it, the same ones every time: what fuzzing found once
//! is looked for by `cargo test`, without a nightly compiler.

use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long one input may take, on a busy machine and without optimization.
const INPUT_TIME_MAX: Duration = Duration::from_secs(5);

/// Runs `body` over everything in `fuzz/corpus/<target>`, and over `mutations` inputs made of it.
pub(crate) fn replay(target: &str, mutations: usize, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(!seeds.is_empty(), "nothing in {}", folder.display());
    for seed in &seeds {
        check(target, body, seed);
    }
    let mut mutator = Mutator { seeds: &seeds, state: 0x9E37_79B9_7F4A_7C15 };
    for _ in 0..mutations {
        check(target, body, &mutator.input());
    }
}

fn check(target: &str, body: fn(&[u8]), input: &[u8]) {
    let started = Instant::now();
    let shown = input.escape_ascii();
    assert!(catch_unwind(|| body(input)).is_ok(), "{target} fails on b\"{shown}\"");
    assert!(started.elapsed() < INPUT_TIME_MAX, "{target} is slow on b\"{shown}\"");
}

/// Makes inputs of seeds: lines that are JSON are changed as values, so that they stay JSON, and others as bytes.
struct Mutator<'a> {
    seeds: &'a [Vec<u8>],
    state: u64,
}

impl Mutator<'_> {
    /// A number below `end` (xorshift64).
    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 16).unwrap() % end.max(1)
    }

    fn seed(&mut self) -> Vec<u8> {
        let at = self.below(self.seeds.len());
        self.seeds[at].clone()
    }

    fn input(&mut self) -> Vec<u8> {
        let seed = self.seed();
        let mut lines: Vec<Vec<u8>> = seed.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        for _ in 0..=self.below(3) {
            let at = self.below(lines.len());
            lines[at] = match serde_json::from_slice::<Value>(&lines[at]) {
                Ok(mut value) if self.below(8) > 0 => {
                    self.change(&mut value);
                    value.to_string().into_bytes()
                }
                _ => self.bytes(&lines[at]),
            };
        }
        lines.join(&b'\n')
    }

    /// Replaces one of the values, or removes it from what it is in.
    fn change(&mut self, value: &mut Value) {
        let deeper = self.below(6) > 0;
        match value {
            Value::Object(map) if deeper && !map.is_empty() => {
                let at = self.below(map.len());
                let name = map.keys().nth(at).cloned().unwrap_or_default();
                match self.below(10) {
                    0 => drop(map.remove(&name)),
                    1 => {
                        let moved = map.remove(&name).unwrap_or_default();
                        map.insert(self.text(), moved);
                    }
                    2 => {
                        let (name, value) = (self.text(), self.value());
                        map.insert(name, value);
                    }
                    _ => self.change(&mut map[&name]),
                }
            }
            Value::Array(items) if deeper && !items.is_empty() => {
                let at = self.below(items.len());
                match self.below(8) {
                    0 => drop(items.remove(at)),
                    1 => items.push(items[at].clone()),
                    _ => self.change(&mut items[at]),
                }
            }
            other => *other = self.value(),
        }
    }

    /// A value that tends to be at a limit, or one from another seed.
    fn value(&mut self) -> Value {
        match self.below(12) {
            0 => Value::Null,
            1 => Value::Bool(self.below(2) == 0),
            2 => Value::from([0, 1, -1, 2, 63, 64, i64::MAX, i64::MIN, 1 << 53][self.below(9)]),
            3 => Value::from([0.0, -0.0, 0.5, 1e300, -1e-300, 1.0, 9_007_199_254_740_993.0][self.below(7)]),
            4 => Value::from(self.text()),
            5 => Value::from(Vec::<Value>::new()),
            6 => Value::Object(serde_json::Map::new()),
            _ => self.part_of_a_seed(),
        }
    }

    fn part_of_a_seed(&mut self) -> Value {
        let seed = self.seed();
        let lines: Vec<Value> =
            seed.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let at = self.below(lines.len());
        let mut part = lines.get(at).cloned().unwrap_or_default();
        for _ in 0..self.below(8) {
            let at = self.below(64);
            let inner = match &part {
                Value::Object(map) if !map.is_empty() => map.values().nth(at % map.len()),
                Value::Array(items) if !items.is_empty() => items.get(at % items.len()),
                _ => None,
            };
            let Some(inner) = inner.cloned() else { return part };
            part = inner;
        }
        part
    }

    /// A word that one of the seeds has, or none.
    fn text(&mut self) -> String {
        let seed = self.seed();
        let seed = String::from_utf8_lossy(&seed);
        let words: Vec<&str> = seed.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
        words.get(self.below(words.len())).map(|word| (*word).to_owned()).unwrap_or_default()
    }

    fn bytes(&mut self, line: &[u8]) -> Vec<u8> {
        let mut bytes = line.to_vec();
        let start = self.below(bytes.len() + 1);
        let end = (start + self.below(9)).min(bytes.len());
        match self.below(6) {
            0 => drop(bytes.drain(start..end)),
            1 => bytes.extend_from_within(start..end),
            2 => drop(bytes.splice(start..end, self.text().into_bytes())),
            3 => {
                let other = self.seed();
                let from = self.below(other.len());
                let to = (from + self.below(24)).min(other.len());
                bytes.splice(start..end, other[from..to].iter().copied());
            }
            4 => {
                let signs = b"\"'\\()[]{}^$*+?|,.:;=!<>&%@-0123456789\x00\n\xc3\xa9";
                bytes.insert(start, signs[self.below(signs.len())]);
            }
            _ => match bytes.get_mut(start) {
                Some(byte) => *byte ^= 1 << self.below(8),
                None => bytes.push(b'a'),
            },
        }
        bytes
    }
}
