//! How wide text is, without the font: by the advances of a wide common one, so that a narrower one fits, too.

use unicode_width::UnicodeWidthChar as _;

/// A size of text, in tenths of a pixel, and whether it is bold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::render) struct Type {
    tenths: usize,
    bold: bool,
}

/// The title.
pub(in crate::render) const TITLE: Type = Type { tenths: 200, bold: true };
/// The facts under it, the opening.
pub(in crate::render) const BODY: Type = Type { tenths: 120, bold: false };
/// Banners.
pub(in crate::render) const BANNER: Type = Type { tenths: 120, bold: true };
/// Labels on arrows, heads of lanes.
pub(in crate::render) const LABEL: Type = Type { tenths: 110, bold: true };
/// Remarks.
pub(in crate::render) const REMARK: Type = Type { tenths: 110, bold: false };
/// Parameters, times.
pub(in crate::render) const SMALL: Type = Type { tenths: 105, bold: false };
/// Words on the arrows of TCP.
pub(in crate::render) const PALE: Type = Type { tenths: 100, bold: false };
/// Addresses under hosts.
pub(in crate::render) const TINY: Type = Type { tenths: 95, bold: false };

/// Advances of the characters from blank to tilde in hundredths of the size: DejaVu Sans, which is wide.
const PLAIN: [u8; 95] = [
    32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34, 84,
    84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79, 60, 79, 69, 63, 61, 73, 68, 99, 69,
    61, 69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63, 62, 35, 63, 63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63,
    59, 82, 59, 59, 52, 64, 34, 64, 84,
];
const BOLD: [u8; 95] = [
    35, 46, 52, 84, 70, 100, 87, 31, 46, 46, 52, 84, 38, 42, 38, 37, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 40, 40,
    84, 84, 84, 58, 100, 77, 76, 73, 83, 68, 68, 82, 84, 37, 37, 77, 64, 100, 84, 85, 73, 85, 77, 72, 68, 81, 77, 110,
    77, 72, 73, 46, 37, 46, 84, 50, 50, 67, 72, 59, 72, 68, 44, 72, 71, 34, 34, 67, 34, 104, 71, 69, 72, 72, 49, 60,
    48, 71, 65, 92, 65, 65, 58, 71, 37, 71, 84,
];

impl Type {
    /// The size in pixels.
    pub(in crate::render) fn size(self) -> f32 {
        self.tenths as f32 / 10.0
    }

    /// Whether it is bold.
    pub(in crate::render) const fn is_bold(self) -> bool {
        self.bold
    }

    /// The width of a character in thousandths of a pixel.
    pub(in crate::render) fn of(self, c: char) -> usize {
        let table = if self.bold { &BOLD } else { &PLAIN };
        let place = u32::from(c).checked_sub(32).and_then(|i| usize::try_from(i).ok());
        let hundredths = match place.and_then(|i| table.get(i)) {
            Some(&advance) => usize::from(advance),
            None if matches!(c, '…' | '—') => 100,
            None => match c.width().unwrap_or(0) {
                0 => 0,
                1 => 70,
                _ => 105,
            },
        };
        hundredths * self.tenths
    }

    /// The width of a text in pixels.
    pub(in crate::render) fn width(self, text: &str) -> i64 {
        let thousandths = crate::render::wrap::width(text, &|c| self.of(c));
        i64::try_from(thousandths.div_ceil(1000)).unwrap_or(i64::MAX / 4)
    }

    /// The text in lines of at most so many pixels.
    pub(in crate::render) fn wrap(self, text: &str, pixels: i64, most: usize) -> Vec<String> {
        crate::render::wrap::wrap_most(text, thousandths(pixels), most, "…", &|c| self.of(c))
    }

    /// As [`Type::wrap`], in lines that are as even as they can be.
    pub(in crate::render) fn wrap_even(self, text: &str, pixels: i64, most: usize) -> Vec<String> {
        crate::render::wrap::wrap_even(text, thousandths(pixels), most, "…", &|c| self.of(c))
    }

    /// The text, or its head, in at most so many pixels.
    pub(in crate::render) fn fit(self, text: &str, pixels: i64) -> String {
        crate::render::wrap::fit(text, thousandths(pixels), "…", &|c| self.of(c))
    }
}

fn thousandths(pixels: i64) -> usize {
    usize::try_from(pixels).unwrap_or(0).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_a_wide_font() {
        assert_eq!(SMALL.width("readme.txt"), 59);
        assert!(LABEL.width("readme.txt") > SMALL.width("readme.txt"));
        assert_eq!(BODY.width(""), 0);
        assert_eq!(SMALL.fit("readme.txt", 40), "read…");
    }
}
