//! Dates as `ls` and its imitations write them: with or without a year, by name or number, in the languages that servers
//! speak.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::clock::Clock;
use super::date::{latest, stamp};
use super::line::Context;
use super::month::{month, number, small, unit};
use crate::listing::Modified;

/// A date that [`read`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The date.
    pub(super) modified: Modified,
    /// How many columns it takes.
    pub(super) columns: usize,
    /// How many blanks part it from the name.
    pub(super) blanks: usize,
    /// Whether its last column is a year.
    pub(super) ends_with_year: bool,
}

impl Found {
    fn new(modified: Option<Modified>, columns: usize) -> Option<Found> {
        Some(Found { modified: modified?, columns, blanks: 1, ends_with_year: false })
    }
}

/// Reads a date at the start of `columns`. Where it has no year it is the last one that is not more than a day after
/// now.
pub(super) fn read(columns: &[&[u8]], context: &mut Context) -> Option<Found> {
    let now = context.now;
    numeric(columns, context)
        .or_else(|| month_and_day(columns, now))
        .or_else(|| year_first(columns))
        .or_else(|| named(columns, now))
        .or_else(|| two_numbers(columns, now))
}

/// `2005-06-07 21:22`, `2005-06-07 21:22:03.123456789 +0200`, `2005-06-07`, and other orders and marks.
fn numeric(columns: &[&[u8]], context: &mut Context) -> Option<Found> {
    let (first, rest) = columns.split_first()?;
    let date = context.orders.read(first)?;
    let Some(clock) = rest.first().and_then(|c| Clock::read(c)) else {
        // `ls --time-style=iso` fills up such a date with a blank, to the width of `06-07 21:22`; others to that of
        // `Jun  7 21:22`.
        let blanks = if first.contains(&b'.') { 3 } else { 2 };
        return Some(Found { blanks, ..Found::new(stamp(date, None, None), 1)? });
    };
    let offset = rest.get(1).filter(|_| clock.exact).and_then(|c| offset(c));
    Found::new(stamp(date, Some(clock), offset), if offset.is_some() { 3 } else { 2 })
}

/// `09-26 13:45`, `09-26 2000`.
fn month_and_day(columns: &[&[u8]], now: Timestamp) -> Option<Found> {
    let &[first, second, ..] = columns else { return None };
    let (month, day) = pair(first, '-')?;
    match (Clock::read(second), year(second)) {
        (Some(clock), _) => Found::new(latest(month, day, clock, now), 2),
        (None, Some(year)) => Found::new(stamp(Date::new(year, month, day).ok()?, None, None), 2),
        (None, None) => None,
    }
}

/// `2003 9/23 17:45`, `2003 Sep 23 17:45`, `2003年 9月 23日`.
fn year_first(columns: &[&[u8]]) -> Option<Found> {
    let (first, rest) = columns.split_first()?;
    let year = year(first)?;
    let (month, day, used, is_unit) = match rest.first().and_then(|c| pair(c, '/')) {
        Some((month, day)) => (month, day, 1, false),
        None => {
            let (month, day, used, _) = named_day(rest)?;
            (month, day, used, rest.first().is_some_and(|c| unit(c).is_some()))
        }
    };
    let date = Date::new(year, month, day).ok()?;
    match rest.get(used).and_then(|c| Clock::read(c)) {
        Some(clock) => Found::new(stamp(date, Some(clock), None), used + 2),
        // Where a name may be a time of day, only units tell that the year belongs to the date.
        None if is_unit => Found::new(stamp(date, None, None), used + 1),
        None => None,
    }
}

