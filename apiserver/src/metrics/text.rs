//! The two text formats: OpenMetrics for clients that ask for it, the one of Prometheus for all others.

use std::fmt;

use prometheus_client::{encoding::text, registry::Registry};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics as they go out.
#[derive(Debug)]
pub struct Exposition {
    /// The media type.
    pub content_type: &'static str,
    /// The text.
    pub body: String,
}

pub(super) fn expose(registry: &Registry, accept: Option<&str>) -> Result<Exposition, fmt::Error> {
    let mut body = String::new();
    text::encode(&mut body, registry)?;
    if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
        return Ok(Exposition { content_type: OPENMETRICS, body });
    }
    Ok(Exposition { content_type: PROMETHEUS, body: prometheus(&body) })
}

/// In OpenMetrics a counter is described by its name without `_total`; in the format of Prometheus the description has the
/// name of the samples. Neither is there an end mark.
fn prometheus(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len() + 512);
    let mut lines = openmetrics.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            continue;
        }
        let (mark, rest) = line.split_at_checked(7).unwrap_or((line, ""));
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let counter = match mark {
            "# TYPE " => rest == "counter",
            "# HELP " => lines.peek().is_some_and(|next| *next == format!("# TYPE {name} counter")),
            _ => false,
        };
        if counter {
            text += &format!("{mark}{name}_total {rest}\n");
        } else {
            text += line;
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

    use super::*;

    #[test]
    fn counters_are_described_by_the_names_of_their_samples() {
        let mut registry = Registry::default();
        let counter: Counter = Counter::default();
        counter.inc();
        registry.register("asked", "How often", counter);
        registry.register("open", "How many", Gauge::<i64>::default());
        let plain = expose(&registry, Some("text/plain")).unwrap();
        assert_eq!(plain.content_type, PROMETHEUS);
        assert_eq!(
            plain.body,
            "# HELP asked_total How often.\n# TYPE asked_total counter\nasked_total 1\n\
             # HELP open How many.\n# TYPE open gauge\nopen 0\n"
        );
        let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3";
        let open = expose(&registry, Some(accept)).unwrap();
        assert_eq!(open.content_type, OPENMETRICS);
        assert!(
            open.body.starts_with("# HELP asked How often.\n# TYPE asked counter\nasked_total 1\n"),
            "{}",
            open.body
        );
        assert!(open.body.ends_with("# EOF\n"));
    }
}
