//! Text measured, broken into lines, and cut: in cells of a terminal or in the units of a picture.

use unicode_width::UnicodeWidthChar as _;

/// How wide a character is, in whatever unit.
pub(super) type Ruler<'a> = &'a dyn Fn(char) -> usize;

/// How many cells of a terminal a character takes; a control takes none, and is not drawn.
pub(super) fn cells_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// How many cells a text takes.
pub(super) fn cells(text: &str) -> usize {
    width(text, &cells_of)
}

/// How wide a text is.
pub(super) fn width(text: &str, ruler: Ruler<'_>) -> usize {
    text.chars().map(ruler).fold(0, usize::saturating_add)
}

/// The text where it has room, else its head and the mark of what is missing.
pub(super) fn fit(text: &str, room: usize, ellipsis: &str, ruler: Ruler<'_>) -> String {
    if width(text, ruler) <= room {
        return text.to_owned();
    }
    let mark = width(ellipsis, ruler);
    let mut out = String::new();
    let mut used = mark;
    for c in text.chars() {
        used += ruler(c);
        if used > room {
            break;
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    if mark <= room {
        out.push_str(ellipsis);
    }
    out
}

/// The text in lines of at most this width, broken at its line ends and at blanks; a word that is wider is broken where
/// it must be.
pub(super) fn wrap(text: &str, room: usize, ruler: Ruler<'_>) -> Vec<String> {
    let room = room.max(1);
    let blank = ruler(' ');
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        let mut used = 0;
        for word in paragraph.split(' ').filter(|w| !w.is_empty()) {
            let wide = width(word, ruler);
            if used > 0 && used + blank + wide <= room {
                line.push(' ');
                line.push_str(word);
                used += blank + wide;
                continue;
            }
            if used > 0 {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            for c in word.chars() {
                let wide = ruler(c);
                if used + wide > room && used > 0 {
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                if wide <= room {
                    line.push(c);
                    used += wide;
                }
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
    }
    lines
}

/// As [`wrap`], in at most `most` lines: the last one tells that there is more.
pub(super) fn wrap_most(text: &str, room: usize, most: usize, ellipsis: &str, ruler: Ruler<'_>) -> Vec<String> {
    let mut lines = wrap(text, room, ruler);
    if lines.len() > most {
        let rest = lines.split_off(most.saturating_sub(1)).join(" ");
        let head = fit(&rest, room.saturating_sub(width(ellipsis, ruler)), "", ruler);
        lines.push(format!("{}{ellipsis}", head.trim_end()));
    }
    lines
}

/// As [`wrap_most`], in lines that are as even as they can be without being more: under an arrow, lines that stand over
/// each other in the middle look best alike.
pub(super) fn wrap_even(text: &str, room: usize, most: usize, ellipsis: &str, ruler: Ruler<'_>) -> Vec<String> {
    let lines = wrap_most(text, room, most, ellipsis, ruler);
    if lines.len() < 2 || lines.len() >= most || text.contains('\n') {
        return lines;
    }
    let (mut least, mut enough) = (0, room);
    while least + 1 < enough {
        let middle = least.midpoint(enough);
        if wrap(text, middle, ruler).len() <= lines.len() { enough = middle } else { least = middle }
    }
    wrap(text, enough, ruler)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_at_blanks_and_where_it_must() {
        assert_eq!(wrap("a bc def", 4, &cells_of), ["a bc", "def"]);
        assert_eq!(wrap("abcdefgh ij", 3, &cells_of), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("日本語", 4, &cells_of), ["日本", "語"]);
        assert_eq!(wrap("a b\nc", 9, &cells_of), ["a b", "c"]);
        assert_eq!(wrap("", 4, &cells_of), Vec::<String>::new());
        assert_eq!(wrap_most("aa bb cc dd", 3, 2, "…", &cells_of), ["aa", "bb…"]);
        assert_eq!(wrap_even("aa bb cc dd", 8, 4, "…", &cells_of), ["aa bb", "cc dd"]);
    }

    #[test]
    fn cuts_in_cells() {
        assert_eq!(fit("abcdef", 6, "…", &cells_of), "abcdef");
        assert_eq!(fit("abcdef", 5, "…", &cells_of), "abcd…");
        assert_eq!(fit("日本語", 4, "…", &cells_of), "日…");
        assert_eq!(fit("abc", 0, "…", &cells_of), "");
    }
}
