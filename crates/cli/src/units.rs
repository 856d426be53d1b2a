//! Durations, sizes and permission bits as people write them, `30s`, `1h30m`, `10MiB`, `022`, and as they read them,
//! `1.7 KiB`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// Reads a duration: one number and unit after the other, of `ms`, `s`, `m` (or `min`), `h` and `d`. A number alone is
/// seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration: write a number and a unit, such as 500ms, 30s, 5m or 1h30m");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    if let Ok(seconds) = rest.parse::<u32>() {
        return Ok(Duration::from_secs(seconds.into()));
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, tail) = split_unit(rest);
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let seconds = match unit {
            "ms" => 0.001,
            "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return Err(wrong()),
        };
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = tail.trim_start();
    }
    Ok(total)
}

/// A number of bytes as people write it: `500`, `64KiB`, `1.5 GB`. It is written again as it was meant, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

const UNITS: [(&str, u64); 6] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("PiB", 1 << 50)];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let wrong = || format!("`{text}` is no size: write a number and a unit, such as 500, 64KiB, 10MB or 1.5GiB");
        let (number, unit) = split_unit(text.trim());
        let decimal =
            [("kB", 1_000), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)];
        let known = UNITS.iter().chain(&decimal).find(|(name, _)| *name == unit.trim()).map(|(_, factor)| *factor);
        let factor = if unit.is_empty() { 1 } else { known.ok_or_else(wrong)? };
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(factor).map(Size).ok_or_else(wrong);
        }
        let bytes = number.parse::<f64>().map_err(|_| wrong())? * factor as f64;
        // Beyond that a float knows no single bytes.
        if bytes.is_finite() && bytes < 9e15 { Ok(Size(bytes as u64)) } else { Err(wrong()) }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().rev().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        match whole {
            Some((unit, factor)) if *factor > 1 => write!(f, "{}{unit}", self.0 / factor),
            _ => write!(f, "{}", self.0),
        }
    }
}

/// A size as people read it: `1.2 MiB`; below 1024 bytes the bytes themselves.
pub(crate) fn show_size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

/// A duration as people read it, in its two largest units: `1h 2m`, `3m 4s`, `5s`.
pub(crate) fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [("d", seconds / 86400), ("h", seconds / 3600 % 24), ("m", seconds / 60 % 60), ("s", seconds % 60)];
    let first = units.iter().position(|(_, n)| *n > 0).unwrap_or(3);
    let shown: Vec<String> = units.iter().skip(first).take(2).map(|(unit, n)| format!("{n}{unit}")).collect();
    shown.join(" ")
}

/// A duration in a configuration file: in words, or a whole number of seconds.
pub(crate) fn deserialize_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Seconds(u32),
        Words(String),
    }
    match Written::deserialize(from)? {
        Written::Seconds(n) => Ok(Duration::from_secs(n.into())),
        Written::Words(text) => parse_duration(&text).map_err(serde::de::Error::custom),
    }
}

/// A size in a configuration file: in words, or a whole number of bytes.
pub(crate) fn deserialize_size<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Bytes(u64),
        Words(String),
    }
    match Written::deserialize(from)? {
        Written::Bytes(n) => Ok(n),
        Written::Words(text) => text.parse::<Size>().map(|size| size.0).map_err(serde::de::Error::custom),
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// Permission bits, as an octal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Umask(pub(crate) u32);

impl FromStr for Umask {
    type Err = String;

    fn from_str(text: &str) -> Result<Umask, String> {
        let bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o777);
        let bits = bits.ok_or_else(|| format!("`{text}` is no umask: write an octal number, such as 022"))?;
        // The server could neither read what it has stored nor go on with it, nor enter directories that it has made.
        match bits & 0o700 {
            0 => Ok(Umask(bits)),
            _ => Err(format!("`{text}` keeps files from the server itself, their owner: write 0 first, such as 077")),
        }
    }
}

impl fmt::Display for Umask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03o}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in
            [("30", 30_000), ("30s", 30_000), ("1h30m", 5_400_000), ("500ms", 500), ("0.5 s", 500), ("1m 1s", 61_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1s", "1y", "1 parsec"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_as_people_write_them() {
        for (text, bytes, again) in [
            ("0", 0, "0"),
            ("500", 500, "500"),
            ("64KiB", 65_536, "64KiB"),
            ("1.5 GiB", 3 << 29, "1536MiB"),
            ("10 MB", 10_000_000, "10000000"),
            ("2048 B", 2048, "2KiB"),
        ] {
            assert_eq!(
                text.parse::<Size>().map(|size| (size.0, size.to_string())),
                Ok((bytes, again.into())),
                "{text}"
            );
            assert_eq!(again.parse(), Ok(Size(bytes)));
        }
        for text in ["", "KiB", "-1", "1 parsec", "99999999999PiB", "1e400", "1.5.2"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn durations_as_people_read_them() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (60, "1m 0s"), (3725, "1h 2m"), (200_000, "2d 7h")] {
            assert_eq!(show_duration(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn sizes_as_people_read_them() {
        assert_eq!(show_size(1023), "1023 B");
        assert_eq!(show_size(1715), "1.7 KiB");
        assert_eq!(show_size(u64::MAX), "16384.0 PiB");
    }

    #[test]
    fn masks_of_permission_bits() {
        assert!("22x".parse::<Umask>().is_err() && "7777".parse::<Umask>().is_err());
        assert!(["777", "400", "200", "100"].iter().all(|text| text.parse::<Umask>().is_err()));
        assert_eq!("22".parse::<Umask>().unwrap().to_string(), "022");
    }
}
