//! Dates as listings write them: with or without a year, by name or number, in the languages that servers speak.

use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use crate::listing::{Modified, Precision};

/// A date that [`read`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The date.
    pub(super) modified: Modified,
    /// How many columns it takes.
    pub(super) columns: usize,
    /// How many blanks part it from the name.
    pub(super) blanks: usize,
}

/// Reads a date at the start of `columns`. Where it has no year it is the last one that is not more than a day after
/// `now`.
pub(super) fn read(columns: &[&[u8]], now: Timestamp) -> Option<Found> {
    numeric(columns)
        .or_else(|| month_and_day(columns, now))
        .or_else(|| year_first(columns))
        .or_else(|| named(columns, now))
}

/// `2005-06-07 21:22`, `2005-06-07 21:22:03.123456789 +0200`, `2005-06-07`, and other orders and marks.
fn numeric(columns: &[&[u8]]) -> Option<Found> {
    let (first, rest) = columns.split_first()?;
    let date = numeric_date(first)?;
    let Some(clock) = rest.first().and_then(|c| Clock::read(c)) else {
        // `ls --time-style=iso` fills up such a date with a blank, to the width of `06-07 21:22`.
        return Some(Found { modified: stamp(date, None, None)?, columns: 1, blanks: 2 });
    };
    let offset = rest.get(1).filter(|_| clock.exact).and_then(|c| offset(c));
    let columns = if offset.is_some() { 3 } else { 2 };
    Some(Found { modified: stamp(date, Some(clock), offset)?, columns, blanks: 1 })
}

/// `09-26 13:45`, `09-26 2000`.
fn month_and_day(columns: &[&[u8]], now: Timestamp) -> Option<Found> {
    let &[first, second, ..] = columns else { return None };
    let (month, day) = pair(first, '-')?;
    let modified = match (Clock::read(second), year(second)) {
        (Some(clock), _) => latest(month, day, clock, now)?,
        (None, Some(year)) => stamp(Date::new(year, month, day).ok()?, None, None)?,
        (None, None) => return None,
    };
    Some(Found { modified, columns: 2, blanks: 1 })
}

/// `2003 9/23 17:45`, `2003 Sep 23 17:45`.
fn year_first(columns: &[&[u8]]) -> Option<Found> {
    let (first, rest) = columns.split_first()?;
    let year = year(first)?;
    let (month, day, used) = match rest.first().and_then(|c| pair(c, '/')) {
        Some((month, day)) => (month, day, 1),
        None => named_day(rest).map(|(month, day, used, _)| (month, day, used))?,
    };
    let clock = Clock::read(rest.get(used)?)?;
    let date = Date::new(year, month, day).ok()?;
    Some(Found { modified: stamp(date, Some(clock), None)?, columns: used + 2, blanks: 1 })
}

/// `Jan  5 12:34`, `Jan  5  2020`, `Jan  5 12:34:56 2020`, `Jan 05, 2020 12:34`, with the day before the month too.
fn named(columns: &[&[u8]], now: Timestamp) -> Option<Found> {
    let (month, day, used, comma) = named_day(columns)?;
    let rest = columns.get(used..)?;
    let (first, second) = (rest.first()?, rest.get(1));
    let on = |year: i16| Date::new(year, month, day).ok();
    // A name may follow that looks like a year or a time: one is only taken where a server that writes it would.
    let (modified, more) = match (Clock::read(first), year(first)) {
        (Some(clock), _) => match second.filter(|_| clock.exact).and_then(|c| year(c)) {
            Some(year) => (stamp(on(year)?, Some(clock), None)?, 2),
            None => (latest(month, day, clock, now)?, 1),
        },
        (None, Some(year)) => match second.filter(|_| comma).and_then(|c| Clock::read(c)) {
            Some(clock) => (stamp(on(year)?, Some(clock), None)?, 2),
            None => (stamp(on(year)?, None, None)?, 1),
        },
        (None, None) => return None,
    };
    Some(Found { modified, columns: used + more, blanks: 1 })
}

