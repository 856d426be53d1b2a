//! Marks as elements of SVG. All numbers are whole pixels: there is one way to write them.

use std::fmt::Write as _;

use super::sheet::sheet;
use crate::ladder::Ladder;
use crate::render::picture::{Anchor, Look, Mark, Sketch, class};

/// The whole document: what stands behind, then what stands before it.
pub(super) fn document(ladder: &Ladder, (width, height): (i64, i64), sketches: [&Sketch; 2]) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-labelledby=\"t d\">\n<title id=\"t\">"
    );
    escape(&mut out, &ladder.title);
    out.push_str("</title>\n<desc id=\"d\">");
    escape(&mut out, &ladder.opening);
    let _ = writeln!(out, "</desc>\n<style>\n{}</style>", sheet());
    let (right, bottom) = (width - 1, height - 1);
    let page = classes(Look::Page);
    let _ =
        writeln!(out, "<rect x=\"0.5\" y=\"0.5\" width=\"{right}\" height=\"{bottom}\" rx=\"10\" class=\"{page}\"/>");
    for mark in sketches.into_iter().flat_map(|sketch| &sketch.marks) {
        element(&mut out, mark);
    }
    out.push_str("</svg>\n");
    out
}

fn element(out: &mut String, mark: &Mark) {
    let _ = match mark {
        Mark::Text { at: (x, y), look, anchor, text } => {
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => " m",
                Anchor::End => " e",
            };
            let _ = write!(out, "<text x=\"{x}\" y=\"{y}\" class=\"{}{anchor}\">", classes(*look));
            escape(out, text);
            writeln!(out, "</text>")
        }
        Mark::Rect { at: (x, y), size: (width, height), radius, look } => writeln!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\" class=\"{}\"/>",
            classes(*look)
        ),
        Mark::Line { from: (x1, y1), to: (x2, y2), look } => {
            let class = classes(*look);
            writeln!(out, "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" class=\"{class}\"/>")
        }
        Mark::Head { at: (x, y), right, tone } => {
            let back = if *right { -8 } else { 8 };
            writeln!(out, "<path d=\"M{x} {y}l{back} -4v8z\" class=\"f {}\"/>", class(*tone))
        }
        Mark::Cross { at: (x, y), tone } => {
            let (x, y, class) = (x - 4, y - 4, class(*tone));
            writeln!(out, "<path d=\"M{x} {y}l8 8m0 -8l-8 8\" class=\"a {class}\" stroke-width=\"2\"/>")
        }
        Mark::Begin { section, tip } => {
            let _ = match section {
                Some(number) => write!(out, "<g id=\"s{number}\">"),
                None => write!(out, "<g>"),
            };
            if !tip.is_empty() {
                out.push_str("<title>");
                escape(out, tip);
                out.push_str("</title>");
            }
            writeln!(out)
        }
        Mark::End => writeln!(out, "</g>"),
        Mark::Link { section } => write!(out, "<a href=\"#s{section}\">"),
        Mark::EndLink => writeln!(out, "</a>"),
    };
}

fn classes(look: Look) -> String {
    match look {
        Look::Label(tone) => format!("lb f {}", class(tone)),
        Look::Arrow(tone, false) => format!("a {}", class(tone)),
        Look::Arrow(tone, true) => format!("a {} inf", class(tone)),
        look => look.style().class.to_owned(),
    }
}

/// Text as XML has it. Characters that XML 1.0 (section 2.2) does not have become U+FFFD: the ladder's text has none,
/// but a picture that cannot be read is no way to find out.
pub(in crate::render) fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(' '),
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_text_is_markup() {
        let mut out = String::new();
        super::escape(&mut out, "<a href=\"x\">&\0\u{1b}\u{ffff}</a>");
        assert_eq!(out, "&lt;a href=&quot;x&quot;&gt;&amp;\u{fffd}\u{fffd}\u{fffd}&lt;/a&gt;");
    }
}
