//! Times of day as listings write them.

use super::month::small;

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// 0 to 24; 24:00 is the end of the day.
    pub(super) hour: i8,
    pub(super) minute: i8,
    pub(super) second: i8,
    /// Whether seconds were told.
    pub(super) exact: bool,
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
            hour: small(hour)?,
            minute: small(minute)?,
            second: small(whole).filter(|&s| s <= 60)?.min(59),
            exact: second.is_some(),
        };
        let in_a_day = clock.hour < 24 || (clock.hour, clock.minute, clock.second) == (24, 0, 0);
        let clock = Some(clock).filter(|clock| in_a_day && clock.minute < 60)?;
        if half.is_empty() { Some(clock) } else { clock.half(half.as_bytes()) }
    }

    /// This time with an `AM` or `PM` behind it; nothing where `column` is neither.
    pub(super) fn half(self, column: &[u8]) -> Option<Clock> {
        let hour = match column.to_ascii_lowercase().as_slice() {
            b"am" | b"a" | b"a.m." if self.hour == 12 => 0,
            b"pm" | b"p" | b"p.m." if self.hour < 12 => self.hour + 12,
            b"am" | b"a" | b"a.m." | b"pm" | b"p" | b"p.m." => self.hour,
            _ => return None,
        };
        Some(Clock { hour, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_the_day() {
        let hour = |text: &str| Clock::read(text.as_bytes()).map(|c| c.hour);
        assert_eq!(["12:00AM", "12:00PM", "1:00a", "11:59p", "13:00PM"].map(hour), [0, 12, 1, 23, 13].map(Some));
        assert_eq!(hour("12:00XM"), None);
        let noon = Clock::read(b"12:00").unwrap();
        assert_eq!(
            [noon.half(b"a.m."), noon.half(b"P.M."), noon.half(b"M")].map(|c| c.map(|c| c.hour)),
            [Some(0), Some(12), None]
        );
    }

    #[test]
    fn what_is_a_time_of_day() {
        for text in ["0:00", "24:00", "24:00:00", "23:59:60", "10:30:13.64"] {
            assert!(Clock::read(text.as_bytes()).is_some(), "{text}");
        }
        for text in ["", "12", "1:2", "24:01", "12:60", "1:00:00:00", "12:00:61", "12:00:1", "12:00:00.x", "-1:00"] {
            assert_eq!(Clock::read(text.as_bytes()), None, "{text}");
        }
    }
}
