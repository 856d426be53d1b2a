//! Elements as text. All numbers are whole pixels: there is one way to write them.

use std::fmt::Write as _;

/// A document that grows at its end.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    out: String,
}

/// Where a text's anchor is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    pub(super) fn raw(&mut self, text: &str) {
        self.out.push_str(text);
    }

    pub(in crate::render) fn escaped(&mut self, text: &str) {
        escape(&mut self.out, text);
    }

    pub(super) fn text(&mut self, x: i64, y: i64, class: &str, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " m",
            Anchor::End => " e",
        };
        let _ = write!(self.out, "<text x=\"{x}\" y=\"{y}\" class=\"{class}{anchor}\">");
        escape(&mut self.out, text);
        self.out.push_str("</text>\n");
    }

    pub(super) fn rect(&mut self, x: i64, y: i64, width: i64, height: i64, radius: i64, class: &str) {
        let _ = writeln!(
            self.out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\" class=\"{class}\"/>"
        );
    }

    pub(super) fn line(&mut self, from: (i64, i64), to: (i64, i64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(self.out, "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" class=\"{class}\"/>");
    }

    /// The head of an arrow whose point is here.
    pub(super) fn head(&mut self, x: i64, y: i64, right: bool, class: &str) {
        let back = if right { -8 } else { 8 };
        let _ = writeln!(self.out, "<path d=\"M{x} {y}l{back} -4v8z\" class=\"f {class}\"/>");
    }

    /// A cross in the middle of this point.
    pub(super) fn cross(&mut self, x: i64, y: i64, class: &str) {
        let _ = writeln!(
            self.out,
            "<path d=\"M{} {}l8 8m0 -8l-8 8\" class=\"a {class}\" stroke-width=\"2\"/>",
            x - 4,
            y - 4
        );
    }

    /// Begins a group that tells this when the pointer rests on it.
    pub(super) fn begin(&mut self, id: &str, tip: &str) {
        self.out.push_str("<g");
        if !id.is_empty() {
            let _ = write!(self.out, " id=\"{id}\"");
        }
        self.out.push('>');
        if !tip.is_empty() {
            self.out.push_str("<title>");
            escape(&mut self.out, tip);
            self.out.push_str("</title>");
        }
        self.out.push('\n');
    }

    pub(super) fn end(&mut self) {
        self.out.push_str("</g>\n");
    }

    /// A link to an element of this document.
    pub(super) fn link(&mut self, id: &str) {
        let _ = write!(self.out, "<a href=\"#{id}\">");
    }

    pub(super) fn end_link(&mut self) {
        self.out.push_str("</a>\n");
    }

    pub(super) fn finish(self) -> String {
        self.out
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
