//! The one place of colours, sizes and widths: for light pages, for dark ones, and for paper, which is light.

use super::measure::{BANNER, BODY, LABEL, PALE, REMARK, SMALL, TINY, TITLE, Type};
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
pub(in crate::render) const fn colours(tone: Tone) -> Pair {
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

/// A colour on light and on dark pages.
pub(in crate::render) type Pair = (&'static str, &'static str);

/// What something in the picture is, which says how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::render) enum Look {
    /// The page itself.
    Page,
    /// What covers a line behind words.
    Chip,
    /// The title.
    Title,
    /// The facts under it.
    Facts,
    /// The opening, the date.
    Faint,
    /// A group of hosts, a host, their names and addresses.
    Group,
    Host,
    HostName,
    Address,
    /// The head of a lane, and the port in it.
    Port,
    PortName,
    /// A section's banner, and its title.
    Banner,
    BannerTitle,
    /// A lane.
    Lane,
    /// A dotted line: from a row to its remark, across silence.
    Leader,
    /// A remark.
    Remark,
    /// A time.
    Time,
    /// A text under an arrow.
    Under,
    /// The bar of a connection: control, data, DNS.
    ControlBar,
    DataBar,
    DnsBar,
    /// Words on an arrow, or that matter as much.
    Label(Tone),
    /// The line of an arrow; dashed where it was not seen.
    Arrow(Tone, bool),
}

/// All looks but those that a tone gives its colour.
pub(in crate::render) const LOOKS: [Look; 21] = [
    Look::Page,
    Look::Chip,
    Look::Title,
    Look::Facts,
    Look::Faint,
    Look::Group,
    Look::Host,
    Look::HostName,
    Look::Address,
    Look::Port,
    Look::PortName,
    Look::Banner,
    Look::BannerTitle,
    Look::Lane,
    Look::Leader,
    Look::Remark,
    Look::Time,
    Look::Under,
    Look::ControlBar,
    Look::DataBar,
    Look::DnsBar,
];

/// How something looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::render) struct Style {
    /// The class that a style sheet knows it by.
    pub(in crate::render) class: &'static str,
    /// The size and weight of text.
    pub(in crate::render) face: Option<Type>,
    /// The colour within, and of text.
    pub(in crate::render) fill: Option<Pair>,
    /// The colour of the line; around text, what sets it off from the lines behind it.
    pub(in crate::render) stroke: Option<Pair>,
    /// The width of the line in pixels.
    pub(in crate::render) width: f32,
    /// The lengths of dashes and of the gaps between them, in pixels.
    pub(in crate::render) dash: Option<(u8, u8)>,
}

impl Look {
    pub(in crate::render) const fn style(self) -> Style {
        match self {
            Look::Page => filled("pg", ("#ffffff", "#0d1117")).edged(("#e3e8ed", "#252c35"), 1.0),
            Look::Chip => filled("chip", ("#ffffff", "#0d1117")),
            Look::Title => text("h1", TITLE, ("#14202b", "#eef3f8")),
            Look::Facts => text("sum", BODY, ("#33475b", "#c3ced9")),
            Look::Faint => text("sub", BODY, ("#5b6b79", "#98a6b4")),
            Look::Group => filled("gr", ("#f2f5f8", "#161c24")),
            Look::Host => filled("ho", ("#e2e9f0", "#212a35")),
            Look::HostName => text("hn", LABEL, ("#33475b", "#c9d5e1")),
            Look::Address => text("ad", TINY, ("#6b7a88", "#8c9aa8")),
            Look::Port => filled("pt", ("#33475b", "#3a4a5c")),
            Look::PortName => text("pn", LABEL, ("#ffffff", "#f0f5fa")),
            Look::Banner => filled("ba", ("#eef2f6", "#1a212b")),
            Look::BannerTitle => text("bt", BANNER, ("#22384d", "#dbe5ee")),
            Look::Lane => line("ln", ("#d3dbe2", "#2a333e"), 1.0, None),
            Look::Leader => line("ld", ("#cdd6de", "#333e4a"), 0.8, Some((1, 3))),
            Look::Remark => text("rm", REMARK, ("#44535f", "#b1bdc9")),
            Look::Time => text("tm", PALE, ("#768592", "#7f8d9b")),
            Look::Under => text("pr", SMALL, ("#4d5d6b", "#a3b1bf")).edged(("#ffffff", "#0d1117"), 4.0),
            Look::ControlBar => filled("bc", ("#dbe4ec", "#2a3645")).edged(("#b4c2cf", "#43546a"), 0.8),
            Look::DataBar => filled("bd", ("#cfe9e9", "#123a3c")).edged(("#8fc7c8", "#226466"), 0.8),
            Look::DnsBar => filled("bn", ("#e6dcf5", "#2d2144")).edged(("#c3abe6", "#54407c"), 0.8),
            Look::Label(tone) => {
                let face = match tone {
                    Tone::Tcp => PALE,
                    Tone::Quiet => REMARK,
                    _ => LABEL,
                };
                text("lb", face, colours(tone))
            }
            Look::Arrow(tone, dashed) => {
                let width = match tone {
                    Tone::Tcp | Tone::Quiet => 1.0,
                    Tone::Data => 3.0,
                    _ => 1.5,
                };
                line("a", colours(tone), width, if dashed { Some((4, 3)) } else { None })
            }
        }
    }
}

impl Style {
    const fn edged(self, stroke: Pair, width: f32) -> Style {
        Style { stroke: Some(stroke), width, ..self }
    }
}

const fn text(class: &'static str, face: Type, fill: Pair) -> Style {
    Style { face: Some(face), ..filled(class, fill) }
}

const fn filled(class: &'static str, fill: Pair) -> Style {
    Style { class, face: None, fill: Some(fill), stroke: None, width: 0.0, dash: None }
}

const fn line(class: &'static str, stroke: Pair, width: f32, dash: Option<(u8, u8)>) -> Style {
    Style { class, face: None, fill: None, stroke: Some(stroke), width, dash }
}
