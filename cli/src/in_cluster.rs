//! `kindsmith operator` and `kindsmith apiserver`: the two processes that run in a cluster.

use std::{
    env,
    net::{IpAddr, SocketAddr, UdpSocket},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use kindsmith_apiserver::{certificate_source::CertificateSource, run::InCluster, server::ShutdownTimes};
use kindsmith_operator::{
    CertificateKeeper, DEFAULT_CA_SECRET, DEFAULT_SERVING_SECRET, Leadership, OperatorConfig, Registration,
    ReplicaToken, certificates::Lifetimes, metrics::Metrics, pulse::Health,
};
use kindsmith_schema::form::DefinitionForm;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{operator_endpoints::Endpoints, review_client};

#[derive(Args)]
struct ClusterArguments {
    /// The cluster's kubeconfig; without it, the service account of the pod is used
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The namespace of the Service and of the Secrets with certificates
    #[arg(long, value_name = "NAME", default_value = "kindsmith-system")]
    namespace: String,
    /// The Secret that holds the serving certificate
    #[arg(long, value_name = "NAME", default_value = DEFAULT_SERVING_SECRET)]
    serving_cert_secret: String,
    #[command(flatten)]
    definitions: FormArguments,
}

/// In which forms definitions come.
#[derive(Args)]
pub(crate) struct FormArguments {
    /// The definitions to serve, several with commas: kindsmith (kindsmith.dev), cozystack (cozystack.io, as they are)
    #[arg(long, value_name = "FORM", value_delimiter = ',', default_value = "kindsmith")]
    definitions: Vec<DefinitionForm>,
}

impl FormArguments {
    /// Each form once.
    pub(crate) fn forms(&self) -> Vec<DefinitionForm> {
        DefinitionForm::ALL.into_iter().filter(|form| self.definitions.contains(form)).collect()
    }
}

/// Flags of `kindsmith operator`.
#[derive(Args)]
pub(crate) struct OperatorArguments {
    #[command(flatten)]
    cluster: ClusterArguments,
    /// The Service behind which the apiserver runs
    #[arg(long, value_name = "NAME", default_value = "kindsmith-apiserver")]
    service: String,
    /// The port of the Service
    #[arg(long, value_name = "PORT", default_value_t = 443)]
    service_port: u16,
    /// The Secret that holds the CA of the serving certificate
    #[arg(long, value_name = "NAME", default_value = DEFAULT_CA_SECRET)]
    ca_secret: String,
    /// How long a serving certificate lives; it is renewed after two thirds of that
    #[arg(long, value_name = "DURATION", default_value = "2160h", value_parser = duration)]
    certificate_lifetime: Duration,
    /// How long a CA lives; its successor is brought in after half of that
    #[arg(long, value_name = "DURATION", default_value = "8760h", value_parser = duration)]
    ca_lifetime: Duration,
    /// Who keeps the certificates: the operator itself; somebody else, such as cert-manager, in the serving Secret, whose
    /// ca.crt is then the CA bundle; or somebody else in files, with --ca-bundle-file
    #[arg(long, value_name = "KEEPER", value_enum, default_value_t = Keeper::Operator)]
    certificates: Keeper,
    /// The CA bundle of certificates that are kept in files
    #[arg(long, value_name = "FILE", required_if_eq("certificates", "files"))]
    ca_bundle_file: Option<PathBuf>,
    /// A file with a token of the audience kindsmith-apiserver, and of no other, to ask replicas of the apiserver with; read
    /// each time, as a projected volume replaces it. Without it, one of the ServiceAccount kindsmith-operator is asked for
    #[arg(long, value_name = "FILE")]
    replica_token_file: Option<PathBuf>,
    /// Where /metrics, /healthz and /readyz are served, with TLS; nowhere without it
    #[arg(long, value_name = "ADDR")]
    metrics_listen: Option<SocketAddr>,
    /// Whether to act only while holding the Lease kindsmith-operator, so that one of several operators acts at a time
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true",
        require_equals = true, action = clap::ArgAction::Set)]
    leader_elect: bool,
}

/// Who keeps the certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Keeper {
    /// The operator, with a CA of its own
    Operator,
    /// Somebody else, in the serving Secret
    Secret,
    /// Somebody else, in files
    Files,
}

