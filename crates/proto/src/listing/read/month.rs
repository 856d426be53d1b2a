//! Names of months, in the languages and character sets that servers speak, and the small numbers of dates.

const ENGLISH: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// The names of months, in lower case, as `ls` writes them where the server's locale is Catalan, Czech, Danish, Dutch,
/// English, Finnish, French, German, Greek, Hungarian, Italian, Norwegian, Polish, Portuguese, Romanian, Russian,
/// Slovak, Spanish, Swedish, Turkish or Ukrainian. No name is two months' (a test sees to it).
const MONTHS: [&str; 12] = [
    "jan january januar januari janv janvier jän jänner ene enero gen gennaio led sty oca ocak tammi ian янв січ ιαν",
    "feb february februar februari fév févr février fev febr úno lut şub şubat helmi фев февр лют φεβ",
    "mar march mär märz mrz mrt maart mars març márc marzo bře maalis мар март бер μαρ μάρ",
    "apr april avr avril abr ápr dub kwi nis nisan huhti апр кві απρ",
    "may mai maj mei maí mag maggio mayo máj maig kvě touko май мая тра μαϊ μαΐ μάι",
    "jun june juni juin junio jún juny giu giugno iun čen cze haz haziran kesä июн июнь чер ιουν ιούν",
    "jul july juli juil jui juillet julio júl lug luglio iul čec lip tem temmuz heinä июл июль лип ιουλ ιούλ",
    "aug august aoû août ago agosto ag srp sie ağu ağustos elo авг сер αυγ αύγ",
    "sep sept september septembre set settembre setembro szept zář wrz eyl eylül syys сен сент вер σεπ",
    "oct october octobre okt oktober ott ottobre out outubro říj paź eki ekim loka окт жов οκτ",
    "nov november novembre noviembre lis kas kasım marras ноя нояб лис νοε νοέ",
    "dec december déc décembre dez dezember des desember dic dicembre diciembre pro gru ara aralık joulu дек гру δεκ",
];

/// The lower letters of KOI8-R from 0xC0 on.
const KOI8: &str = "юабцдефгхийклмнопярстужвьызшэщчъ";

/// A month by its name, or as `12月`. What is not UTF-8 is taken for Latin-1, or for Cyrillic of Windows, KOI8 or ISO.
pub(super) fn month(column: &[u8]) -> Option<i8> {
    let end = column.iter().rposition(|b| !matches!(b, b'.' | b',')).map(|at| at + 1)?;
    let name = column.get(..end).filter(|name| name.len() <= 24)?;
    let found = ENGLISH.iter().position(|english| name.eq_ignore_ascii_case(*english));
    let found = found.or_else(|| match std::str::from_utf8(name) {
        Ok(text) => named(&text.to_lowercase()),
        Err(_) => CHARSETS.iter().find_map(|charset| named(&name.iter().map(|&b| charset(b)).collect::<String>())),
    });
    let found = found.and_then(|at| i8::try_from(at + 1).ok());
    found.or_else(|| unit(name).and_then(|n| i8::try_from(n).ok()).filter(|m| (1..=12).contains(m)))
}

fn named(text: &str) -> Option<usize> {
    MONTHS.iter().position(|names| names.split(' ').any(|name| name == text))
}

/// Character sets that a name which is not UTF-8 may be in: to lower letters, which is all that a month's name has.
const CHARSETS: [fn(u8) -> char; 4] = [
    |b| char::from(b).to_lowercase().next().unwrap_or_default(),
    |b| if b < 0xc0 { char::from(b) } else { cyrillic(b | 0x20, 0xe0) },
    |b| if b < 0xc0 { char::from(b) } else { KOI8.chars().nth(usize::from(b & 0x1f)).unwrap_or_default() },
    |b| match b {
        0xb0..=0xcf => cyrillic(b + 0x20, 0xd0),
        0xd0..=0xef => cyrillic(b, 0xd0),
        _ => char::from(b),
    },
];

/// A lower letter of Russian, whose first has this number.
fn cyrillic(b: u8, first: u8) -> char {
    char::from_u32(u32::from('а') + u32::from(b.wrapping_sub(first))).unwrap_or_default()
}

/// A number with one character behind it that is not ASCII, in whatever character set: the 12 of `12月`.
pub(super) fn unit(column: &[u8]) -> Option<i16> {
    let digits = column.iter().take_while(|b| b.is_ascii_digit()).count();
    let (n, unit) = column.split_at_checked(digits)?;
    // The second byte of a character may be ASCII: the year of Shift JIS is 0x94 0x4E.
    let is_unit = unit.first().is_some_and(|b| !b.is_ascii()) && unit.len() <= 3;
    is_unit.then(|| number(std::str::from_utf8(n).ok()?, 4)).flatten()
}

/// A number of one to `most` digits, and nothing else.
pub(super) fn number(text: &str, most: usize) -> Option<i16> {
    let digits = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A number of one or two digits, and nothing else.
pub(super) fn small(text: &str) -> Option<i8> {
    number(text, 2).and_then(|n| i8::try_from(n).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn months_of_many_languages() {
        for (text, want) in [("mär", 3), ("MÄR.", 3), ("août", 8), ("Şub", 2), ("ИЮН", 6), ("zář", 9), ("Dez", 12)]
        {
            assert_eq!(month(text.as_bytes()), Some(want), "{text}");
        }
        for none in ["", ".", "x", "ma", "januaryjanuaryjanuaryjanuary", "13月", "0月", "2004年"] {
            assert_eq!(month(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn months_in_other_character_sets() {
        for (bytes, want) in [
            (&b"M\xe4r"[..], 3),
            (b"d\xe9c.", 12),
            (b"\xe4\xe5\xea", 12),
            (b"\xc4\xe5\xea", 12),
            (b"\xc4\xc5\xcb", 12),
            (b"\xe4\xc5\xcb", 12),
            (b"\xd4\xd5\xda", 12),
            (b"\xb4\xd5\xda", 12),
            (b"4\x8c\x8e", 4),
        ] {
            assert_eq!(month(bytes), Some(want), "{bytes:?}");
        }
    }

    #[test]
    fn no_name_is_two_months() {
        let mut all: Vec<&str> = MONTHS.iter().flat_map(|names| names.split(' ')).collect();
        assert!(all.iter().all(|name| name.to_lowercase() == *name));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = (month(&bytes), unit(&bytes));
        }
    }
}