/// A month by name and a day: both, how many columns they take, and whether a comma ends them.
fn named_day(columns: &[&[u8]]) -> Option<(i8, i8, usize, bool)> {
    let (first, rest) = columns.split_first()?;
    if let Some((month, day)) = joined_day(first) {
        return Some((month, day, 1, false));
    }
    let second = rest.first()?;
    let comma = first.ends_with(b",") || second.ends_with(b",");
    match (month(first), day(second)) {
        (Some(month), Some(day)) => Some((month, day, 2, comma)),
        _ => Some((month(second)?, day(first)?, 2, comma)),
    }
}

/// A date that is one column: `2005-06-07`, `04-27-00` (the American order, unless its first number can be no month),
/// `27.04.2000`, `27-Apr-2000`. Years of two digits are those from 1970 to 2069.
pub(super) fn numeric_date(column: &[u8]) -> Option<Date> {
    let text = std::str::from_utf8(column).ok()?;
    let mark = text.chars().find(|c| matches!(c, '-' | '/' | '.'))?;
    let mut parts = text.split(mark);
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let named = month(b.as_bytes());
    let two = |text| number(text, 2);
    let (year, month, day) = if a.len() == 4 {
        (number(a, 4)?, named.or_else(|| two(b)?.try_into().ok())?, two(c)?)
    } else {
        let year = match c.len() {
            2 => two(c).map(|y| if y < 70 { 2000 + y } else { 1900 + y })?,
            4 => number(c, 4)?,
            _ => return None,
        };
        let (first, second) = (two(a)?, named.map_or_else(|| two(b), |month| Some(i16::from(month)))?);
        let day_first = named.is_some() || mark == '.' || first > 12;
        let (month, day) = if day_first { (second, first) } else { (first, second) };
        (year, i8::try_from(month).ok()?, day)
    };
    Date::new(year, month, i8::try_from(day).ok()?).ok()
}

/// A date and time as a stamp. Without an offset it is in the server's own zone, which is not known, and is read as UTC.
pub(super) fn stamp(date: Date, clock: Option<Clock>, offset: Option<SignedDuration>) -> Option<Modified> {
    let (date, time, precision) = match clock {
        None => (date, Time::midnight(), Precision::Day),
        Some(clock) => {
            let date = if clock.hour == 24 { date.tomorrow().ok()? } else { date };
            let time = Time::new(clock.hour % 24, clock.minute, clock.second, 0).ok()?;
            (date, time, if clock.exact { Precision::Second } else { Precision::Minute })
        }
    };
    let at = Offset::UTC.to_timestamp(date.to_datetime(time)).ok()?;
    let at = at.checked_sub(offset.unwrap_or_default()).ok()?;
    Some(Modified { at, precision, utc: offset.is_some() })
}

/// The last such date that is not more than a day after `now`. Nine years always hold a 29th of February.
fn latest(month: i8, day: i8, clock: Clock, now: Timestamp) -> Option<Modified> {
    let limit = now.checked_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX);
    let next = Offset::UTC.to_datetime(now).year().checked_add(1)?;
    (0..10)
        .filter_map(|back| Date::new(next.checked_sub(back)?, month, day).ok())
        .filter_map(|date| stamp(date, Some(clock), None))
        .find(|modified| modified.at <= limit)
}

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// 0 to 24; 24:00 is the end of the day.
    hour: i8,
    minute: i8,
    second: i8,
    /// Whether seconds were told.
    exact: bool,
}

