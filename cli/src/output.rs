//! What is printed for people and programs. Who reads may end first, as `head` does: that ends us too, and is no fault.

use std::io::{self, Write as _};

/// Prints a text as it is.
///
/// # Errors
/// When nobody reads any more, or the output cannot be written; see [`is_unread`].
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints a line for people who look at what goes wrong. Where it cannot be written there is nobody to tell.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Whether an error says that nobody reads any more.
pub(crate) fn is_unread(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}
