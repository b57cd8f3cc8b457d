//! How large a stored object may be: as large as kube-apiserver and etcd let it be, however it grew.
//!
//! kube-apiserver sends each object as a message of gRPC, whose client sends no more than [`MESSAGE_BYTES_MAX`]; etcd
//! takes no request of more than [`REQUEST_BYTES_MAX`]. The sizes here are those of the same messages.
//!
//! Sources: go.etcd.io/etcd/client/v3/options.go, server/etcdserver/v3_server.go (`processInternalRaftRequestOnce`),
//! client/v3/kubernetes/client.go (`OptimisticPut`).

use super::status;
use crate::storage::host::{HostError, HostResource};

/// What the client of etcd sends at most (`defaultMaxCallSendMsgSize`).
const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// What etcd takes at most (`--max-request-bytes`).
const REQUEST_BYTES_MAX: usize = 3 << 19;

/// What etcd adds to a message before it looks at its size: a header with an id, and the length.
const REQUEST_HEADER_BYTES: usize = 20;

/// Whether the object was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existed {
    /// It is new.
    No,
    /// It was, at this revision.
    At(u64),
}

/// Checks the size of an object that is to be stored. `json` is the object with its revision, which etcd keeps apart.
///
/// # Errors
/// 500 in the words of etcd and its client.
pub(super) fn check(
    resource: &HostResource,
    (namespace, name): (Option<&str>, &str),
    (json, revision): (usize, u64),
    existed: Existed,
) -> Result<(), HostError> {
    let namespace = namespace.map_or(0, |namespace| namespace.len() + 1);
    let group = if resource.group.is_empty() { 0 } else { resource.group.len() + 1 };
    let key = "/registry/".len() + group + resource.plural.len() + 1 + namespace + name.len();
    // The encoder ends it with a new line.
    let value = json.saturating_sub(format!(r#""resourceVersion":"{revision}","#).len()) + 1;
    let bytes = message_bytes(key, value, existed);
    if bytes > MESSAGE_BYTES_MAX {
        return Err(status::internal(format!(
            "rpc error: code = ResourceExhausted desc = trying to send message larger than max ({bytes} vs. \
             {MESSAGE_BYTES_MAX})"
        )));
    }
    if bytes + REQUEST_HEADER_BYTES > REQUEST_BYTES_MAX {
        return Err(status::internal("etcdserver: request is too large".to_owned()));
    }
    Ok(())
}

/// The size of the transaction that puts a value, and gets what is there instead where it has changed.
fn message_bytes(key: usize, value: usize, existed: Existed) -> usize {
    let revision = match existed {
        Existed::No => 0,
        Existed::At(revision) => revision,
    };
    // Which revision is compared takes two bytes, and the tag of the revision one.
    let compare = field(2 + field(key) + 1 + varint(usize::try_from(revision).unwrap_or(usize::MAX)));
    let put = field(field(field(key) + field(value)));
    let get = match existed {
        Existed::No => 0,
        Existed::At(_) => field(field(field(key))),
    };
    compare + put + get
}

/// A field of so many bytes, with its tag and its length.
fn field(bytes: usize) -> usize {
    1 + varint(bytes) + bytes
}

/// How many bytes a number takes.
fn varint(number: usize) -> usize {
    usize::try_from((usize::BITS - number.leading_zeros()).div_ceil(7)).unwrap_or_default().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_seven_bits_a_byte() {
        for (number, bytes) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (2 << 20, 4)] {
            assert_eq!(varint(number), bytes, "{number}");
        }
    }
}
