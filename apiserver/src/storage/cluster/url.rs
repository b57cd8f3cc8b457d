//! URLs of calls to the cluster, which are made with Kindsmith's own rights.
//!
//! What a request can choose of them comes as [`Namespace`] and [`Name`]. Every segment and the value of every parameter is
//! encoded, so that none can be two, or the beginning of the query.

use std::fmt::{Display, Write as _};

use kindsmith_crds::Scope;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    request::{Name, Namespace},
    storage::host::{HostResource, WriteTarget},
};

/// What is encoded in a segment of a path, and in the value of a parameter.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A path and a query of the cluster's API.
#[derive(Clone, Debug)]
pub(super) struct Url {
    text: String,
    /// What stands before the next parameter.
    separator: char,
}

impl Url {
    /// The objects of a resource in a namespace, or in all. The namespace of a resource without namespaces is left out.
    pub(super) fn collection(resource: &HostResource, namespace: Option<Namespace<'_>>) -> Self {
        let mut url = Self { text: String::new(), separator: '?' };
        if resource.group.is_empty() {
            url.segment("api");
        } else {
            url.segment("apis");
            url.segment(&resource.group);
        }
        url.segment(&resource.version);
        if let Some(namespace) = namespace.filter(|_| resource.scope == Scope::Namespaced) {
            url.segment("namespaces");
            url.segment(namespace.as_str());
        }
        url.segment(&resource.plural);
        url
    }

    /// One object.
    pub(super) fn object(
        resource: &HostResource,
        namespace: Option<Namespace<'_>>,
        name: Name<'_>,
        target: WriteTarget,
    ) -> Self {
        let mut url = Self::collection(resource, namespace);
        url.segment(name.as_str());
        match target {
            WriteTarget::Main => {}
            WriteTarget::Status => url.segment("status"),
        }
        url
    }

    /// The URL with one more parameter.
    pub(super) fn with(mut self, parameter: &'static str, value: impl Display) -> Self {
        let value = value.to_string();
        // Writing to a text cannot fail.
        let _ = write!(self.text, "{}{parameter}={}", self.separator, utf8_percent_encode(&value, ENCODED));
        self.separator = '&';
        self
    }

    /// The text of the URL.
    pub(super) fn into_string(self) -> String {
        self.text
    }

    fn segment(&mut self, segment: &str) {
        self.text.push('/');
        self.text.extend(utf8_percent_encode(segment, ENCODED));
    }
}
