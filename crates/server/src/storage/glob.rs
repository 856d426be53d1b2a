//! Patterns of names, as the last part of LIST's and NLST's argument may be one.

/// A pattern: `*` any bytes, `?` one character, `[a-z]` and `[!a-z]` one of a set, `\` takes the next as it is.
///
/// The time of a match is bounded by pattern and name multiplied, whatever they are: there is one place to go back to
/// (the last `*`), not one for each.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    items: Vec<Item>,
}

#[derive(Clone, Debug)]
enum Item {
    Any,
    One,
    Is(u32),
    In { ranges: Vec<(u32, u32)>, negated: bool },
}

/// The most items that are kept: a name has at most 255 bytes, and no two `*` stand beside each other.
const MOST: usize = 512;

impl Pattern {
    /// Reads a pattern. One that is longer than any name it could match matches none.
    pub(super) fn new(text: &[u8]) -> Pattern {
        let mut items = Vec::new();
        let mut rest = text;
        while let Some((c, behind)) = next_char(rest) {
            rest = behind;
            let item = match char::from_u32(c) {
                Some('*') if matches!(items.last(), Some(Item::Any)) => continue,
                Some('*') => Item::Any,
                Some('?') => Item::One,
                Some('[') => match set(rest) {
                    Some((item, behind)) => {
                        rest = behind;
                        item
                    }
                    // A bracket without its end is one.
                    None => Item::Is(c),
                },
                Some('\\') => match next_char(rest) {
                    Some((c, behind)) => {
                        rest = behind;
                        Item::Is(c)
                    }
                    None => Item::Is(c),
                },
                _ => Item::Is(c),
            };
            items.push(item);
            if items.len() > MOST {
                return Pattern { items: vec![Item::In { ranges: Vec::new(), negated: false }] };
            }
        }
        Pattern { items }
    }

    /// Whether the whole name matches. A dot at its beginning is matched by a dot alone, as in a shell.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let first_is_dot = matches!(self.items.first(), Some(Item::Is(c)) if *c == u32::from('.'));
        (first_is_dot || !name.starts_with(b".")) && self.matches_hidden(name)
    }

    /// The same, where a dot at the beginning is nothing special.
    pub(super) fn matches_hidden(&self, name: &[u8]) -> bool {
        let (mut item, mut rest) = (0, name);
        // Where the last `*` stands, and the bytes that it does not yet cover.
        let mut star: Option<(usize, &[u8])> = None;
        loop {
            match (self.items.get(item), next_char(rest)) {
                (None, None) => return true,
                (Some(Item::Any), _) => {
                    star = Some((item, rest));
                    item += 1;
                }
                (Some(wanted), Some((c, behind))) if wanted.is(c) => {
                    item += 1;
                    rest = behind;
                }
                _ => {
                    // Let the `*` cover one character more, and try again from behind it.
                    let Some((at, uncovered)) = star else { return false };
                    let Some((_, behind)) = next_char(uncovered) else { return false };
                    star = Some((at, behind));
                    item = at + 1;
                    rest = behind;
                }
            }
        }
    }
}

impl Item {
    fn is(&self, c: u32) -> bool {
        match self {
            Item::Any => false,
            Item::One => true,
            Item::Is(wanted) => *wanted == c,
            Item::In { ranges, negated } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
        }
    }
}

/// Reads a set, from behind its `[`. A `]` that comes first is one of the set.
fn set(text: &[u8]) -> Option<(Item, &[u8])> {
    let (negated, mut rest) = match text {
        [b'!' | b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut ranges = Vec::new();
    loop {
        let (low, behind) = next_char(rest)?;
        if low == u32::from(']') && !ranges.is_empty() {
            return Some((Item::In { ranges, negated }, behind));
        }
        rest = behind;
        let high = match rest {
            [b'-', end @ ..] if !end.starts_with(b"]") => {
                let (high, behind) = next_char(end)?;
                rest = behind;
                high
            }
            _ => low,
        };
        ranges.push((low, high));
        if ranges.len() > MOST {
            return None;
        }
    }
}

/// The first character of UTF-8 text and what is behind it; a byte that is none counts as a character of its own,
/// beyond all of Unicode.
fn next_char(text: &[u8]) -> Option<(u32, &[u8])> {
    let first = *text.first()?;
    if first.is_ascii() {
        return Some((u32::from(first), text.get(1..)?));
    }
    let head = text.get(..4).unwrap_or(text);
    let chunk = head.utf8_chunks().next()?;
    match chunk.valid().chars().next() {
        Some(c) => Some((u32::from(c), text.get(c.len_utf8()..)?)),
        None => Some((0x11_0000 + u32::from(first), text.get(1..)?)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &[u8]) -> bool {
        Pattern::new(pattern.as_bytes()).matches(name)
    }

    #[test]
    fn patterns_are_those_of_a_shell() {
        for (pattern, yes, no) in [
            ("*", "a", ".a"),
            (".*", ".a", "a"),
            ("*.txt", "read.me.txt", "a.txt.gz"),
            ("a*b*c", "aXbXbXc", "aXbX"),
            ("?", "ö", "ab"),
            ("r?adme", "readme", "rdme"),
            ("[a-c]x", "bx", "dx"),
            ("[!a-c]x", "dx", "bx"),
            ("[]x]", "]", "y"),
            ("[ä-ö]", "é", "a"),
            ("[a-]", "-", "b"),
            ("[ab", "[ab", "a"),
            ("\\*", "*", "a"),
            ("a", "a", "A"),
            ("", "", "a"),
            ("**a**", "bab", "bb"),
        ] {
            assert!(matches(pattern, yes.as_bytes()), "{pattern} {yes}");
            assert!(!matches(pattern, no.as_bytes()), "{pattern} {no}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_match_as_one_character() {
        assert!(matches("a?b", b"a\xffb"));
        assert!(matches("*b", b"\xc3\xffb"));
        assert!(!matches("?", b"\xff\xff"));
    }

    #[test]
    fn hostile_patterns_neither_hang_nor_grow() {
        let name = "a".repeat(255);
        assert!(!matches(&"*a".repeat(250), format!("{name}b").as_bytes()));
        assert!(!matches(&format!("{}b", "a*".repeat(200)), name.as_bytes()));
        assert!(!matches(&"?".repeat(4096), name.as_bytes()));
        assert!(!matches(&"a".repeat(4096), name.as_bytes()));
        assert!(matches(&"*".repeat(4096), name.as_bytes()));
        assert!(!matches(&format!("[{}]", "a".repeat(4000)), b"a"));
    }

    /// The same, as plainly as can be and in no bounded time.
    fn plainly(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], name) => name.is_empty(),
            ([b'*', rest @ ..], name) => (0..=name.len()).any(|at| plainly(rest, &name[at..])),
            ([b'?', rest @ ..], [_, name @ ..]) => plainly(rest, name),
            ([c, rest @ ..], [d, name @ ..]) => c == d && plainly(rest, name),
            (_, []) => false,
        }
    }

    proptest! {
        #[test]
        fn the_last_star_is_place_enough_to_go_back_to(pattern in "[ab*?]{0,8}", name in "[ab]{0,10}") {
            prop_assert_eq!(matches(&pattern, name.as_bytes()), plainly(pattern.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn no_bytes_panic(pattern: Vec<u8>, name: Vec<u8>) {
            Pattern::new(&pattern).matches(&name);
        }
    }
}
