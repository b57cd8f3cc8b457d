//! Exact decimals of bounded length, as `gopkg.in/inf.v0` has them without a bound.

use std::cmp::Ordering;

/// How many digits a number may have. Go's numbers grow with their exponents until memory ends.
const DIGITS_MAX: usize = 16 << 10;

/// `±digits × 10^-scale`.
#[derive(Debug, Clone)]
pub(super) struct Decimal {
    negative: bool,
    /// From the most significant on, without leading zeroes; none for zero.
    digits: Vec<u8>,
    scale: i32,
}

impl Decimal {
    /// `value × 10^-scale`.
    pub(super) fn new(value: i64, scale: i32) -> Self {
        let digits = value.unsigned_abs().to_string().bytes().map(|b| b - b'0').collect();
        Self::from_digits(value < 0, digits, scale)
    }

    /// Digits with at most one dot among them; `None` if there are none, too many, or something else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b.wrapping_sub(b'0')).collect();
        if digits.is_empty() || digits.len() > DIGITS_MAX || digits.iter().any(|digit| *digit > 9) {
            return None;
        }
        Some(Self::from_digits(false, digits, i32::try_from(fraction.len()).ok()?))
    }

    fn from_digits(negative: bool, mut digits: Vec<u8>, scale: i32) -> Self {
        let zeroes = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..zeroes);
        Self { negative: negative && !digits.is_empty(), digits, scale }
    }

    /// How many digits follow the point; negative if zeroes precede it.
    pub(super) fn scale(&self) -> i32 {
        self.scale
    }

    /// The same digits with another scale.
    pub(super) fn with_scale(mut self, scale: i32) -> Self {
        self.scale = scale;
        self
    }

    /// `-self`.
    pub(super) fn negated(mut self) -> Self {
        self.negative = !self.negative && !self.digits.is_empty();
        self
    }

    /// -1, 0 or 1.
    pub(super) fn sign(&self) -> i64 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    /// `self × factor`.
    pub(super) fn times(&self, factor: u64) -> Self {
        let mut out = Vec::with_capacity(self.digits.len() + 20);
        let mut carry = 0u128;
        for digit in self.digits.iter().rev() {
            carry += u128::from(*digit) * u128::from(factor);
            out.push(last_digit(carry));
            carry /= 10;
        }
        while carry > 0 {
            out.push(last_digit(carry));
            carry /= 10;
        }
        out.reverse();
        Self::from_digits(self.negative, out, self.scale)
    }

    /// At another scale, away from zero if digits get lost; `None` if there would be too many digits.
    pub(super) fn round_up(&self, scale: i32) -> Option<Self> {
        let change = i64::from(scale) - i64::from(self.scale);
        if self.digits.is_empty() {
            return Some(Self { negative: false, digits: Vec::new(), scale });
        }
        if change >= 0 {
            let zeroes = usize::try_from(change).ok()?;
            if self.digits.len().checked_add(zeroes)? > DIGITS_MAX {
                return None;
            }
            let mut digits = self.digits.clone();
            digits.resize(digits.len() + zeroes, 0);
            return Some(Self { negative: self.negative, digits, scale });
        }
        let lost = usize::try_from(-change).ok()?;
        let kept = self.digits.len().saturating_sub(lost);
        let (head, tail) = self.digits.split_at(kept);
        let mut digits = head.to_vec();
        if tail.iter().any(|digit| *digit != 0) {
            increment(&mut digits);
        }
        Some(Self::from_digits(self.negative, digits, scale))
    }

    /// The sum, at the greater of the scales; `None` if it would have too many digits.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let (left, right) = (self.round_up(scale)?, other.round_up(scale)?);
        if left.negative == right.negative {
            return Some(Self::from_digits(left.negative, add(&left.digits, &right.digits), scale));
        }
        Some(match compare(&left.digits, &right.digits) {
            Ordering::Less => Self::from_digits(right.negative, subtract(&right.digits, &left.digits), scale),
            _ => Self::from_digits(left.negative, subtract(&left.digits, &right.digits), scale),
        })
    }

    /// The order by value, whatever the scales.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let by_sign = self.sign().cmp(&other.sign());
        if by_sign != Ordering::Equal || self.digits.is_empty() {
            return by_sign;
        }
        // The place of the first digit decides; if it is the same, the digits do.
        let place = |of: &Self| i64::try_from(of.digits.len()).unwrap_or(i64::MAX) - i64::from(of.scale);
        let digits = |of: &Self, length: usize| {
            let mut digits = of.digits.clone();
            digits.resize(length, 0);
            digits
        };
        let length = self.digits.len().max(other.digits.len());
        let by_size = place(self).cmp(&place(other)).then_with(|| digits(self, length).cmp(&digits(other, length)));
        if self.negative { by_size.reverse() } else { by_size }
    }

    /// The digits as a number, without the scale, as near as a double can be.
    pub(super) fn unscaled(&self) -> f64 {
        let digits: String = self.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        let size = digits.parse().unwrap_or(0.0);
        if self.negative { -size } else { size }
    }
}

fn last_digit(number: u128) -> u8 {
    u8::try_from(number % 10).unwrap_or_default()
}

fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return;
        }
        *digit = 0;
    }
    digits.insert(0, 1);
}

/// Which of two numbers without leading zeroes is greater.
fn compare(left: &[u8], right: &[u8]) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

fn add(left: &[u8], right: &[u8]) -> Vec<u8> {
    let (long, short) = if left.len() < right.len() { (right, left) } else { (left, right) };
    let mut out = Vec::with_capacity(long.len() + 1);
    let mut carry = 0;
    let padded = short.iter().rev().copied().chain(std::iter::repeat(0));
    for (a, b) in long.iter().rev().zip(padded) {
        let sum = a + b + carry;
        out.push(sum % 10);
        carry = sum / 10;
    }
    out.push(carry);
    out.reverse();
    out
}

/// `large - small`.
fn subtract(large: &[u8], small: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(large.len());
    let mut borrow = 0;
    let padded = small.iter().rev().copied().chain(std::iter::repeat(0));
    for (a, b) in large.iter().rev().zip(padded) {
        let taken = b + borrow;
        borrow = u8::from(*a < taken);
        out.push(a + 10 * borrow - taken);
    }
    out.reverse();
    out
}
