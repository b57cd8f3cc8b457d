//! Whatever is compressed is read by Go, as kube-apiserver and kubectl do.

use anyhow::Result;
use kindsmith_apiserver::encode::deflated::{self, Part};
use kindsmith_schema::deflate::{self, Effort};
use kindsmith_tests::gunzip_oracle;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

const KIB: usize = 1024;

/// JSON as it is in schemas and lists, cut where it is long enough.
fn text(random: &mut StdRng, bytes: usize) -> Vec<u8> {
    let words = ["replicas", "the", "storage", "of", "size", "volume", "0.5", "x-kubernetes", "limits", "ä→"];
    let noise = random.random_range(0..40);
    let mut text = Vec::with_capacity(bytes + 200);
    while text.len() < bytes {
        let mut word = || words[random.random_range(0..words.len())];
        let words = [word(), word(), word()].join(" ");
        let entry = match random.random_range(0..100) {
            roll if roll < noise => json!({ "checksum": format!("{:032x}", random.random::<u128>()) }),
            roll if roll < 70 => json!({ words.clone(): random.random_range(0..99), "description": words }),
            _ => json!([words, null, true]),
        };
        text.extend_from_slice(entry.to_string().as_bytes());
        text.push(b',');
    }
    text.truncate(bytes);
    text
}

#[test]
fn what_is_compressed_is_read_by_go() -> Result<()> {
    let mut random = StdRng::seed_from_u64(1);
    let mut lengths: Vec<usize> = (1..=16).chain([32 * KIB, 64 * KIB - 1, 64 * KIB, 4096 * KIB]).collect();
    lengths.extend((0..40).map(|_| random.random_range(1..20 * KIB)));
    // Where compressing took more than one call, parts came out broken.
    lengths.extend((0..25).map(|_| random.random_range(250 * KIB..700 * KIB)));
    let mut pairs = Vec::new();
    for bytes in lengths {
        let text = text(&mut random, bytes);
        pairs.push((deflate::gzip(&text, Effort::Fast), text.clone()));
        if bytes <= 300 * KIB {
            pairs.push((deflate::gzip(&text, Effort::Small), text.clone()));
        }
        let (begin, end) = (Part::of("["), Part::of("]"));
        let part = Part::of(&text);
        pairs.push((deflated::gzip([&begin, &part, &end]), [b"[", text.as_slice(), b"]"].concat()));
    }
    gunzip_oracle::compare(&pairs)
}