/// Flags of `kindsmith apiserver`.
#[derive(Args)]
pub(crate) struct ApiserverArguments {
    #[command(flatten)]
    cluster: ClusterArguments,
    /// The serving certificate in a file, instead of the Secret; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    tls_cert_file: Option<PathBuf>,
    /// The key of the serving certificate in a file
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    tls_private_key_file: Option<PathBuf>,
    /// Where to accept connections
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:10250")]
    listen: SocketAddr,
    /// The address under which this replica alone is reached, for the operator; without it, the one listened on, that of
    /// the pod (POD_IP), or that of the default route
    #[arg(long, value_name = "ADDR")]
    advertise_address: Option<IpAddr>,
    /// How long everything is served after SIGTERM, while load balancers learn from /readyz that it is to end
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    shutdown_delay_duration: Duration,
    /// Over how long watches end after that, so that their clients do not all begin anew at once
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    shutdown_watch_termination_grace_period: Duration,
    /// How long requests may go on after that before they are cut off
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    shutdown_drain_timeout: Duration,
}

/// A duration as Kubernetes writes it: `500ms`, `10s`, `1m30s`; not negative.
pub(crate) fn duration(text: &str) -> anyhow::Result<Duration> {
    let parsed: jiff::SignedDuration = text.parse().context("a duration is wanted, such as 10s or 1m30s")?;
    Duration::try_from(parsed).context("a duration must not be negative")
}

/// A client of a cluster.
fn client(config: Config) -> anyhow::Result<Client> {
    Client::try_from(config).context("the cluster's client cannot be set up")
}

/// The cluster that the flags name, and who we are there.
async fn config(kubeconfig: Option<&PathBuf>) -> anyhow::Result<Config> {
    let mut config = match kubeconfig {
        None => Config::incluster().context(
            "there is no service account here, so this is not a pod; name the cluster with --kubeconfig FILE",
        )?,
        Some(file) => {
            let kubeconfig =
                Kubeconfig::read_from(file).with_context(|| format!("{} cannot be read", file.display()))?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .with_context(|| format!("{} cannot be used", file.display()))?
        }
    };
    // Whoever asks us hears at once what the cluster answers; tasks of our own have a backoff of their own.
    config.default_retry = false;
    Ok(config)
}

/// Where a replica is reached that listens there: as it was told, where it listens, at its pod's address, or at the
/// address that the default route begins with (no packet is sent to find that).
fn advertised(listen: SocketAddr, told: Option<IpAddr>) -> anyhow::Result<SocketAddr> {
    let routed = || -> std::io::Result<IpAddr> {
        // Addresses for documentation (RFC 5737, RFC 3849): nobody has them, so the default route leads there.
        let (any, far) = if listen.is_ipv4() { ("0.0.0.0:0", "192.0.2.1:9") } else { ("[::]:0", "[2001:db8::1]:9") };
        let socket = UdpSocket::bind(any)?;
        socket.connect(far)?;
        Ok(socket.local_addr()?.ip())
    };
    let bound = || Some(listen.ip()).filter(|address| !address.is_unspecified());
    let of_pod = || env::var("POD_IP").ok()?.parse().ok();
    let address = match told.or_else(bound).or_else(of_pod) {
        Some(address) => address,
        None => routed().context("this machine's address cannot be found; name it with --advertise-address ADDR")?,
    };
    Ok(SocketAddr::new(address, listen.port()))
}

/// Ends with Ctrl-C or SIGTERM.
pub(crate) fn until_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let ended = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        ended.cancel();
    });
    Ok(token)
}

/// Runs the operator until it is told to stop.
pub(crate) async fn operator(arguments: OperatorArguments) -> anyhow::Result<()> {
    let shutdown = until_signal()?;
    let config = config(arguments.cluster.kubeconfig.as_ref()).await?;
    let reviews = review_client::new(&config)?;
    let client = client(config)?;
    let (metrics, health) = (Arc::new(Metrics::default()), Arc::new(Health::default()));
    let listening = match arguments.metrics_listen {
        None => None,
        Some(address) => Some(
            TcpListener::bind(address)
                .await
                .with_context(|| format!("{address} cannot be listened on; choose another with --metrics-listen"))?,
        ),
    };
    let span = |duration: Duration| jiff::SignedDuration::try_from(duration).context("a duration is too long");
    let lifetimes = Lifetimes::new(span(arguments.certificate_lifetime)?, span(arguments.ca_lifetime)?)
        .context("--certificate-lifetime and --ca-lifetime cannot be used")?;
    let config = OperatorConfig {
        namespace: arguments.cluster.namespace,
        service: arguments.service,
        service_port: arguments.service_port,
        serving_secret: arguments.cluster.serving_cert_secret,
        ca_secret: arguments.ca_secret,
        registration: Registration::ApiServices,
        forms: arguments.cluster.definitions.forms(),
        certificates: match (arguments.certificates, arguments.ca_bundle_file) {
            (Keeper::Files, Some(bundle)) => CertificateKeeper::Files { bundle },
            (Keeper::Files, None) => anyhow::bail!("--certificates files needs --ca-bundle-file FILE"),
            (_, Some(_)) => anyhow::bail!("--ca-bundle-file is for --certificates files alone"),
            (Keeper::Secret, None) => CertificateKeeper::Secret,
            (Keeper::Operator, None) => CertificateKeeper::Operator,
        },
        lifetimes,
        metrics: Arc::clone(&metrics),
        health: Arc::clone(&health),
        replica_token: Some(arguments.replica_token_file.map_or(ReplicaToken::Requested, ReplicaToken::File)),
        leadership: if arguments.leader_elect {
            Leadership::elected(&env::var("HOSTNAME").unwrap_or_else(|_| "kindsmith-operator".to_owned()))
        } else {
            Leadership::Alone
        },
    };
    let endpoints = listening.map(|listener| Endpoints {
        listener,
        metrics,
        health,
        client: client.clone(),
        reviews,
        certificate: match config.certificates {
            CertificateKeeper::Files { .. } => None,
            _ => Some((config.namespace.clone(), config.serving_secret.clone())),
        },
        names: vec![format!("{}.{}.svc", config.service, config.namespace)],
    });
    let telling = async {
        match endpoints {
            Some(endpoints) => endpoints.run(shutdown.clone()).await.context("metrics stopped"),
            None => Ok(()),
        }
    };
    let running =
        async { kindsmith_operator::run(client, config, shutdown.clone()).await.context("the operator stopped") };
    tokio::try_join!(running, telling).map(drop)
}

