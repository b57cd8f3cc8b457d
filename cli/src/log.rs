//! The log of all processes: on the standard error, one line an event.
//!
//! Values may hold text of tenants: the keys of their objects, what the host says of them. So each value is escaped, that
//! it cannot begin a line or move the cursor, and cut.

use std::{
    env,
    fmt::{self, Write as _},
    io::{self, IsTerminal as _},
};

use kindsmith_text::print::control_escape;
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt as _,
    fmt::{format, format::Writer},
};

/// The most bytes of one value; what is longer is cut.
const VALUE_BYTES_MAX: usize = 1024;

/// What stands where a value was cut.
const CUT: char = '…';

/// Starts the log, at the levels of `RUST_LOG` or else of `default`.
pub(crate) fn start(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // https://no-color.org: set and not empty.
    let is_colourless = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let fields = format::debug_fn(|writer: &mut Writer<'_>, field: &tracing::field::Field, value: &dyn fmt::Debug| {
        if field.name() != "message" {
            write!(writer, "{}=", field.name())?;
        }
        write_value(writer, value)
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .fmt_fields(fields.delimited(" "))
        .with_ansi(io::stderr().is_terminal() && !is_colourless)
        .with_writer(io::stderr)
        .init();
}

/// Writes a value in one line, and no more of it than [`VALUE_BYTES_MAX`].
fn write_value(out: &mut impl fmt::Write, value: &dyn fmt::Debug) -> fmt::Result {
    let mut line = Line { out, room: VALUE_BYTES_MAX, ended: false };
    match write!(line, "{value:?}") {
        Err(fmt::Error) if !line.ended => Err(fmt::Error),
        _ => Ok(()),
    }
}

/// Escapes what is written to it, and ends when it is full: of a value of megabytes no more is formatted than is kept.
struct Line<'w, W> {
    out: &'w mut W,
    room: usize,
    ended: bool,
}

impl<W: fmt::Write> fmt::Write for Line<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let escape = control_escape(character);
            let bytes = escape.clone().map_or(character.len_utf8(), Iterator::count);
            let Some(room) = self.room.checked_sub(bytes) else {
                self.ended = true;
                self.out.write_char(CUT)?;
                return Err(fmt::Error);
            };
            self.room = room;
            match escape {
                Some(escape) => write!(self.out, "{escape}")?,
                None => self.out.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &dyn fmt::Debug) -> String {
        let mut text = String::new();
        write_value(&mut text, value).unwrap();
        text
    }

    #[test]
    fn a_value_stays_in_its_line_and_cannot_move_the_cursor() {
        let hostile = format_args!("kkk\n\u{1b}[31mFAKE\r\u{202e}\u{9b}2K").to_string();
        let shown = written(&format_args!("{hostile}"));
        assert_eq!(shown, r"kkk\n\u{1b}[31mFAKE\r\u{202e}\u{9b}2K");
        assert_eq!(written(&format_args!("it's \"größe\" C:\\x")), "it's \"größe\" C:\\x");
        assert_eq!(written(&"a\nb"), r#""a\nb""#, "what is quoted is not quoted twice");
    }

    #[test]
    fn a_long_value_is_cut() {
        let long = written(&format_args!("{}", "é".repeat(60_000)));
        assert_eq!(long.len(), VALUE_BYTES_MAX + CUT.len_utf8());
        assert!(long.ends_with(CUT));
        let escapes = written(&format_args!("{}", "\u{1b}".repeat(60_000)));
        assert!(escapes.len() <= VALUE_BYTES_MAX + CUT.len_utf8(), "{}", escapes.len());
        assert_eq!(written(&format_args!("{}", "a".repeat(VALUE_BYTES_MAX))).len(), VALUE_BYTES_MAX);
    }
}
