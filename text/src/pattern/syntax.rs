//! From Go's syntax to the `regex` crate's, as `regexp.Compile` reads it (go/src/regexp/syntax/parse.go).

use super::class;
use super::read::{Rest, error};

/// Go refuses larger counts in `{n,m}`, also as the product of counts inside of each other.
const REPEAT_MAX: i32 = 1000;

/// Go refuses deeper groups.
const DEPTH_MAX: usize = 1000;

/// The pattern in the syntax of the `regex` crate, or Go's error.
pub(super) fn translate(text: &str) -> Result<String, String> {
    let mut translation = Translation {
        out: String::with_capacity(text.len() + 8),
        level: Level::default(),
        outer: Vec::new(),
        flags: Flags::default(),
        changed: false,
    };
    translation.run(text)?;
    if translation.outer.is_empty() { Ok(translation.out) } else { Err(error("missing closing )", text)) }
}

/// `i`, `m`, `s` and `U`.
#[derive(Clone, Copy, Default)]
struct Flags([bool; 4]);

impl Flags {
    const NAMES: [char; 4] = ['i', 'm', 's', 'U'];

    /// All of them, as one sets them.
    fn text(self) -> String {
        let pick = |wanted| (0..4).filter(move |i| self.0[*i] == wanted).map(|i| Self::NAMES[i]);
        let (on, off): (String, String) = (pick(true).collect(), pick(false).collect());
        if off.is_empty() { on } else { format!("{on}-{off}") }
    }
}

/// Counts that are inside of each other.
struct Repeats {
    count: i32,
    inner: Vec<Repeats>,
}

impl Repeats {
    /// `repeatIsValid`.
    fn fit(&self, most: i32) -> bool {
        match self.count {
            0 => true,
            count => count <= most && self.inner.iter().all(|inner| inner.fit(most / count)),
        }
    }
}

/// What was read of a group.
#[derive(Default)]
struct Level {
    /// The counts in it, but for those of the last part.
    repeats: Vec<Repeats>,
    /// The counts in the last part, if there is one that can be repeated.
    last: Option<Vec<Repeats>>,
    /// Where the last part begins in the translation.
    last_begins: usize,
}

impl Level {
    fn push(&mut self, repeats: Vec<Repeats>, begins: usize) {
        self.last_begins = begins;
        self.repeats.extend(self.last.replace(repeats).into_iter().flatten());
    }
}

struct Translation {
    out: String,
    level: Level,
    /// The levels around this one, with the flags there and where this one begins in the translation.
    outer: Vec<(Level, Flags, usize)>,
    flags: Flags,
    /// Whether the flags were changed and nothing came after them yet: a repetition would be of what came before.
    changed: bool,
}

impl Translation {
    fn run(&mut self, text: &str) -> Result<(), String> {
        let mut rest = Rest(text);
        let mut last_repeat = None;
        while let Some(c) = rest.peek() {
            let before = rest;
            let mut repeat = None;
            match c {
                '(' => self.open(&mut rest)?,
                '|' => {
                    rest.next();
                    self.settle_flags();
                    self.out.push('|');
                    self.level.repeats.extend(self.level.last.take().into_iter().flatten());
                }
                ')' => {
                    rest.next();
                    self.close(text)?;
                }
                '^' | '$' | '.' => {
                    rest.next();
                    self.atom(c.encode_utf8(&mut [0u8; 4]));
                }
                '[' => {
                    let set = class::brackets(&mut rest)?;
                    self.atom(&set);
                }
                '*' | '+' | '?' => {
                    rest.next();
                    self.repeat(None, before, &mut rest, last_repeat)?;
                    repeat = Some(before);
                }
                '{' => match counts(rest) {
                    Some((low, high, after)) => {
                        rest = after;
                        let bad = !(0..=REPEAT_MAX).contains(&low) || high > REPEAT_MAX || (high >= 0 && low > high);
                        if bad {
                            return Err(error("invalid repeat count", rest.since(before)));
                        }
                        self.repeat(Some((low, high)), before, &mut rest, last_repeat)?;
                        repeat = Some(before);
                    }
                    None => {
                        rest.next();
                        self.literal('{'.into());
                    }
                },
                '\\' => self.escape(&mut rest)?,
                c => {
                    rest.next();
                    self.literal(c.into());
                }
            }
            last_repeat = repeat;
        }
        Ok(())
    }

    fn atom(&mut self, translated: &str) {
        self.settle_flags();
        self.level.push(Vec::new(), self.out.len());
        self.out.push_str(translated);
    }

