//! Whose certificate and whose headers are believed.

use http::{HeaderName, HeaderValue, Request};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rstest::rstest;
use rustls::pki_types::CertificateDer;

use super::*;

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca(name: &str) -> Ca {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// How long a certificate holds.
#[derive(Clone, Copy, Debug)]
enum Holds {
    Now,
    Past,
    Future,
}

fn certificate(issuer: &Ca, name: &str, holds: Holds) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "team");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let years = match holds {
        Holds::Now => (2020, 4000),
        Holds::Past => (2020, 2021),
        Holds::Future => (3999, 4000),
    };
    (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
    params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()
}

/// A cluster's settings, with a CA for users and one for front proxies.
struct Cluster {
    users: Ca,
    proxies: Ca,
    authenticators: Authenticators,
}

fn cluster(allowed_names: &str) -> Cluster {
    let (users, proxies) = (ca("users"), ca("proxies"));
    let data = [
        ("client-ca-file", users.pem()),
        ("requestheader-client-ca-file", proxies.pem()),
        ("requestheader-allowed-names", allowed_names.to_owned()),
        ("requestheader-username-headers", r#"["X-Remote-User"]"#.to_owned()),
        ("requestheader-group-headers", r#"["X-Remote-Group"]"#.to_owned()),
        ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#.to_owned()),
    ];
    let data = data.map(|(key, value)| (key.to_owned(), value)).into();
    let config = AuthenticationConfig::from_configmap(&data).unwrap();
    let authenticators = Authenticators::new(Arc::new(ArcSwap::from_pointee(config)), None);
    Cluster { users, proxies, authenticators }
}

async fn ask(
    cluster: &Cluster,
    certificates: Vec<CertificateDer<'static>>,
    headers: &[(&str, &str)],
) -> (String, bool) {
    let peer = Peer { address: ([127, 0, 0, 1], 1).into(), certificates };
    let mut parts = Request::new(()).into_parts().0;
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        parts.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let user = cluster.authenticators.authenticate(&mut parts, &peer, Audience::Cluster).await;
    let refused = |error| match error {
        AuthnError::Unauthorized(_) => "401".to_owned(),
        AuthnError::Busy => "429".to_owned(),
    };
    (user.map_or_else(refused, |user| user.name), parts.headers.is_empty())
}

const NAMED: [(&str, &str); 3] =
    [("x-remote-user", "alice"), ("x-remote-group", "dev"), ("x-remote-extra-scopes%2fa", "read")];

#[rstest]
#[case("[]", "any-proxy", "alice")]
#[case(r#"["front"]"#, "front", "alice")]
#[case(r#"["other","front"]"#, "front", "alice")]
#[case(r#"["front"]"#, "other", "401")]
#[case(r#"["front"]"#, "front.example.com", "401")]
#[tokio::test]
async fn a_front_proxy_is_believed_under_allowed_names(
    #[case] allowed: &str,
    #[case] name: &str,
    #[case] expected: &str,
) {
    let cluster = cluster(allowed);
    let shown = certificate(&cluster.proxies, name, Holds::Now);
    let (user, stripped) = ask(&cluster, vec![shown], &NAMED).await;
    assert_eq!(user, expected);
    assert!(stripped, "headers that name a user go on to the handlers");
}

#[tokio::test]
async fn headers_of_a_user_are_taken_off_and_not_believed() {
    let cluster = cluster("[]");
    let shown = certificate(&cluster.users, "bob", Holds::Now);
    assert_eq!(ask(&cluster, vec![shown], &NAMED).await, ("bob".to_owned(), true));
    assert_eq!(ask(&cluster, Vec::new(), &NAMED).await, (ANONYMOUS.to_owned(), true));
}

#[tokio::test]
async fn who_is_no_front_proxy_names_nobody_and_a_front_proxy_names_a_user() {
    let cluster = cluster(r#"["front-proxy-client"]"#);
    let impostors = [
        certificate(&ca("proxies"), "front-proxy-client", Holds::Now),
        certificate(&ca("front-proxy-client"), "front-proxy-client", Holds::Now),
    ];
    for impostor in impostors {
        assert_eq!(ask(&cluster, vec![impostor], &NAMED).await, ("401".to_owned(), true));
    }
    // One of the users' CA is the user it names, whatever it is called.
    let user = certificate(&cluster.users, "front-proxy-client", Holds::Now);
    assert_eq!(ask(&cluster, vec![user], &NAMED).await.0, "front-proxy-client");
    // Groups without a user, and a user without a name, are nobody's.
    let masters = ("x-remote-group", "system:masters");
    for headers in [&[masters][..], &[("x-remote-user", ""), masters], &[("x-remote-uid", "1"), masters]] {
        let proxy = certificate(&cluster.proxies, "front-proxy-client", Holds::Now);
        let (user, stripped) = ask(&cluster, vec![proxy], headers).await;
        assert!(["401", ANONYMOUS].contains(&user.as_str()) && stripped, "{headers:?} got {user}");
    }
}

#[rstest]
#[case(Holds::Now, "alice", "bob")]
#[case(Holds::Past, "401", "401")]
#[case(Holds::Future, "401", "401")]
#[tokio::test]
async fn certificates_are_believed_as_long_as_they_hold(
    #[case] holds: Holds,
    #[case] proxied: &str,
    #[case] direct: &str,
) {
    let cluster = cluster("[]");
    let proxy = certificate(&cluster.proxies, "front", holds);
    assert_eq!(ask(&cluster, vec![proxy], &NAMED).await.0, proxied);
    let user = certificate(&cluster.users, "bob", holds);
    assert_eq!(ask(&cluster, vec![user], &[]).await.0, direct);
}

#[tokio::test]
async fn a_certificate_of_a_stranger_or_without_a_name_is_refused() {
    let cluster = cluster("[]");
    let stranger = certificate(&ca("users"), "bob", Holds::Now);
    assert_eq!(ask(&cluster, vec![stranger], &[]).await.0, "401");
    let nameless = certificate(&cluster.users, "", Holds::Now);
    assert_eq!(ask(&cluster, vec![nameless], &[]).await.0, "401");
}

#[tokio::test]
async fn what_a_front_proxy_says_of_a_user_is_read() {
    let cluster = cluster("[]");
    let peer = Peer {
        address: ([127, 0, 0, 1], 1).into(),
        certificates: vec![certificate(&cluster.proxies, "front", Holds::Now)],
    };
    let mut request = Request::new(());
    for (name, value) in NAMED {
        request.headers_mut().append(name, HeaderValue::from_static(value));
    }
    let mut parts = request.into_parts().0;
    let user = cluster.authenticators.authenticate(&mut parts, &peer, Audience::Cluster).await.unwrap();
    assert_eq!(user.groups, ["dev", AUTHENTICATED]);
    assert_eq!(user.extra, [("scopes/a".to_owned(), vec!["read".to_owned()])].into());
}

#[tokio::test]
async fn names_are_read_as_go_passes_them_on_and_none_is_dropped() {
    let cluster = cluster("[]");
    let proxy = || Peer {
        address: ([127, 0, 0, 1], 1).into(),
        certificates: vec![certificate(&cluster.proxies, "front", Holds::Now)],
    };
    let asked = async |headers: &[(&'static str, &[u8])], peer: Peer| {
        let mut parts = Request::new(()).into_parts().0;
        for (name, value) in headers {
            parts.headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        cluster.authenticators.authenticate(&mut parts, &peer, Audience::Cluster).await
    };
    let user: (_, &[u8]) = ("x-remote-user", "müller".as_bytes());
    let group: (_, &[u8]) = ("x-remote-group", "équipe".as_bytes());
    let extra: (_, &[u8]) = ("x-remote-extra-team", "группа".as_bytes());
    let found = asked(&[user, group, extra], proxy()).await.unwrap();
    assert_eq!((found.name.as_str(), found.groups), ("müller", vec!["équipe".to_owned(), AUTHENTICATED.to_owned()]));
    assert_eq!(found.extra, [("team".to_owned(), vec!["группа".to_owned()])].into());
    let plain: (_, &[u8]) = ("x-remote-user", b"alice");
    for unreadable in ["x-remote-user", "x-remote-group", "x-remote-extra-team"] {
        let headers = [plain, (unreadable, b"\xff".as_slice())];
        assert!(matches!(asked(&headers, proxy()).await, Err(AuthnError::Unauthorized(_))), "{unreadable}");
        let stranger = Peer { address: ([127, 0, 0, 1], 1).into(), certificates: Vec::new() };
        assert_eq!(asked(&headers, stranger).await.unwrap().name, ANONYMOUS, "{unreadable}");
    }
}

#[test]
fn a_front_proxy_is_told_from_others() {
    let cluster = cluster(r#"["front"]"#);
    let is_one = |certificates| {
        cluster.authenticators.is_front_proxy(&Peer { address: ([127, 0, 0, 1], 1).into(), certificates })
    };
    assert!(is_one(vec![certificate(&cluster.proxies, "front", Holds::Now)]));
    assert!(!is_one(vec![certificate(&cluster.proxies, "other", Holds::Now)]));
    assert!(!is_one(vec![certificate(&cluster.proxies, "front", Holds::Past)]));
    assert!(!is_one(vec![certificate(&cluster.users, "front", Holds::Now)]));
    assert!(!is_one(vec![certificate(&ca("proxies"), "front", Holds::Now)]));
    assert!(!is_one(Vec::new()));
}
