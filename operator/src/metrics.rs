//! What the operator tells Prometheus: when certificates end and are renewed, how far a rotation is, who answers.

use std::{fmt, sync::Arc, sync::Mutex, sync::PoisonError};

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};

use crate::certificates::{Described, Stage};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What was found when the operator looked last.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// How far a rotation has come.
    pub stage: Stage,
    /// The certificates there are.
    pub certificates: Vec<Described>,
    /// Replicas of the API server that live.
    pub replicas: usize,
    /// Those of them that answer.
    pub replicas_answering: usize,
}

/// The operator's figures.
#[derive(Debug, Default)]
pub struct Metrics {
    figures: Mutex<Option<Figures>>,
}

impl Metrics {
    pub(crate) fn set(&self, figures: Figures) {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = Some(figures);
    }

    /// Returns the media type that a client accepts, and all figures in it.
    ///
    /// # Errors
    /// Never at present.
    pub fn expose(self: &Arc<Self>, accept: &str) -> Result<(&'static str, String), fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Look(Arc::clone(self))));
        let mut body = String::new();
        text::encode(&mut body, &registry)?;
        if accept.contains("application/openmetrics-text") {
            return Ok((OPENMETRICS, body));
        }
        // All are gauges: the older format lacks the end mark, and nothing else differs.
        Ok((PROMETHEUS, body.trim_end_matches("# EOF\n").to_owned()))
    }
}

#[derive(Debug)]
struct Look(Arc<Metrics>);

impl Collector for Look {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(figures) = self.0.figures.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return Ok(());
        };
        let seconds = |moment: Timestamp| moment.as_second() as f64;
        type Moment = fn(&Described) -> Option<Timestamp>;
        let moments: [(&str, &str, Moment); 2] = [
            (
                "kindsmith_certificate_expiration_timestamp_seconds",
                "When a certificate ends, in seconds of Unix time.",
                |one| Some(one.not_after),
            ),
            (
                "kindsmith_certificate_renewal_timestamp_seconds",
                "When a certificate is to be renewed, in seconds of Unix time.",
                |one| one.renew_at,
            ),
        ];
        for (name, help, moment) in moments {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            // Of several that only are trusted still, the first to end.
            let mut told = Vec::new();
            for one in &figures.certificates {
                let Some(at) = moment(one).filter(|_| !told.contains(&one.purpose)) else { continue };
                told.push(one.purpose);
                ConstGauge::new(seconds(at)).encode(family.encode_family(&[("certificate", one.purpose)])?)?;
            }
        }
        let (name, help) = ("kindsmith_certificate_rotation_stage", "1 for the stage that a rotation is in.");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for stage in Stage::NAMES {
            let held = u64::from(stage == figures.stage.name());
            ConstGauge::new(held).encode(family.encode_family(&[("stage", stage)])?)?;
        }
        let (name, help) = ("kindsmith_apiserver_replicas", "Replicas of the API server that live, by what they do.");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        let silent = figures.replicas.saturating_sub(figures.replicas_answering);
        for (state, count) in [("answering", figures.replicas_answering), ("silent", silent)] {
            ConstGauge::new(count as u64).encode(family.encode_family(&[("state", state)])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_and_stage_are_told() {
        let metrics = Arc::new(Metrics::default());
        assert_eq!(metrics.expose("").unwrap().1, "");
        let described = |purpose, renew_at| Described {
            purpose,
            fingerprint: String::new(),
            not_before: Timestamp::UNIX_EPOCH,
            not_after: Timestamp::from_second(1_800_000_000).unwrap(),
            renew_at,
            names: Vec::new(),
        };
        metrics.set(Figures {
            stage: Stage::Serving { served: 1, replicas: 2 },
            certificates: vec![described("serving", Some(Timestamp::UNIX_EPOCH)), described("trusted-ca", None)],
            replicas: 2,
            replicas_answering: 1,
        });
        let (content_type, body) = metrics.expose("text/plain").unwrap();
        assert_eq!(content_type, PROMETHEUS);
        for line in [
            "kindsmith_certificate_expiration_timestamp_seconds{certificate=\"serving\"} 1800000000.0",
            "kindsmith_certificate_expiration_timestamp_seconds{certificate=\"trusted-ca\"} 1800000000.0",
            "kindsmith_certificate_renewal_timestamp_seconds{certificate=\"serving\"} 0.0",
            "kindsmith_certificate_rotation_stage{stage=\"serving\"} 1",
            "kindsmith_certificate_rotation_stage{stage=\"settled\"} 0",
            "kindsmith_apiserver_replicas{state=\"silent\"} 1",
        ] {
            assert!(body.lines().any(|it| it == line), "{line} is not in\n{body}");
        }
        assert!(!body.contains("EOF") && !body.contains("renewal_timestamp_seconds{certificate=\"trusted"));
        assert!(metrics.expose("application/openmetrics-text").unwrap().1.ends_with("# EOF\n"));
    }
}
