//! Dates of numbers that are one column, and stamps.

use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::clock::Clock;
use super::month::{month, number, small};
use crate::listing::{Modified, Precision};

/// An order of day, month and year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// As in the United States.
    MonthDayYear,
    DayMonthYear,
    YearMonthDay,
}

/// The orders that a listing may write its dates in: a server has one, and the dates that have been read rule out others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Orders(u8);

impl Orders {
    /// Nothing is known yet.
    pub(super) const ALL: Orders = Orders(0b111);

    /// Reads `2005-06-07`, `04-27-00`, `27.04.2000`, `27-Apr-2000`, `04/27/103`. Years of two digits are those from 1970 to
    /// 2069; those of three count from 1900, as servers write them that were not ready for 2000.
    ///
    /// Where more than one order is left it is the German one between points, else the American one.
    pub(super) fn read(&mut self, column: &[u8]) -> Option<Date> {
        let parts = Parts::of(column)?;
        let preferred = if parts.mark == '.' {
            [Order::DayMonthYear, Order::YearMonthDay, Order::MonthDayYear]
        } else {
            [Order::MonthDayYear, Order::DayMonthYear, Order::YearMonthDay]
        };
        let fit = preferred.map(|order| parts.date(order).map(|date| (order, date)));
        let left = fit.iter().flatten().filter(|(order, _)| self.0 & bit(*order) != 0);
        if let Some(&(_, date)) = left.clone().next() {
            // A month by its name or a year of four digits says nothing of the others.
            if parts.tells_order {
                self.0 = left.fold(0, |orders, (order, _)| orders | bit(*order));
            }
            return Some(date);
        }
        // Those before it were in an order that this one cannot be in. What it says itself is sure.
        let &(order, date) = fit.iter().flatten().next()?;
        self.0 = bit(order);
        Some(date)
    }
}

const fn bit(order: Order) -> u8 {
    1 << order as u8
}

/// A date in the one order that its dialect always has.
pub(super) fn in_order(column: &[u8], order: Order) -> Option<Date> {
    Parts::of(column)?.date(order)
}

/// The three parts of a date.
struct Parts<'a> {
    texts: [&'a str; 3],
    mark: char,
    tells_order: bool,
}

impl<'a> Parts<'a> {
    fn of(column: &'a [u8]) -> Option<Parts<'a>> {
        let text = std::str::from_utf8(column).ok()?;
        let mark = text.chars().find(|c| matches!(c, '-' | '/' | '.'))?;
        let mut parts = text.split(mark);
        let texts = [parts.next()?, parts.next()?, parts.next()?];
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let tells_order = texts.iter().all(|text| is_number(text)) && texts.first().is_some_and(|t| t.len() <= 2);
        parts.next().is_none().then_some(Parts { texts, mark, tells_order })
    }

    fn date(&self, order: Order) -> Option<Date> {
        let [a, b, c] = self.texts;
        let named = |text: &str| month(text.as_bytes());
        let (year, month, day) = match order {
            Order::YearMonthDay => (first_year(a)?, small(b).or_else(|| named(b))?, small(c)?),
            Order::DayMonthYear => (last_year(c)?, small(b).or_else(|| named(b))?, small(a)?),
            Order::MonthDayYear => (last_year(c)?, small(a).or_else(|| named(a))?, small(b)?),
        };
        Date::new(year, month, day).ok()
    }
}

fn first_year(text: &str) -> Option<i16> {
    match text.len() {
        2 => last_year(text),
        4 => number(text, 4),
        _ => None,
    }
}

fn last_year(text: &str) -> Option<i16> {
    match text.len() {
        2 => number(text, 2).map(|y| if y < 70 { 2000 + y } else { 1900 + y }),
        // 2000 was the hundredth year for servers that know of 1900 alone.
        3 => number(text, 3).filter(|y| *y >= 70).map(|y| 1900 + y),
        4 => number(text, 4),
        _ => None,
    }
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
pub(super) fn latest(month: i8, day: i8, clock: Clock, now: Timestamp) -> Option<Modified> {
    let limit = now.checked_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX);
    let next = Offset::UTC.to_datetime(now).year().checked_add(1)?;
    (0..10)
        .filter_map(|back| Date::new(next.checked_sub(back)?, month, day).ok())
        .filter_map(|date| stamp(date, Some(clock), None))
        .find(|modified| modified.at <= limit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(columns: &[&str]) -> Vec<String> {
        let mut orders = Orders::ALL;
        columns.iter().map(|c| orders.read(c.as_bytes()).map_or("-".into(), |date| date.to_string())).collect()
    }

    #[test]
    fn dates_of_one_column() {
        for (text, want) in [
            ("2005-06-07", "2005-06-07"),
            ("2004/06/07", "2004-06-07"),
            ("2004.7.5", "2004-07-05"),
            ("04-27-00", "2000-04-27"),
            ("04-27-70", "1970-04-27"),
            ("27.04.2000", "2000-04-27"),
            ("03.04.05", "2005-04-03"),
            ("03/04/05", "2005-03-04"),
            ("98/04/27", "1998-04-27"),
            ("04-23-103", "2003-04-23"),
            ("27-Apr-2000", "2000-04-27"),
            ("27-avr.-2000", "2000-04-27"),
            ("Feb-28-1998", "1998-02-28"),
            ("13-13-13", "-"),
            ("2004-13-01", "-"),
            ("1.2", "-"),
            ("1.2.3.4", "-"),
            ("1-2-3", "-"),
            ("1-2-069", "-"),
            ("--", "-"),
        ] {
            assert_eq!(read(&[text]), [want], "{text}");
        }
    }

    #[test]
    fn a_listing_has_one_order() {
        assert_eq!(read(&["27/04/00", "03/04/00"]), ["2000-04-27", "2000-04-03"]);
        assert_eq!(read(&["04/27/00", "03/04/00"]), ["2000-04-27", "2000-03-04"]);
        assert_eq!(read(&["98/04/27", "01/02/03"]), ["1998-04-27", "2001-02-03"]);
        // What comes later rules out what was likely before.
        assert_eq!(read(&["03/04/00", "27/04/00", "03/04/00"]), ["2000-03-04", "2000-04-27", "2000-04-03"]);
        // Dates that tell nothing of the order change nothing.
        assert_eq!(read(&["2000-12-13", "27-Apr-2000", "03/04/00"])[2], "2000-03-04");
        assert_eq!(read(&["nonsense", "99-99-99", "03/04/00"])[2], "2000-03-04");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(columns: Vec<Vec<u8>>) {
            let mut orders = Orders::ALL;
            for column in columns {
                let _ = orders.read(&column);
            }
        }

        #[test]
        fn nothing_like_a_date_panics(text in "[0-9]{0,5}[-/.][0-9a-z月]{0,5}[-/.][0-9]{0,5}") {
            let mut orders = Orders::ALL;
            let _ = orders.read(text.as_bytes());
        }
    }
}