    fn settle_flags(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.out.push_str(&format!("(?{})", self.flags.text()));
        }
    }

    fn literal(&mut self, code: u32) {
        match char::from_u32(code) {
            Some(c) => {
                self.atom(&regex::escape(c.encode_utf8(&mut [0u8; 4])));
            }
            // No text has halves of surrogate pairs.
            None => self.atom("[a&&b]"),
        }
    }

    fn escape(&mut self, rest: &mut Rest<'_>) -> Result<(), String> {
        let before = *rest;
        if rest.take(r"\Q") {
            let (quoted, after) = rest.0.split_once(r"\E").unwrap_or((rest.0, ""));
            rest.0 = after;
            quoted.chars().for_each(|c| self.literal(c.into()));
            return Ok(());
        }
        for (escape, translated) in [(r"\A", r"\A"), (r"\z", r"\z"), (r"\b", r"(?-u:\b)"), (r"\B", r"(?-u:\B)")] {
            if rest.take(escape) {
                self.atom(translated);
                return Ok(());
            }
        }
        if rest.take(r"\C") {
            return Err(error("invalid escape sequence", rest.since(before)));
        }
        match class::set(rest)? {
            Some(set) => self.atom(&set),
            None => {
                let code = rest.escape()?;
                self.literal(code);
            }
        }
        Ok(())
    }

    /// At `(`.
    fn open(&mut self, rest: &mut Rest<'_>) -> Result<(), String> {
        let before = *rest;
        if !rest.0.starts_with("(?") {
            rest.next();
            return self.enter("(?:", self.flags);
        }
        // Go looks for these only where something follows.
        let named = (rest.0.len() > 4 && rest.take("(?P<")) || (rest.0.len() > 3 && rest.take("(?<"));
        if named {
            let Some((name, after)) = rest.0.split_once('>') else {
                return Err(error("invalid named capture", before.0));
            };
            rest.0 = after;
            if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
                return Err(error("invalid named capture", rest.since(before)));
            }
            return self.enter("(?:", self.flags);
        }
        rest.take("(?");
        let wrong = |rest: &Rest<'_>| error("invalid or unsupported Perl syntax", rest.since(before));
        let mut flags = self.flags;
        let (mut on, mut seen) = (true, true);
        loop {
            let c = rest.next().ok_or_else(|| wrong(rest))?;
            match c {
                '-' if on => (on, seen) = (false, false),
                ':' if seen => return self.enter(&format!("(?{}:", flags.text()), flags),
                ')' if seen => {
                    self.flags = flags;
                    self.changed = true;
                    return Ok(());
                }
                c => {
                    let flag = Flags::NAMES.iter().position(|name| *name == c).ok_or_else(|| wrong(rest))?;
                    flags.0[flag] = on;
                    seen = true;
                }
            }
        }
    }

    fn enter(&mut self, opening: &str, flags: Flags) -> Result<(), String> {
        if self.outer.len() == DEPTH_MAX {
            return Err("error parsing regexp: expression nests too deeply".to_owned());
        }
        self.settle_flags();
        self.outer.push((std::mem::take(&mut self.level), self.flags, self.out.len()));
        self.out.push_str(opening);
        self.flags = flags;
        Ok(())
    }

    fn close(&mut self, text: &str) -> Result<(), String> {
        let Some((outer, flags, begins)) = self.outer.pop() else {
            return Err(error("unexpected )", text));
        };
        self.out.push(')');
        self.changed = false;
        let mut inner = std::mem::replace(&mut self.level, outer);
        inner.repeats.extend(inner.last.into_iter().flatten());
        self.level.push(inner.repeats, begins);
        self.flags = flags;
        Ok(())
    }

    /// After a repetition, which begins at `before`.
    fn repeat(
        &mut self,
        counts: Option<(i32, i32)>,
        before: Rest<'_>,
        rest: &mut Rest<'_>,
        last_repeat: Option<Rest<'_>>,
    ) -> Result<(), String> {
        rest.take("?");
        if let Some(last) = last_repeat {
            return Err(error("invalid nested repetition operator", rest.since(last)));
        }
        let Some(inner) = self.level.last.take() else {
            return Err(error("missing argument to repetition operator", rest.since(before)));
        };
        let repeats = match counts {
            None => inner,
            Some((low, high)) => vec![Repeats { count: if high < 0 { low } else { high }, inner }],
        };
        if counts.is_some_and(|(low, high)| low >= 2 || high >= 2) && !repeats.iter().all(|r| r.fit(REPEAT_MAX)) {
            return Err(error("invalid repeat count", rest.since(before)));
        }
        self.level.last = Some(repeats);
        if self.changed {
            // The last part may end with a repetition itself, which this one must not become a part of.
            self.out.insert_str(self.level.last_begins, "(?:");
            self.out.push(')');
        }
        self.out.push_str(rest.since(before));
        Ok(())
    }
}

/// At `{`: the counts, -1 for no upper one, and what follows; nothing if the brace stands for itself.
fn counts(mut rest: Rest<'_>) -> Option<(i32, i32, Rest<'_>)> {
    rest.next();
    let low = count(&mut rest)?;
    let mut high = low;
    let mut low = low;
    if rest.take(",") {
        if rest.0.starts_with('}') {
            high = -1;
        } else {
            high = count(&mut rest)?;
            if high < 0 {
                low = -1;
            }
        }
    }
    rest.take("}").then_some((low, high, rest))
}

/// A number; -1 if it is out of any reason.
fn count(rest: &mut Rest<'_>) -> Option<i32> {
    let end = rest.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.0.len());
    let (digits, after) = rest.0.split_at(end);
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    rest.0 = after;
    Some(digits.parse().unwrap_or(-1))
}