/// `Jan  5 12:34`, `Jan  5  2020`, `Jan  5 12:34:56 2020`, `Jan 05, 2020 12:34`, with the day before the month too.
fn named(columns: &[&[u8]], now: Timestamp) -> Option<Found> {
    let (month, day, used, comma) = named_day(columns)?;
    let rest = columns.get(used..)?;
    let (first, second) = (rest.first()?, rest.get(1));
    let on = |year: i16| Date::new(year, month, day).ok();
    // A name may follow that looks like a year or a time: one is only taken where a server that writes it would.
    match (Clock::read(first), year(first)) {
        (Some(clock), _) => match second.filter(|_| clock.exact).and_then(|c| year(c)) {
            Some(year) => Found::new(stamp(on(year)?, Some(clock), None), used + 2),
            None => Found::new(latest(month, day, clock, now), used + 1),
        },
        (None, Some(year)) => match second.filter(|_| comma).and_then(|c| Clock::read(c)) {
            Some(clock) => Found::new(stamp(on(year)?, Some(clock), None), used + 2),
            None => {
                let found = Found::new(stamp(on(year)?, None, None), used + 1)?;
                Some(Found { ends_with_year: true, ..found })
            }
        },
        (None, None) => None,
    }
}

/// `3 29 03:26`: a month and a day, both as bare numbers.
fn two_numbers(columns: &[&[u8]], now: Timestamp) -> Option<Found> {
    let &[first, second, third, ..] = columns else { return None };
    let small = |column: &[u8]| small(std::str::from_utf8(column).ok()?);
    let (month, day) = (small(first)?, small(second)?);
    Found::new(latest(month, day, Clock::read(third)?, now), 3)
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
    Some((small(month).filter(|m| (1..=12).contains(m))?, small(day).filter(|d| (1..=31).contains(d))?))
}

/// `2020`, `2020年`.
fn year(column: &[u8]) -> Option<i16> {
    let plain = std::str::from_utf8(column).ok().filter(|text| text.len() == 4).and_then(|text| number(text, 4));
    plain.or_else(|| unit(column).filter(|year| *year >= 1000))
}

/// `5`, `05,`, `5.`, `5日`.
fn day(column: &[u8]) -> Option<i8> {
    let end = column.iter().rposition(|b| !matches!(b, b'.' | b',')).map(|at| at + 1)?;
    let column = column.get(..end)?;
    let plain = std::str::from_utf8(column).ok().and_then(small);
    plain.or_else(|| i8::try_from(unit(column)?).ok()).filter(|d| (1..=31).contains(d))
}

/// `12月31日`.
fn joined_day(column: &[u8]) -> Option<(i8, i8)> {
    let (month, rest) = std::str::from_utf8(column).ok()?.split_once(['月', '월'])?;
    Some((small(month).filter(|m| (1..=12).contains(m))?, day(rest.as_bytes())?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::listing::read::date::Orders;

    fn context(now: Timestamp) -> Context {
        Context { now, orders: Orders::ALL, is_first: false }
    }

    /// A date as `time precision zone columns`, with the zone empty where it is not known.
    fn show(text: &str, now: &str) -> Option<String> {
        let columns: Vec<&[u8]> = text.split(' ').filter(|c| !c.is_empty()).map(str::as_bytes).collect();
        let found = read(&columns, &mut context(now.parse().unwrap()))?;
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
            ("2005년  1월  6일 x", "2005-01-06T00:00:00Z Day 3"),
            ("3 29 03:26 x", "2005-03-29T03:26:00Z Minute 3"),
            ("24-04-2003 17:12 x", "2003-04-24T17:12:00Z Minute 2"),
            ("2004.07.15 x", "2004-07-15T00:00:00Z Day 1"),
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
        let new_year = |now| read(&[b"Jan", b"5", b"12:34"], &mut context(now));
        assert!(new_year(Timestamp::MAX).is_some());
        assert_eq!(new_year(Timestamp::MIN), None);
    }

    proptest! {
        #[test]
        fn no_columns_panic(columns: Vec<Vec<u8>>, secs in -100_000_000_000i64..200_000_000_000) {
            let columns: Vec<&[u8]> = columns.iter().map(Vec::as_slice).collect();
            let _ = read(&columns, &mut context(Timestamp::from_second(secs).unwrap()));
        }

        #[test]
        fn nothing_like_a_date_panics(text in "[0-9:./, 月日-]{0,16}|(Jan|feb|5|31|29) (Feb|5|31|29)[.,]? [0-9:]{1,8}[ap]?m?") {
            let columns: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
            let _ = read(&columns, &mut context(Timestamp::UNIX_EPOCH));
        }
    }
}
