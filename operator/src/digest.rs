//! Short digests: enough of a SHA-256 to tell things apart that nobody makes alike on purpose.

use sha2::{Digest as _, Sha256};

/// The hexadecimal digits of a digest.
const DIGITS: usize = 16;

/// The digest of what was hashed.
pub(crate) fn short(hashed: Sha256) -> String {
    let mut digest = format!("{:x}", hashed.finalize());
    digest.truncate(DIGITS);
    digest
}
