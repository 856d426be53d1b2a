//! `YYYYMMDDHHMMSS[.fraction]`, in UTC: the time of MDTM, MFMT and MLSx (RFC 3659 section 2.3).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Reads a time-val. A fraction of any length is taken, beyond nanoseconds cut off; a leap second (60) is taken as 59.
/// The form `19100...` that servers with a broken calendar send for 2000 is read as 2000.
pub fn parse(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match whole.len() {
        14 => whole.split_at_checked(4).map(|(y, rest)| (y.parse::<i16>().ok(), rest))?,
        15 if whole.starts_with("191") => whole
            .split_at_checked(5)
            .map(|(y, rest)| (y.get(2..).and_then(|y| y.parse::<i16>().ok()).map(|y| 1900 + y), rest))?,
        _ => return None,
    };
    let two = |at: usize| rest.get(at..at + 2).and_then(|d| d.parse::<i8>().ok());
    let second = two(8)?;
    if second > 60 {
        return None;
    }
    let nanos: i32 = format!("{fraction:0<9.9}").parse().ok()?;
    let civil = DateTime::new(year?, two(0)?, two(2)?, two(4)?, two(6)?, second.min(59), nanos).ok()?;
    Offset::UTC.to_timestamp(civil).ok()
}

/// Writes a time-val with whole seconds.
pub fn write(at: Timestamp) -> String {
    let t = Offset::UTC.to_datetime(at);
    format!("{:04}{:02}{:02}{:02}{:02}{:02}", t.year(), t.month(), t.day(), t.hour(), t.minute(), t.second())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_writes() {
        let at = parse(b"20050502210700").unwrap();
        assert_eq!(at.to_string(), "2005-05-02T21:07:00Z");
        assert_eq!(write(at), "20050502210700");
        assert_eq!(parse(b"20050502210700.5").unwrap().subsec_millisecond(), 500);
        assert_eq!(parse(b"191000502210700").unwrap().to_string(), "2000-05-02T21:07:00Z");
        assert_eq!(parse(b"20161231235960").unwrap().to_string(), "2016-12-31T23:59:59Z");
    }

    #[test]
    fn refuses_what_is_no_time() {
        for bad in [
            "",
            "2005",
            "20051302210700",
            "20050532210700",
            "20050502250700",
            "2005050221070x",
            "-0050502210700",
            "20050502210700.x",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn written_times_read_back(secs in 0i64..250_000_000_000) {
            let at = Timestamp::from_second(secs).unwrap();
            prop_assert_eq!(parse(write(at).as_bytes()), Some(at));
        }
    }
}