impl Clock {
    /// Reads `21:07`, `9:07`, `21:07:03`, `21:07:03.5`, `24:00`, `09:07PM`, `9:07p`.
    pub(super) fn read(column: &[u8]) -> Option<Clock> {
        let text = std::str::from_utf8(column).ok()?;
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let half = text.strip_prefix(digits)?;
        let mut parts = digits.split(':');
        let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next());
        if parts.next().is_some() || minute.len() != 2 {
            return None;
        }
        let two = |text| number(text, 2).and_then(|n| i8::try_from(n).ok());
        let whole = match second {
            None => "0",
            Some(second) => {
                let (whole, fraction) = second.split_once('.').unwrap_or((second, ""));
                if whole.len() != 2 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                whole
            }
        };
        // A leap second has no place in our calendar: it is the second before it.
        let clock = Clock {
            hour: two(hour)?,
            minute: two(minute)?,
            second: two(whole).filter(|&s| s <= 60)?.min(59),
            exact: second.is_some(),
        };
        let in_a_day = clock.hour < 24 || (clock.hour, clock.minute, clock.second) == (24, 0, 0);
        let clock = Some(clock).filter(|clock| in_a_day && clock.minute < 60)?;
        if half.is_empty() { Some(clock) } else { clock.half(half.as_bytes()) }
    }

    /// This time with an `AM` or `PM` behind it; nothing where `column` is neither.
    pub(super) fn half(self, column: &[u8]) -> Option<Clock> {
        let hour = match column.to_ascii_lowercase().as_slice() {
            b"am" | b"a" if self.hour == 12 => 0,
            b"pm" | b"p" if self.hour < 12 => self.hour + 12,
            b"am" | b"a" | b"pm" | b"p" => self.hour,
            _ => return None,
        };
        Some(Clock { hour, ..self })
    }
}

/// `+0200`, `-05:30`.
fn offset(column: &[u8]) -> Option<SignedDuration> {
    let text = std::str::from_utf8(column).ok()?;
    let (ahead, digits) = match text.strip_prefix('+') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('-')?),
    };
    let digits = digits.replacen(':', "", 1);
    let n = if digits.len() == 4 { number(&digits, 4)? } else { return None };
    let minutes = i64::from(n / 100 * 60 + n % 100);
    Some(SignedDuration::from_mins(if ahead { minutes } else { -minutes }))
}

/// `9/23`: a month and a day.
fn pair(column: &[u8], mark: char) -> Option<(i8, i8)> {
    let (month, day) = std::str::from_utf8(column).ok()?.split_once(mark)?;
    let two = |text| number(text, 2).and_then(|n| i8::try_from(n).ok());
    Some((two(month).filter(|m| (1..=12).contains(m))?, two(day).filter(|d| (1..=31).contains(d))?))
}

/// `2020`, `2020年`.
fn year(column: &[u8]) -> Option<i16> {
    let text = std::str::from_utf8(column).ok()?;
    let text = text.strip_suffix(['年', '년']).unwrap_or(text);
    (text.len() == 4).then(|| number(text, 4)).flatten()
}

/// `5`, `05,`, `5.`, `5日`.
fn day(column: &[u8]) -> Option<i8> {
    let text = std::str::from_utf8(column).ok()?;
    let text = text.trim_end_matches(['.', ',', '日', '일']);
    number(text, 2).and_then(|n| i8::try_from(n).ok()).filter(|d| (1..=31).contains(d))
}

/// `12月31日`.
fn joined_day(column: &[u8]) -> Option<(i8, i8)> {
    let (month, rest) = std::str::from_utf8(column).ok()?.split_once(['月', '월'])?;
    let month = number(month, 2).and_then(|n| i8::try_from(n).ok()).filter(|m| (1..=12).contains(m))?;
    Some((month, day(rest.as_bytes())?))
}

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
    "jul july juli juil juillet julio júl lug luglio iul čec lip tem temmuz heinä июл июль лип ιουλ ιούλ",
    "aug august aoû août ago agosto ag srp sie ağu ağustos elo авг сер αυγ αύγ",
    "sep sept september septembre set settembre setembro szept zář wrz eyl eylül syys сен сент вер σεπ",
    "oct october octobre okt oktober ott ottobre out outubro říj paź eki ekim loka окт жов οκτ",
    "nov november novembre noviembre lis kas kasım marras ноя нояб лис νοε νοέ",
    "dec december déc décembre dez dezember des desember dic dicembre diciembre pro gru ara aralık joulu дек гру δεκ",
];

