//! `/livez`, `/readyz`, `/healthz`: named checks, together and one by one.
//!
//! Source: k8s.io/apiserver/pkg/server/healthz/healthz.go. Anybody may ask, so the answer of all checks names those that
//! fail and withholds why; the log has the reason, and so has the answer of the one check.

use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, header};

use crate::{encode::response, request::ProbeOptions, server::Body};

/// Says why a condition does not hold.
type Holds = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// One named condition.
pub struct Check {
    name: &'static str,
    holds: Holds,
}

impl Check {
    /// A condition that holds while `holds` gives no reason why it does not.
    #[must_use]
    pub fn new(name: &'static str, holds: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { name, holds: Box::new(holds) })
    }

    /// Holds as long as somebody is there to say so.
    #[must_use]
    pub fn ping() -> Arc<Self> {
        Self::new("ping", || Ok(()))
    }
}

/// The conditions of each probe, in the order in which they are told.
#[derive(Clone, Default)]
pub struct Probes {
    /// `/livez`: the process can go on. What others are to blame for is not here, as a restart would not help.
    pub live: Vec<Arc<Check>>,
    /// `/readyz`: requests are to be sent here.
    pub ready: Vec<Arc<Check>>,
    /// `/healthz`: what is needed for work, without regard to what is to come.
    pub health: Vec<Arc<Check>>,
}

impl Probes {
    /// The paths of the probes and of their checks.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        let probes = [("livez", &self.live), ("readyz", &self.ready), ("healthz", &self.health)];
        probes.into_iter().flat_map(|(probe, checks)| {
            let checks = checks.iter().map(move |check| format!("/{probe}/{}", check.name));
            [format!("/{probe}")].into_iter().chain(checks)
        })
    }

    /// Answers the path of a probe or of one of its checks; none for another path.
    #[must_use]
    pub fn answer(&self, path: &str, options: &ProbeOptions) -> Option<Response<Body>> {
        let (probe, check) = match path.strip_prefix('/')?.split_once('/') {
            Some((probe, check)) => (probe, Some(check)),
            None => (path.strip_prefix('/')?, None),
        };
        let checks = match probe {
            "livez" => &self.live,
            "readyz" => &self.ready,
            "healthz" => &self.health,
            _ => return None,
        };
        match check {
            None => Some(all(probe, checks, options)),
            Some(name) => checks.iter().find(|check| check.name == name).map(|check| single(check)),
        }
    }
}

fn single(check: &Check) -> Response<Body> {
    match (check.holds)() {
        Ok(()) => text(StatusCode::OK, "ok".to_owned()),
        Err(reason) => failure(format!("internal server error: {reason}")),
    }
}

fn all(probe: &str, checks: &[Arc<Check>], options: &ProbeOptions) -> Response<Body> {
    let mut lines = String::new();
    let mut unknown = options.exclude.clone();
    let mut failed = Vec::new();
    for check in checks {
        let name = check.name;
        if options.exclude.contains(name) {
            unknown.remove(name);
            lines += &format!("[+]{name} excluded: ok\n");
            continue;
        }
        match (check.holds)() {
            Ok(()) => lines += &format!("[+]{name} ok\n"),
            Err(reason) => {
                lines += &format!("[-]{name} failed: reason withheld\n");
                failed.push(format!("{name}: {reason}"));
            }
        }
    }
    if !unknown.is_empty() {
        let unknown: Vec<String> = unknown.iter().map(|name| format!("{name:?}")).collect();
        let unknown = unknown.join(",");
        lines += &format!("warn: some health checks cannot be excluded: no matches for {unknown}\n");
    }
    if !failed.is_empty() {
        tracing::info!(probe, failed = failed.join("; "), "a probe failed");
        return failure(format!("{lines}{probe} check failed"));
    }
    if options.verbose {
        return text(StatusCode::OK, format!("{lines}{probe} check passed\n"));
    }
    text(StatusCode::OK, "ok".to_owned())
}

fn failure(message: String) -> Response<Body> {
    text(StatusCode::INTERNAL_SERVER_ERROR, message + "\n")
}

fn text(code: StatusCode, text: String) -> Response<Body> {
    let mut answer = response::answer(code, "text/plain; charset=utf-8", text.into());
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn probes() -> Probes {
        let broken = Check::new("broken", || Err("the disk is gone".to_owned()));
        Probes {
            live: vec![Check::ping()],
            ready: vec![Check::ping(), broken],
            health: vec![Check::ping(), Check::new("registry", || Ok(()))],
        }
    }

    async fn ask(path: &str, query: Option<&str>) -> Option<(u16, String)> {
        let answer = probes().answer(path, &ProbeOptions::parse(query).unwrap())?;
        let code = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Some((code, String::from_utf8(body.to_vec()).unwrap()))
    }

    #[tokio::test]
    async fn texts_are_those_of_kube_apiserver() {
        let ok = |text: &str| Some((200, text.to_owned()));
        let failed = |text: &str| Some((500, text.to_owned()));
        assert_eq!(ask("/livez", None).await, ok("ok"));
        assert_eq!(ask("/livez", Some("verbose")).await, ok("[+]ping ok\nlivez check passed\n"));
        assert_eq!(
            ask("/readyz", None).await,
            failed("[+]ping ok\n[-]broken failed: reason withheld\nreadyz check failed\n")
        );
        assert_eq!(ask("/readyz", Some("exclude=broken")).await, ok("ok"));
        assert_eq!(
            ask("/readyz", Some("verbose&exclude=broken&exclude=z&exclude=a%22")).await,
            ok("[+]ping ok\n[+]broken excluded: ok\n\
                warn: some health checks cannot be excluded: no matches for \"a\\\"\",\"z\"\nreadyz check passed\n")
        );
        assert_eq!(
            ask("/healthz", Some("verbose=true")).await,
            ok("[+]ping ok\n[+]registry ok\nhealthz check passed\n")
        );
    }

    #[tokio::test]
    async fn one_check_is_asked_for_by_its_name() {
        assert_eq!(ask("/readyz/ping", None).await, Some((200, "ok".to_owned())));
        let reason = "internal server error: the disk is gone\n";
        assert_eq!(ask("/readyz/broken", None).await, Some((500, reason.to_owned())));
        assert_eq!(ask("/readyz/absent", None).await, None);
        assert_eq!(ask("/livez/broken", None).await, None);
        assert_eq!(ask("/other", None).await, None);
    }
}