/// Runs the extension API server until it is told to stop.
pub(crate) async fn apiserver(arguments: ApiserverArguments) -> anyhow::Result<()> {
    let shutdown = until_signal()?;
    let config = config(arguments.cluster.kubeconfig.as_ref()).await?;
    let reviews = review_client::new(&config)?;
    let client = client(config)?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("{} cannot be listened on; choose another with --listen", arguments.listen))?;
    let bound = listener.local_addr()?;
    tracing::info!(address = %bound, "listening");
    let server = InCluster {
        client,
        reviews,
        namespace: arguments.cluster.namespace,
        certificate: match (arguments.tls_cert_file, arguments.tls_private_key_file) {
            (Some(certificate), Some(key)) => CertificateSource::Files { certificate, key },
            _ => CertificateSource::Secret(arguments.cluster.serving_cert_secret),
        },
        listener,
        advertised: advertised(bound, arguments.advertise_address)?,
        shutdown_times: ShutdownTimes {
            delay: arguments.shutdown_delay_duration,
            watch_window: arguments.shutdown_watch_termination_grace_period,
            drain_max: arguments.shutdown_drain_timeout,
        },
        forms: arguments.cluster.definitions.forms(),
    };
    server.run(shutdown).await.context("the apiserver stopped")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_reached_where_it_was_told_or_listens() {
        let listen = "127.0.0.1:10250".parse().unwrap();
        assert_eq!(advertised(listen, None).unwrap(), listen);
        let told = advertised("[::]:10250".parse().unwrap(), Some("10.0.0.7".parse().unwrap())).unwrap();
        assert_eq!(told.to_string(), "10.0.0.7:10250");
    }

    /// The apiserver's flags alone.
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: ApiserverArguments,
    }

    #[test]
    fn the_manifests_agree_with_the_flags_on_the_port_and_give_time_to_end() {
        use clap::Parser as _;
        use serde_json::{Value, json};
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/manifests/31-apiserver.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        let objects = text.split("\n---\n").map(|it| serde_saphyr::from_str::<Value>(it).unwrap());
        let deployment = objects.into_iter().find(|it| it["kind"] == "Deployment").unwrap();
        let pod = &deployment["spec"]["template"]["spec"];
        let flags = pod["containers"][0]["args"].as_array().unwrap().iter().skip(1).map(|it| it.as_str().unwrap());
        let flags = Line::parse_from(["kindsmith"].into_iter().chain(flags)).arguments;
        let defaults = Line::parse_from(["kindsmith"]).arguments;
        assert_eq!(flags.listen, defaults.listen);
        assert_eq!(pod["containers"][0]["ports"][0]["containerPort"], json!(flags.listen.port()));
        let ends = [
            flags.shutdown_delay_duration,
            flags.shutdown_watch_termination_grace_period,
            flags.shutdown_drain_timeout,
        ];
        let grace = ends.into_iter().sum::<Duration>() + Duration::from_secs(10);
        assert_eq!(pod["terminationGracePeriodSeconds"], json!(grace.as_secs()));
    }

    #[test]
    fn durations_are_written_as_in_kubernetes() {
        for (text, milliseconds) in [("0s", 0), ("500ms", 500), ("10s", 10_000), ("1m30s", 90_000)] {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(milliseconds), "{text}");
        }
        for text in ["", "10", "-1s", "ten"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
