//! Sizes as listings write them.

/// A size: in bytes, or rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// So many bytes.
    Exact(u64),
    /// About so many bytes: good to show, not to compare with.
    Rough(u64),
}

impl Size {
    /// Reads digits, digits in groups (`9,730`), or a number with a unit (`33.5k`, `12KB`).
    pub(super) fn read(column: &[u8]) -> Option<Size> {
        let text = std::str::from_utf8(column).ok()?;
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = text.strip_prefix(number)?;
        if !number.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        match unit.to_ascii_lowercase().as_str() {
            "" | "b" => Some(Size::Exact(grouped(number)?)),
            "k" | "kb" | "kib" => scaled(number, 10),
            "m" | "mb" | "mib" => scaled(number, 20),
            "g" | "gb" | "gib" => scaled(number, 30),
            "t" | "tb" | "tib" => scaled(number, 40),
            _ => None,
        }
    }

    /// The size that stands last in these columns, where it may have its unit in a column of its own (`12 kB`), and the
    /// columns before it.
    pub(super) fn last_of<'a, 'b>(columns: &'a [&'b [u8]]) -> Option<(Size, &'a [&'b [u8]])> {
        let (&last, before) = columns.split_last()?;
        if let Some(size) = Size::read(last) {
            return Some((size, before));
        }
        let (&number, before) = before.split_last()?;
        let unit = if last.eq_ignore_ascii_case(b"bytes") { b"" } else { last };
        let is_unit = unit.iter().all(u8::is_ascii_alphabetic) && number.iter().all(|b| !b.is_ascii_alphabetic());
        is_unit.then(|| Size::read(&[number, unit].concat())).flatten().map(|size| (size, before))
    }

    /// The size that a server with too narrow columns has written right behind an owner or group, and that name. Where
    /// the name ends with a digit nobody can tell where the size begins, so it is a rough one.
    pub(super) fn joined(column: &[u8]) -> Option<(&[u8], Size)> {
        let digits = column.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let (name, size) = column.split_at_checked(column.len().saturating_sub(digits))?;
        // No size begins with a zero but zero itself.
        let zeros = size.iter().take_while(|&&b| b == b'0').count().min(size.len().checked_sub(1)?);
        let (name, size) = column.split_at_checked(name.len() + zeros)?;
        let size = std::str::from_utf8(size).ok()?.parse().ok()?;
        (!name.is_empty() && zeros < digits && digits < column.len()).then_some((name, Size::Rough(size)))
    }

    /// As an [`Entry`](crate::listing::Entry) has it: the size, and the rough size.
    pub(super) fn parts(self) -> (Option<u64>, Option<u64>) {
        match self {
            Size::Exact(size) => (Some(size), None),
            Size::Rough(size) => (None, Some(size)),
        }
    }
}

/// Digits alone, or in groups of three behind the first.
fn grouped(number: &str) -> Option<u64> {
    let mut groups = number.split([',', '.', '\'']);
    let first = groups.next()?;
    let mut digits = first.to_owned();
    for group in groups {
        if group.len() != 3 || first.len() > 3 {
            return None;
        }
        digits.push_str(group);
    }
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// A decimal number times 2 to the power of `shift`.
fn scaled(number: &str, shift: u32) -> Option<Size> {
    let (whole, fraction) = number.split_once(['.', ',']).unwrap_or((number, "0"));
    if !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: u128 = format!("{fraction:0<3.3}").parse().ok()?;
    let total = (u128::from(whole.parse::<u64>().ok()?) * 1000 + thousandths) * (1u128 << shift) / 1000;
    u64::try_from(total).ok().map(Size::Rough)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_groups_and_units() {
        for (text, want) in [
            ("0", Some(Size::Exact(0))),
            ("18446744073709551615", Some(Size::Exact(u64::MAX))),
            ("18446744073709551616", None),
            ("9,730", Some(Size::Exact(9730))),
            ("1.234.567", Some(Size::Exact(1_234_567))),
            ("1'234", Some(Size::Exact(1234))),
            ("12B", Some(Size::Exact(12))),
            ("1,23", None),
            ("1234,567", None),
            ("8,", None),
            ("33.5k", Some(Size::Rough(34_304))),
            ("1,5M", Some(Size::Rough(1_572_864))),
            ("2GiB", Some(Size::Rough(1 << 31))),
            ("99999999999T", None),
            ("k", None),
            (".5k", None),
            ("-1", None),
            ("+1", None),
            ("12x", None),
            ("", None),
        ] {
            assert_eq!(Size::read(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn sizes_that_touch_a_name() {
        let joined = |text: &'static str| Size::joined(text.as_bytes());
        assert_eq!(joined("www-data1715"), Some((&b"www-data"[..], Size::Rough(1715))));
        assert_eq!(joined("user00715"), Some((&b"user00"[..], Size::Rough(715))));
        assert_eq!(joined("user0"), Some((&b"user"[..], Size::Rough(0))));
        for none in ["1715", "user", "", "user99999999999999999999"] {
            assert_eq!(joined(none), None, "{none}");
        }
    }
}
