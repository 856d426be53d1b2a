//! The looks of the picture as a style sheet.

use std::fmt::Write as _;

use crate::render::picture::{LOOKS, Look, Pair, Style, TONES, class};

/// The style sheet: light pages in the open, dark ones behind a media query.
pub(super) fn sheet() -> String {
    let mut light = String::from(
        "text{font-family:Inter,\"Segoe UI\",\"Helvetica Neue\",\"DejaVu Sans\",Arial,sans-serif}\
         .tm{font-variant-numeric:tabular-nums}.pr{paint-order:stroke;stroke-linejoin:round}.lb.qu{font-style:italic}\
         .a{fill:none}.inf{stroke-dasharray:4 3}.m{text-anchor:middle}.e{text-anchor:end}\n",
    );
    let mut dark = String::new();
    for look in LOOKS {
        let style = look.style();
        let _ = writeln!(light, ".{}{{{}{}}}", style.class, measures(style), paints(style, |(light, _)| light));
        let _ = writeln!(dark, ".{}{{{}}}", style.class, paints(style, |(_, dark)| dark));
    }
    for tone in TONES {
        let (tone_class, arrow, label) = (class(tone), Look::Arrow(tone, false).style(), Look::Label(tone).style());
        let (line, words, colour) = (measures(arrow), measures(label), paints(arrow, |(light, _)| light));
        let fill = paints(label, |(light, _)| light);
        let _ =
            writeln!(light, ".a.{tone_class}{{{line}{colour}}}.lb.{tone_class}{{{words}}}.f.{tone_class}{{{fill}}}");
        let (colour, fill) = (paints(arrow, |(_, dark)| dark), paints(label, |(_, dark)| dark));
        let _ = writeln!(dark, ".a.{tone_class}{{{colour}}}.f.{tone_class}{{{fill}}}");
    }
    format!("{light}@media (prefers-color-scheme:dark){{\n{dark}}}\n")
}

/// Sizes and widths, each with a semicolon behind it.
fn measures(style: Style) -> String {
    let mut out = String::new();
    if let Some(face) = style.face {
        let _ = write!(out, "font-size:{}px;", face.size());
        if face.is_bold() {
            out.push_str("font-weight:600;");
        }
    }
    if style.stroke.is_some() && style.width != 1.0 {
        let _ = write!(out, "stroke-width:{}px;", style.width);
    }
    if let Some((dash, gap)) = style.dash {
        let _ = write!(out, "stroke-dasharray:{dash} {gap};");
    }
    out
}

/// Colours.
fn paints(style: Style, pick: impl Fn(Pair) -> &'static str) -> String {
    let fill = style.fill.map(|pair| format!("fill:{}", pick(pair)));
    let stroke = style.stroke.map(|pair| format!("stroke:{}", pick(pair)));
    fill.into_iter().chain(stroke).collect::<Vec<_>>().join(";")
}
