//! The font of the pages: Inter, of which the characters of European languages are kept (fonts/README.md).

use std::collections::HashMap;

use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider as _};

use crate::ladder::Ladder;

const REGULAR: &[u8] = include_bytes!("../../../fonts/Inter-Regular.otf");
const BOLD: &[u8] = include_bytes!("../../../fonts/Inter-SemiBold.otf");

/// Both weights.
pub(super) struct Fonts {
    pub(super) regular: Face,
    pub(super) bold: Face,
}

/// A weight of the font.
pub(super) struct Face {
    pub(super) font: Font,
    /// The glyph of each character, and its advance in parts of the size.
    glyphs: HashMap<char, (u32, f32)>,
    /// The widest advance of a digit.
    digit: f32,
}

impl Fonts {
    pub(super) fn load() -> Option<Fonts> {
        Some(Fonts { regular: Face::load(REGULAR)?, bold: Face::load(BOLD)? })
    }

    fn has(&self, c: char) -> bool {
        self.regular.glyphs.contains_key(&c) && self.bold.glyphs.contains_key(&c)
    }
}

impl Face {
    fn load(bytes: &'static [u8]) -> Option<Face> {
        let font = Font::new(bytes.into(), 0)?;
        let read = FontRef::new(bytes).ok()?;
        let metrics = read.glyph_metrics(Size::new(1.0), LocationRef::default());
        let known = read.charmap().mappings().filter_map(|(code, glyph)| {
            let advance = metrics.advance_width(glyph)?;
            Some((char::from_u32(code)?, (glyph.to_u32(), advance)))
        });
        let glyphs: HashMap<char, (u32, f32)> = known.collect();
        let digits = ('0'..='9').filter_map(|digit| glyphs.get(&digit));
        let digit = digits.map(|(_, advance)| *advance).fold(0.0, f32::max);
        Some(Face { font, glyphs, digit })
    }

    /// The glyphs of a text that [`spelled`] has been through. In columns of numbers all digits are as wide.
    pub(super) fn glyphs(&self, text: &str, column: bool) -> Vec<KrillaGlyph> {
        let glyph = |(at, c): (usize, char)| {
            let &(glyph, own) = self.glyphs.get(&c)?;
            let advance = if column && c.is_ascii_digit() { self.digit } else { own };
            let (offset, range) = ((advance - own) / 2.0, at..at + c.len_utf8());
            Some(KrillaGlyph::new(GlyphId::new(glyph), advance, offset, 0.0, 0.0, range, None))
        };
        text.char_indices().filter_map(glyph).collect()
    }
}

/// How wide glyphs are, in parts of the size.
pub(super) fn width(glyphs: &[KrillaGlyph]) -> f32 {
    glyphs.iter().map(|glyph| glyph.x_advance).sum()
}

/// The ladder in characters that the font has: any other is written as its code point, `U+65E5`.
pub(super) fn spelled(ladder: &Ladder, fonts: &Fonts) -> Ladder {
    let mut ladder = ladder.clone();
    let spell = |text: &mut String| {
        if !text.chars().all(|c| c == '\n' || fonts.has(c)) {
            *text = text.chars().map(|c| if c == '\n' || fonts.has(c) { c.to_string() } else { code(c) }).collect();
        }
    };
    let heading = [&mut ladder.title, &mut ladder.product, &mut ladder.date, &mut ladder.opening];
    let facts = heading.into_iter().chain(&mut ladder.summary);
    let findings = ladder.findings.iter_mut().map(|marked| &mut marked.finding.text);
    let sections = ladder.sections.iter_mut().flat_map(|section| [&mut section.title, &mut section.detail]);
    facts.chain(findings).chain(sections).for_each(spell);
    for row in &mut ladder.rows {
        let remark = row.remark.as_mut().map(|remark| &mut remark.text);
        [&mut row.label, &mut row.detail].into_iter().chain(remark).for_each(spell);
    }
    ladder
}

fn code(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::RULES;

    #[test]
    fn the_font_has_what_drawings_say() {
        let fonts = Fonts::load().unwrap();
        let said = "\u{2002}…·–—×→←µ±“”’„«»№€ßÄéçłőźžΩωЖщїў";
        let said = (' '..='~').chain(said.chars()).chain(RULES.iter().flat_map(|rule| rule.advice.chars()));
        for c in said {
            assert!(fonts.has(c), "{c} {}", code(c));
        }
    }

    #[test]
    fn digits_stand_under_each_other_in_columns() {
        let face = Fonts::load().unwrap().regular;
        let wide = |text, column| width(&face.glyphs(text, column));
        assert!(wide("1111", false) < wide("0000", false));
        assert!((wide("1111", true) - wide("0000", true)).abs() < 1e-4);
    }

    #[test]
    fn no_character_is_dropped() {
        let fonts = Fonts::load().unwrap();
        let options = crate::ladder::Options { title: Some("é 日 e\u{301} 😀".to_owned()), ..Default::default() };
        let ladder = Ladder::new(&crate::Session::from_events([]), &options);
        assert_eq!(spelled(&ladder, &fonts).title, "é U+65E5 eU+0301 U+1F600");
    }
}