/// A month by its name, or as `12月`. What is not UTF-8 is taken for Latin-1.
fn month(column: &[u8]) -> Option<i8> {
    let end = column.iter().rposition(|b| !matches!(b, b'.' | b',')).map(|at| at + 1)?;
    let name = column.get(..end).filter(|name| name.len() <= 24)?;
    let found = ENGLISH.iter().position(|english| name.eq_ignore_ascii_case(*english));
    let found = found.or_else(|| {
        let text = match std::str::from_utf8(name) {
            Ok(text) => text.to_lowercase(),
            Err(_) => name.iter().map(|&b| char::from(b)).collect::<String>().to_lowercase(),
        };
        let numbered = text.strip_suffix(['月', '월']).and_then(|n| number(n, 2)).and_then(|n| usize::try_from(n).ok());
        match numbered {
            Some(n) => n.checked_sub(1).filter(|&n| n < 12),
            None => MONTHS.iter().position(|names| names.split(' ').any(|name| name == text)),
        }
    });
    i8::try_from(found? + 1).ok()
}

/// A number of one to `most` digits, and nothing else.
fn number(text: &str, most: usize) -> Option<i16> {
    let digits = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A date as `time precision zone columns`, with the zone empty where it is not known.
    fn show(text: &str, now: &str) -> Option<String> {
        let columns: Vec<&[u8]> = text.split(' ').filter(|c| !c.is_empty()).map(str::as_bytes).collect();
        let found = read(&columns, now.parse().unwrap())?;
        let zone = if found.modified.utc { " UTC" } else { "" };
        Some(format!("{} {:?}{zone} {}", found.modified.at, found.modified.precision, found.columns))
    }

    #[test]
    fn dates_in_every_form() {
        for (text, want) in [
            ("Jan  5 12:34 x", "2005-01-05T12:34:00Z Minute 3"),
            ("Jan  5  2001 x", "2001-01-05T00:00:00Z Day 3"),
            ("Jan  5 2001 12:34 x", "2001-01-05T00:00:00Z Day 3"),
            ("Jan  5 12:34 2001", "2005-01-05T12:34:00Z Minute 3"),
            ("Jan  5 12:34:56 2001 x", "2001-01-05T12:34:56Z Second 4"),
            ("Jan 05, 2001 2:34 x", "2001-01-05T02:34:00Z Minute 4"),
            ("Jan  5 24:00 x", "2005-01-06T00:00:00Z Minute 3"),
            ("Dec 31 24:00 x", "2005-01-01T00:00:00Z Minute 3"),
            ("Jan  5 03:47PM x", "2005-01-05T15:47:00Z Minute 3"),
            ("5 Jan 12:34 x", "2005-01-05T12:34:00Z Minute 3"),
            ("26. Juli, 20:10 x", "2004-07-26T20:10:00Z Minute 3"),
            ("01-Oct-2004 12:34 x", "2004-10-01T12:34:00Z Minute 2"),
            ("2004-06-07 21:22 x", "2004-06-07T21:22:00Z Minute 2"),
            ("2004-06-07 21:22:03 x", "2004-06-07T21:22:03Z Second 2"),
            ("2004-06-07 21:22:03.123456789 +0200 x", "2004-06-07T19:22:03Z Second UTC 3"),
            ("2004-06-07 21:22:03 -05:30 x", "2004-06-08T02:52:03Z Second UTC 3"),
            ("2004-06-07 21:22 +0200 x", "2004-06-07T21:22:00Z Minute 2"),
            ("2004-06-07 x", "2004-06-07T00:00:00Z Day 1"),
            ("2004/06/07 21:22 x", "2004-06-07T21:22:00Z Minute 2"),
            ("27.04.2000 21:22 x", "2000-04-27T21:22:00Z Minute 2"),
            ("09-26 2000 x", "2000-09-26T00:00:00Z Day 2"),
            ("09-26 13:45 x", "2004-09-26T13:45:00Z Minute 2"),
            ("2003 9/23 17:45 x", "2003-09-23T17:45:00Z Minute 3"),
            ("2003 Sep 23 17:45 x", "2003-09-23T17:45:00Z Minute 4"),
            ("2003年 9月 23日 17:45 x", "2003-09-23T17:45:00Z Minute 4"),
            ("9月 23 17:45 x", "2004-09-23T17:45:00Z Minute 3"),
            ("12月31日 17:45 x", "2004-12-31T17:45:00Z Minute 2"),
            ("3월  8일 2003 x", "2003-03-08T00:00:00Z Day 3"),
            ("28 févr. 2004 x", "2004-02-28T00:00:00Z Day 3"),
            ("Μαρ 8 2003 x", "2003-03-08T00:00:00Z Day 3"),
        ] {
            assert_eq!(show(text, "2005-05-02T21:07:00Z").as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "Jan",
            "Jan 5",
            "Jan 32 12:34",
            "Feb 30 2004",
            "Foo 5 12:34",
            "Jan 5 25:00",
            "Jan 5 24:01",
            "Jan 5 12:60",
            "Jan 5 1:5",
            "Jan 5 123",
            "13-13 2000",
            "2004-13-01",
            "13月 5 12:34",
            "0月 5 12:34",
            "9/23 17:45",
            "1.2",
            "1.2.3.4",
        ] {
            assert_eq!(show(text, "2005-05-02T21:07:00Z"), None, "{text}");
        }
    }

    #[test]
    fn a_missing_year_is_the_last_that_is_not_in_the_future() {
        for (text, now, want) in [
            ("May  3 21:07", "2005-05-02T21:07:00Z", "2005-05-03"),
            ("May  3 21:08", "2005-05-02T21:07:00Z", "2004-05-03"),
            ("Jan  1 00:30", "2005-12-31T23:00:00Z", "2006-01-01"),
            ("Dec 31 23:59", "2006-01-01T00:00:00Z", "2005-12-31"),
            ("Feb 29 12:00", "2004-03-01T00:00:00Z", "2004-02-29"),
            ("Feb 29 12:00", "2005-03-01T00:00:00Z", "2004-02-29"),
            ("Feb 29 12:00", "1904-02-01T00:00:00Z", "1896-02-29"),
        ] {
            assert!(show(text, now).unwrap().starts_with(want), "{text} at {now}");
        }
        assert!(read(&[b"Jan", b"5", b"12:34"], Timestamp::MAX).is_some());
        assert_eq!(read(&[b"Jan", b"5", b"12:34"], Timestamp::MIN), None);
    }

    #[test]
    fn halves_of_the_day() {
        let hour = |text: &str| Clock::read(text.as_bytes()).map(|c| c.hour);
        assert_eq!(["12:00AM", "12:00PM", "1:00a", "11:59p", "13:00PM"].map(hour), [0, 12, 1, 23, 13].map(Some));
        assert_eq!(hour("12:00XM"), None);
    }

    #[test]
    fn months_of_many_languages() {
        for (text, want) in [("mär", 3), ("MÄR.", 3), ("août", 8), ("Şub", 2), ("ИЮН", 6), ("zář", 9), ("Dez", 12)]
        {
            assert_eq!(month(text.as_bytes()), Some(want), "{text}");
        }
        assert_eq!(month(b"M\xe4r"), Some(3));
        assert_eq!(month(b"d\xe9c."), Some(12));
        for none in ["", ".", "x", "ma", "januaryjanuaryjanuaryjanuary"] {
            assert_eq!(month(none.as_bytes()), None, "{none}");
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
        fn no_columns_panic(columns: Vec<Vec<u8>>, secs in -100_000_000_000i64..200_000_000_000) {
            let columns: Vec<&[u8]> = columns.iter().map(Vec::as_slice).collect();
            let _ = read(&columns, Timestamp::from_second(secs).unwrap());
        }

        #[test]
        fn nothing_like_a_date_panics(text in "[0-9:./, 月日-]{0,16}|(Jan|feb|5|31|29) (Feb|5|31|29)[.,]? [0-9:]{1,8}[ap]?m?") {
            let columns: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
            let _ = read(&columns, Timestamp::UNIX_EPOCH);
        }
    }
}
