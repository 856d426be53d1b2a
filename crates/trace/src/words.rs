//! Numbers, times and foreign text as a person reads them.

use std::time::Duration;

use port21_proto::text::Shown;

/// Text of a peer, safe to show: see [`Shown`].
pub(crate) fn shown(bytes: &[u8]) -> String {
    Shown(bytes).to_string()
}

/// `12,345,678`.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
}

/// `1 byte`, `1,715 bytes`.
pub fn bytes(n: u64) -> String {
    counted(n, "byte", "bytes")
}

/// `1 file`, `12 files`.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(n), if n == 1 { one } else { many })
}

/// A length of time with two or three digits that matter: `0.3 ms`, `45 ms`, `1.2 s`, `30.0 s`, `2 min 05 s`.
pub fn duration(d: Duration) -> String {
    let micros = d.as_nanos() / 1000;
    match micros {
        0..100 => format!("{micros} µs"),
        100..9_950 => format!("{}.{} ms", (micros + 50) / 1000, (micros + 50) % 1000 / 100),
        9_950..999_500 => format!("{} ms", (micros + 500) / 1000),
        999_500..99_950_000 => {
            format!("{}.{} s", (micros + 50_000) / 1_000_000, (micros + 50_000) % 1_000_000 / 100_000)
        }
        _ => {
            let seconds = (micros + 500_000) / 1_000_000;
            let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            if hours > 0 { format!("{hours} h {minutes:02} min") } else { format!("{minutes} min {seconds:02} s") }
        }
    }
}

/// `775 kB/s`; nothing where the run is too short for a rate to say anything.
pub(crate) fn rate(bytes: u64, took: Duration) -> Option<String> {
    if bytes < 64 * 1024 || took < Duration::from_millis(10) {
        return None;
    }
    let per_second = u128::from(bytes) * 1_000_000_000 / took.as_nanos().max(1);
    Some(match per_second {
        0..1_000 => format!("{per_second} B/s"),
        1_000..1_000_000 => format!("{} kB/s", per_second / 1_000),
        1_000_000..1_000_000_000 => format!("{}.{} MB/s", per_second / 1_000_000, per_second / 100_000 % 10),
        _ => format!("{}.{:02} GB/s", per_second / 1_000_000_000, per_second / 10_000_000 % 100),
    })
}

/// The text, or its first `max - 1` characters and `…`.
pub(crate) fn clip(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(bytes(1), "1 byte");
        for (micros, text) in [
            (3, "3 µs"),
            (300, "0.3 ms"),
            (9_949, "9.9 ms"),
            (9_950, "10 ms"),
            (45_200, "45 ms"),
            (1_234_567, "1.2 s"),
            (30_000_000, "30.0 s"),
            (125_000_000, "2 min 05 s"),
            (3_720_000_000, "1 h 02 min"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
        assert_eq!(rate(1715, Duration::from_millis(300)), None);
        assert_eq!(rate(240_112, Duration::from_millis(310)).as_deref(), Some("774 kB/s"));
    }

    #[test]
    fn text() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("abcd", 3), "ab…");
        assert_eq!(listed(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }
}
