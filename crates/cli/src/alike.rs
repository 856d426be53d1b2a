//! Warnings that are alike: the first of them are told, the rest are counted.

use std::collections::BTreeMap;

/// So many of each kind are told.
const TOLD: u64 = 20;

/// So many kinds are told apart.
const KINDS: usize = 1000;

/// What was told of each kind.
#[derive(Debug, Default)]
pub(crate) struct Alike {
    seen: BTreeMap<String, u64>,
}

impl Alike {
    /// Whether another one of this kind is to be told.
    pub(crate) fn is_told(&mut self, kind: &str) -> bool {
        let is_full = self.seen.len() >= KINDS && !self.seen.contains_key(kind);
        let kind = if is_full { "other things" } else { kind };
        let seen = self.seen.entry(kind.to_owned()).or_default();
        *seen += 1;
        *seen <= TOLD
    }

    /// A line for each kind of which not all were told; it begins to count anew.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        let seen = std::mem::take(&mut self.seen);
        seen.into_iter().filter(|(_, seen)| *seen > TOLD).map(|(kind, seen)| more(&kind, seen - TOLD)).collect()
    }
}

fn more(kind: &str, count: u64) -> String {
    format!("... and {} more like it: {kind}", with_commas(count))
}

/// `4,123`.
fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_told_and_the_rest_counted() {
        let mut alike = Alike::default();
        let told = (0..4143).filter(|_| alike.is_told("a symbolic link")).count();
        assert_eq!((told, alike.is_told("a device")), (20, true));
        assert_eq!(alike.rest(), ["... and 4,123 more like it: a symbolic link"]);
        assert!(alike.is_told("a symbolic link") && alike.rest().is_empty());
    }

    #[test]
    fn kinds_without_number_are_one() {
        let mut alike = Alike::default();
        let told = (0..10_000).filter(|n| alike.is_told(&n.to_string())).count();
        assert_eq!((told, alike.seen.len()), (KINDS + 20, KINDS + 1));
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(with_commas), ["0", "999", "1,000", "1,234,567"]);
    }
}
