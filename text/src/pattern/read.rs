//! What is left of a pattern: characters, escapes, and Go's words for what is wrong (go/src/regexp/syntax/parse.go).

/// Go's error about a part of a pattern.
pub(super) fn error(what: &str, part: &str) -> String {
    format!("error parsing regexp: {what}: `{part}`")
}

/// The part of a pattern that is not read yet.
#[derive(Clone, Copy)]
pub(super) struct Rest<'a>(pub(super) &'a str);

impl<'a> Rest<'a> {
    pub(super) fn next(&mut self) -> Option<char> {
        let mut characters = self.0.chars();
        let c = characters.next();
        self.0 = characters.as_str();
        c
    }

    pub(super) fn peek(self) -> Option<char> {
        self.0.chars().next()
    }

    pub(super) fn take(&mut self, prefix: &str) -> bool {
        let rest = self.0.strip_prefix(prefix);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// What was read since `before`.
    pub(super) fn since(self, before: Rest<'a>) -> &'a str {
        before.0.get(..before.0.len() - self.0.len()).unwrap_or_default()
    }

    /// An escape sequence that stands for one character, as its code. Go knows halves of surrogate pairs too.
    pub(super) fn escape(&mut self) -> Result<u32, String> {
        let before = *self;
        self.next();
        if self.0.is_empty() {
            return Err(error("trailing backslash at end of expression", ""));
        }
        self.escaped().ok_or_else(|| error("invalid escape sequence", self.since(before)))
    }

    /// After the backslash.
    fn escaped(&mut self) -> Option<u32> {
        Some(match self.next()? {
            c @ '0'..='7' => {
                let is_octal = |c: Option<char>| c.is_some_and(|c| ('0'..='7').contains(&c));
                if c != '0' && !is_octal(self.peek()) {
                    return None;
                }
                let mut code = c.to_digit(8)?;
                for _ in 0..2 {
                    if is_octal(self.peek()) {
                        code = code * 8 + self.next()?.to_digit(8)?;
                    }
                }
                code
            }
            'x' if self.take("{") => {
                let mut code = 0;
                let mut digits = 0usize;
                loop {
                    match self.next()? {
                        '}' if digits > 0 => return Some(code),
                        c => code = code * 16 + c.to_digit(16)?,
                    }
                    if code > u32::from(char::MAX) {
                        return None;
                    }
                    digits += 1;
                }
            }
            'x' => {
                let (high, low) = (self.next()?, self.next()?);
                high.to_digit(16)? * 16 + low.to_digit(16)?
            }
            'a' => 0x07,
            'f' => 0x0C,
            'n' => 0x0A,
            'r' => 0x0D,
            't' => 0x09,
            'v' => 0x0B,
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => c.into(),
            _ => return None,
        })
    }
}
