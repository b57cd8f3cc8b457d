//! Certificate authorities and what they sign.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// The object identifier of a subject's organization, in which Kubernetes reads a user's groups.
const ORGANIZATION: [u64; 4] = [2, 5, 4, 10];

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its private key, both as PEM.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// A new authority with a key of its own.
    ///
    /// # Errors
    /// The key or the certificate cannot be made.
    pub fn new(name: &str) -> Result<Authority> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().context("generating an authority's key")?;
        let issuer =
            CertifiedIssuer::self_signed(params, key).with_context(|| format!("signing the authority {name}"))?;
        Ok(Authority { issuer })
    }

    /// Its own certificate as PEM.
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// A client certificate for a user, as Kubernetes reads it: the common name is the user, the organizations its
    /// groups.
    ///
    /// # Errors
    /// More than two groups, which the library beneath cannot write; or the certificate cannot be made.
    pub fn client(&self, user: &str, groups: &[&str]) -> Result<Credential> {
        let mut name = DistinguishedName::new();
        // A name holds each attribute type once. The same identifier in its other spelling makes room for a second.
        let spellings = [DnType::OrganizationName, DnType::CustomDnType(ORGANIZATION.to_vec())];
        if groups.len() > spellings.len() {
            bail!("a client certificate made here holds at most {} groups, not {}", spellings.len(), groups.len());
        }
        for (spelling, group) in spellings.into_iter().zip(groups) {
            name.push(spelling, *group);
        }
        name.push(DnType::CommonName, user);
        self.sign(CertificateParams::default(), name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A serving certificate for these DNS names and addresses.
    ///
    /// # Errors
    /// A name is not one, or the certificate cannot be made.
    pub fn server(&self, names: &[&str]) -> Result<Credential> {
        let names = names.iter().map(|&name| name.to_owned()).collect::<Vec<String>>();
        let mut subject = DistinguishedName::new();
        if let Some(first) = names.first() {
            subject.push(DnType::CommonName, first.as_str());
        }
        let params = CertificateParams::new(names).context("naming a serving certificate")?;
        self.sign(params, subject, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A serving certificate for this DNS name that is over since the beginning of a year.
    ///
    /// # Errors
    /// The name is not one, or the certificate cannot be made.
    pub fn expired_server(&self, name: &str, year: i32) -> Result<Credential> {
        let mut params = CertificateParams::new([name.to_owned()]).context("naming a serving certificate")?;
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(year - 1, 1, 1), rcgen::date_time_ymd(year, 1, 1));
        self.sign(params, DistinguishedName::new(), ExtendedKeyUsagePurpose::ServerAuth)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        subject: DistinguishedName,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Credential> {
        params.distinguished_name = subject;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().context("generating a key")?;
        let certificate = params.signed_by(&key, &self.issuer).context("signing a certificate")?;
        Ok(Credential { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

impl Credential {
    /// Writes `NAME.crt` and `NAME.key` into a folder.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<()> {
        for (extension, text) in [("crt", &self.certificate), ("key", &self.key)] {
            let path = folder.join(name).with_extension(extension);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }
}

/// A private key and its public key, both as PEM: kube-apiserver signs and checks service accounts' tokens with them.
///
/// # Errors
/// The key cannot be made.
pub fn signing_key() -> Result<(String, String)> {
    let key = KeyPair::generate().context("generating the key of service accounts")?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}
