//! The one place of colours: for light pages in the open, for dark ones behind a media query.

use crate::ladder::Tone;

/// All tones that rows have, in the order of the legend.
pub(in crate::render) const TONES: [Tone; 11] = [
    Tone::User,
    Tone::Command,
    Tone::Preliminary,
    Tone::Completion,
    Tone::Intermediate,
    Tone::Transient,
    Tone::Permanent,
    Tone::Dns,
    Tone::Data,
    Tone::Tcp,
    Tone::Quiet,
];

/// The class of a tone.
pub(in crate::render) const fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::User => "us",
        Tone::Command => "cm",
        Tone::Preliminary => "r1",
        Tone::Completion => "r2",
        Tone::Intermediate => "r3",
        Tone::Transient => "r4",
        Tone::Permanent => "r5",
        Tone::Dns => "dn",
        Tone::Data => "da",
        Tone::Tcp => "tc",
        Tone::Quiet => "qu",
    }
}

/// A tone's colour on light and on dark pages: contrast of text at least 4.5 to 1 on both, but for the quiet ones.
pub(in crate::render) const fn colours(tone: Tone) -> (&'static str, &'static str) {
    match tone {
        Tone::User => ("#3b4a9e", "#a5b4fc"),
        Tone::Command => ("#1f5fbf", "#79b0ff"),
        Tone::Preliminary => ("#5a6875", "#a3b1bf"),
        Tone::Completion => ("#1b7f4b", "#56d392"),
        Tone::Intermediate => ("#946000", "#e3b341"),
        Tone::Transient => ("#c2500a", "#ff9f5a"),
        Tone::Permanent => ("#c4232b", "#ff7b80"),
        Tone::Dns => ("#7a4fb5", "#c9a5ff"),
        Tone::Data => ("#0b7a7d", "#4fd1d3"),
        Tone::Tcp => ("#7b8a97", "#8593a1"),
        Tone::Quiet => ("#5b6b79", "#98a6b4"),
    }
}

/// A rule whose colours differ: selector, what is the same, light, dark.
const RULES: [(&str, &str, &str, &str); 17] = [
    (".pg", "", "fill:#ffffff;stroke:#e3e8ed", "fill:#0d1117;stroke:#252c35"),
    (".chip", "", "fill:#ffffff", "fill:#0d1117"),
    (".h1", "font-size:20px;font-weight:650", "fill:#14202b", "fill:#eef3f8"),
    (".sum", "font-size:12px", "fill:#33475b", "fill:#c3ced9"),
    (".sub", "font-size:12px", "fill:#5b6b79", "fill:#98a6b4"),
    (".gr", "", "fill:#f2f5f8", "fill:#161c24"),
    (".ho", "", "fill:#e2e9f0", "fill:#212a35"),
    (".hn", "font-size:11px;font-weight:600", "fill:#33475b", "fill:#c9d5e1"),
    (".ad", "font-size:9.5px", "fill:#6b7a88", "fill:#8c9aa8"),
    (".pt", "", "fill:#33475b", "fill:#3a4a5c"),
    (".pn", "font-size:11px;font-weight:600", "fill:#ffffff", "fill:#f0f5fa"),
    (".ba", "", "fill:#eef2f6", "fill:#1a212b"),
    (".bt", "font-size:12px;font-weight:600", "fill:#22384d", "fill:#dbe5ee"),
    (".ln", "stroke-width:1", "stroke:#d3dbe2", "stroke:#2a333e"),
    (".ld", "stroke-width:.8;stroke-dasharray:1 3", "stroke:#cdd6de", "stroke:#333e4a"),
    (".rm", "font-size:11px", "fill:#44535f", "fill:#b1bdc9"),
    (".tm", "font-size:10px;font-variant-numeric:tabular-nums", "fill:#768592", "fill:#7f8d9b"),
];

/// Rules of texts under arrows and of bars.
const MORE: [(&str, &str, &str, &str); 4] = [
    (
        ".pr",
        "font-size:10.5px;stroke-width:4px;paint-order:stroke;stroke-linejoin:round",
        "fill:#4d5d6b;stroke:#ffffff",
        "fill:#a3b1bf;stroke:#0d1117",
    ),
    (".bc", "stroke-width:.8", "fill:#dbe4ec;stroke:#b4c2cf", "fill:#2a3645;stroke:#43546a"),
    (".bd", "stroke-width:.8", "fill:#cfe9e9;stroke:#8fc7c8", "fill:#123a3c;stroke:#226466"),
    (".bn", "stroke-width:.8", "fill:#e6dcf5;stroke:#c3abe6", "fill:#2d2144;stroke:#54407c"),
];

/// The style sheet.
pub(super) fn sheet() -> String {
    let mut light = String::from(
        "text{font-family:Inter,\"Segoe UI\",\"Helvetica Neue\",\"DejaVu Sans\",Arial,sans-serif}\
         .a{fill:none;stroke-width:1.5}.a.tc{stroke-width:1}.a.da{stroke-width:3}.a.qu{stroke-width:1}\
         .inf{stroke-dasharray:4 3}.lb{font-size:11px;font-weight:600}.lb.tc{font-size:10px;font-weight:400}\
         .lb.qu{font-style:italic;font-weight:400}.m{text-anchor:middle}.e{text-anchor:end}\n",
    );
    let mut dark = String::new();
    for (selector, same, on_light, on_dark) in RULES.iter().chain(&MORE) {
        let part = if same.is_empty() { "" } else { ";" };
        light.push_str(&format!("{selector}{{{same}{part}{on_light}}}\n"));
        dark.push_str(&format!("{selector}{{{on_dark}}}\n"));
    }
    for tone in TONES {
        let (on_light, on_dark) = colours(tone);
        let class = class(tone);
        for (sheet, colour) in [(&mut light, on_light), (&mut dark, on_dark)] {
            sheet.push_str(&format!(".a.{class}{{stroke:{colour}}}.f.{class}{{fill:{colour}}}\n"));
        }
    }
    format!("{light}@media (prefers-color-scheme:dark){{\n{dark}}}\n")
}
