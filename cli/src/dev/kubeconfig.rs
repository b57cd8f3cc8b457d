//! The kubeconfig for kubectl: the CA pinned, the administrator's certificate inside. It is merged into a file that is
//! there, as kind and minikube do: their own entries are replaced, those of others stay.
//!
//! Source: sigs.k8s.io/kind/pkg/cluster/internal/kubeconfig/internal/kubeconfig/merge.go; the lock is that of client-go
//! (tools/clientcmd/config.go, lockFile).

use std::{
    fs,
    io::ErrorKind,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use kindsmith_apiserver::storage::private;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Map, Value, json};

use super::pki::Pki;

/// How long another program may hold the lock of the file.
const LOCK_MAX: Duration = Duration::from_secs(5);

/// How long to wait before the lock is tried again.
const LOCK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// The kubeconfig.
pub(super) fn kubeconfig(address: SocketAddr, pki: &Pki) -> Value {
    let encoded = |pem: &str| STANDARD.encode(pem);
    let host =
        if address.ip().is_unspecified() { format!("127.0.0.1:{}", address.port()) } else { address.to_string() };
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "kindsmith", "cluster": {
            "server": format!("https://{host}"), "certificate-authority-data": encoded(&pki.ca_pem)}}],
        "users": [{"name": "kindsmith-admin", "user": {
            "client-certificate-data": encoded(&pki.admin.certificate_pem),
            "client-key-data": encoded(&pki.admin.key_pem)}}],
        "contexts": [{"name": "kindsmith", "context": {
            "cluster": "kindsmith", "user": "kindsmith-admin", "namespace": "default"}}],
        "current-context": "kindsmith",
    })
}

/// Writes the kubeconfig, readable by its owner alone. What else a file says that is there stays.
///
/// # Errors
/// The file cannot be written, or is no kubeconfig: then it is as it was.
pub(super) fn write(kubeconfig: &Value, file: &Path) -> anyhow::Result<()> {
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory).with_context(|| format!("{} cannot be created", directory.display()))?;
    }
    let _lock = Lock::of(file)?;
    let before = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", file.display())),
    };
    let merged = merged(&before, kubeconfig).with_context(|| {
        format!("{} is no kubeconfig, and stays as it is; name another file with --kubeconfig", file.display())
    })?;
    // All strings are quoted: readers of YAML 1.1 take more words for numbers and truths than writers of today know of.
    let mut text = String::new();
    serde_saphyr::to_fmt_writer_with_options(&mut text, &merged, serde_saphyr::ser_options! { quote_all: true })?;
    private::write(file, &text).with_context(|| format!("{} cannot be written", file.display()))
}

/// The text of a file with the entries of `own` in place of those of the same names.
fn merged(before: &str, own: &Value) -> anyhow::Result<Value> {
    let held = match before.trim() {
        "" => Value::Null,
        // The snippet of the parser's error would print what is secret.
        _ => serde_saphyr::from_str(before).map_err(|error| anyhow!("{}", error.without_snippet()))?,
    };
    let mut merged = match held {
        Value::Object(merged) => merged,
        Value::Null => Map::new(),
        _ => bail!("it is no map"),
    };
    for (member, value) in [("apiVersion", "v1"), ("kind", "Config")] {
        match merged.get(member) {
            None | Some(Value::Null) => drop(merged.insert(member.to_owned(), json!(value))),
            Some(held) if held == value => {}
            Some(held) => bail!("its {member} is {held}"),
        }
    }
    for list in ["clusters", "users", "contexts"] {
        let held = merged.entry(list).or_insert(Value::Null);
        if held.is_null() {
            *held = json!([]);
        }
        let Value::Array(held) = held else { bail!("its {list} are no list") };
        for entry in own[list].as_array().into_iter().flatten() {
            match held.iter_mut().find(|held| held["name"] == entry["name"]) {
                Some(held) => held.clone_from(entry),
                None => held.push(entry.clone()),
            }
        }
    }
    merged.insert("current-context".to_owned(), own["current-context"].clone());
    Ok(Value::Object(merged))
}

/// Keeps kubectl and its kin from writing the file meanwhile.
struct Lock {
    file: PathBuf,
}

impl Lock {
    fn of(file: &Path) -> anyhow::Result<Self> {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let lock = file.with_file_name(name);
        let until = Instant::now() + LOCK_MAX;
        loop {
            match fs::OpenOptions::new().write(true).create_new(true).open(&lock) {
                Ok(_) => return Ok(Self { file: lock }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && Instant::now() < until => {
                    std::thread::sleep(LOCK_AGAIN_AFTER);
                }
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!("{} cannot be locked; remove it if no other program writes there", lock.display())
                    });
                }
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

/// A client that uses it.
pub(super) async fn client(kubeconfig: Value) -> anyhow::Result<Client> {
    let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Value {
        json!({
            "clusters": [{"name": "kindsmith", "cluster": {"server": "https://127.0.0.1:7443"}}],
            "users": [{"name": "kindsmith-admin", "user": {"client-key-data": "a2V5"}}],
            "contexts": [{"name": "kindsmith", "context": {"cluster": "kindsmith", "user": "kindsmith-admin"}}],
            "current-context": "kindsmith",
        })
    }

    #[test]
    fn entries_of_others_stay_in_a_file_that_was_there() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("config");
        let prod = "apiVersion: v1\nkind: Config\nclusters: [{name: prod, cluster: {server: 'https://prod.example.com'}}]\n\
                    users: [{name: me, user: {token: '0123', username: 'yes'}}, {name: kindsmith-admin, user: {token: old}}]\n\
                    contexts: [{name: prod, context: {cluster: prod, user: me}}]\ncurrent-context: prod\n\
                    preferences: {}\nx-mine: kept\n";
        fs::write(&file, prod).unwrap();
        for _ in 0..2 {
            write(&own(), &file).unwrap();
        }
        let text = fs::read_to_string(&file).unwrap();
        let now: Value = serde_saphyr::from_str(&text).unwrap();
        let names = |list: &str| -> Vec<&str> {
            now[list].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
        };
        assert_eq!(names("clusters"), ["prod", "kindsmith"]);
        assert_eq!(names("users"), ["me", "kindsmith-admin"]);
        assert_eq!(names("contexts"), ["prod", "kindsmith"]);
        assert_eq!(now["users"][0]["user"], json!({"token": "0123", "username": "yes"}));
        assert!(text.contains("'0123'") && text.contains("'yes'"), "{text}");
        assert_eq!(now["users"][1]["user"], json!({"client-key-data": "a2V5"}));
        assert_eq!((&now["current-context"], &now["x-mine"]), (&json!("kindsmith"), &json!("kept")));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "no lock is left");
    }

    #[test]
    fn what_is_no_kubeconfig_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("config");
        for other in ["[1, 2]", "a: b: c", "kind: Secret\napiVersion: v1\n", "clusters: {}", "just words"] {
            fs::write(&file, other).unwrap();
            let error = format!("{:#}", write(&own(), &file).unwrap_err());
            assert!(error.contains("is no kubeconfig, and stays as it is"), "{error}");
            assert_eq!(fs::read_to_string(&file).unwrap(), other);
        }
        fs::write(&file, "\n").unwrap();
        write(&own(), &file).unwrap();
    }
}
