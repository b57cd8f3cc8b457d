//! Mail addresses of RFC 5322, as Go's `net/mail.ParseAddress` reads them: an address, a name with an address in angle
//! brackets, or a group of one; with comments.

/// How deep comments may nest.
const COMMENT_DEPTH_MAX: usize = 100;

/// One address, with or without a name.
pub(super) fn is_email(text: &str) -> bool {
    let mut rest = Rest(text);
    let addresses = rest.address(Groups::Allowed);
    addresses == Some(1) && rest.skip_comments().is_some() && rest.0.is_empty()
}

/// Whether a list of addresses with a name may stand for one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Groups {
    Allowed,
    Forbidden,
}

/// What is not read yet. Methods that fail with `None` may have read something.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn take(&mut self, c: char) -> bool {
        let rest = self.0.strip_prefix(c);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn skip_comments(&mut self) -> Option<()> {
        self.skip_space();
        while self.take('(') {
            self.comment()?;
            self.skip_space();
        }
        Some(())
    }

    /// After `(`: up to the `)` that belongs to it.
    fn comment(&mut self) -> Option<()> {
        let mut depth = 1usize;
        let mut characters = self.0.char_indices();
        while let Some((i, c)) = characters.next() {
            match c {
                '\\' => drop(characters.next()?),
                '(' if depth == COMMENT_DEPTH_MAX => return None,
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.0 = &self.0[i + 1..];
                return Some(());
            }
        }
        None
    }

    /// How many addresses are here.
    fn address(&mut self, groups: Groups) -> Option<usize> {
        self.skip_space();
        let mut ahead = *self;
        if ahead.addr_spec().is_some() {
            *self = ahead;
            self.skip_space();
            if self.take('(') {
                self.comment()?;
            }
            return Some(1);
        }
        if !self.0.starts_with('<') {
            self.phrase()?;
        }
        self.skip_space();
        if groups == Groups::Allowed && self.take(':') {
            return self.group();
        }
        let whole = self.take('<') && self.addr_spec().is_some() && self.take('>');
        whole.then_some(1)
    }

    /// After the `:` of a group.
    fn group(&mut self) -> Option<usize> {
        self.skip_space();
        let mut count = 0;
        if !self.take(';') {
            loop {
                count += self.address(Groups::Forbidden)?;
                self.skip_comments()?;
                if self.take(';') {
                    break;
                }
                if !self.take(',') {
                    return None;
                }
            }
        }
        self.skip_comments()?;
        Some(count)
    }

    /// `local@domain`.
    fn addr_spec(&mut self) -> Option<()> {
        self.skip_space();
        if self.0.starts_with('"') {
            let quoted = self.quoted()?;
            if quoted.is_empty() {
                return None;
            }
        } else {
            self.dot_atom()?;
        }
        if !self.take('@') {
            return None;
        }
        self.skip_space();
        if self.take('[') { self.literal() } else { self.dot_atom() }
    }

    /// Words, quoted or not; comments between them.
    fn phrase(&mut self) -> Option<()> {
        let mut words = 0usize;
        loop {
            if words > 0 {
                self.skip_comments()?;
            }
            self.skip_space();
            let mut ahead = *self;
            let word = if ahead.0.starts_with('"') { ahead.quoted().map(drop) } else { ahead.atom().map(drop) };
            if self.0.is_empty() || word.is_none() {
                return (words > 0 || self.0.is_empty()).then_some(());
            }
            *self = ahead;
            words += 1;
        }
    }

    fn quoted(&mut self) -> Option<&'a str> {
        let inner = self.0.strip_prefix('"')?;
        let mut escaped = false;
        for (i, c) in inner.char_indices() {
            match c {
                _ if escaped && (is_visible(c) || c == ' ' || c == '\t') => escaped = false,
                '\\' if !escaped => escaped = true,
                '"' if !escaped => {
                    self.0 = &inner[i + 1..];
                    return Some(&inner[..i]);
                }
                c if !escaped && (is_visible(c) || c == ' ' || c == '\t') => {}
                _ => return None,
            }
        }
        None
    }

    fn atom(&mut self) -> Option<&'a str> {
        let end = self.0.find(|c| !is_atom(c) && c != '.').unwrap_or(self.0.len());
        let (atom, rest) = self.0.split_at(end);
        self.0 = rest;
        (!atom.is_empty()).then_some(atom)
    }

    fn dot_atom(&mut self) -> Option<()> {
        let atom = self.atom()?;
        (!atom.starts_with('.') && !atom.ends_with('.') && !atom.contains("..")).then_some(())
    }

    /// After `[`: an address instead of a domain.
    fn literal(&mut self) -> Option<()> {
        let (address, rest) = self.0.split_once(']')?;
        self.0 = rest;
        address.parse::<std::net::IpAddr>().ok().map(drop)
    }
}

fn is_visible(c: char) -> bool {
    ('!'..='~').contains(&c) || !c.is_ascii()
}

/// A letter of an atom.
fn is_atom(c: char) -> bool {
    is_visible(c) && !r#"()<>[]:;@\,"."#.contains(c)
}
