//! Text in cells of a terminal: how wide it is, how it breaks, how it is cut.

use unicode_width::UnicodeWidthChar as _;

/// How many cells a character takes; a control takes none, and is not drawn.
pub(super) fn cells_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// How many cells a text takes.
pub(super) fn cells(text: &str) -> usize {
    text.chars().map(cells_of).sum()
}

/// The text where it has room, else its head and the mark of what is missing.
pub(super) fn fit(text: &str, width: usize, ellipsis: &str) -> String {
    if cells(text) <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(cells(ellipsis));
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += cells_of(c);
        if used > room {
            break;
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    if cells(ellipsis) <= width {
        out.push_str(ellipsis);
    }
    out
}

/// The text in lines of at most this width, broken at blanks; a word that is wider is broken where it must be.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        let wide = cells(word);
        if used > 0 && used + 1 + wide <= width {
            line.push(' ');
            line.push_str(word);
            used += 1 + wide;
            continue;
        }
        if used > 0 {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        for c in word.chars() {
            let wide = cells_of(c);
            if used + wide > width && used > 0 {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            if wide <= width {
                line.push(c);
                used += wide;
            }
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// As [`wrap`], in at most `most` lines: the last one tells that there is more.
pub(super) fn wrap_most(text: &str, width: usize, most: usize, ellipsis: &str) -> Vec<String> {
    let mut lines = wrap(text, width);
    if lines.len() > most {
        let rest = lines.split_off(most.saturating_sub(1)).join(" ");
        let room = width.saturating_sub(cells(ellipsis));
        let head = fit(&rest, room.max(1), "");
        lines.push(format!("{}{ellipsis}", head.trim_end()));
    }
    lines
}

/// The least width that breaks the text into no more lines than this one does: lines that stand over each other in the
/// middle look best alike. A text of more than `most` lines is not worth it.
pub(super) fn balanced(text: &str, width: usize, most: usize) -> usize {
    let lines = wrap(text, width).len();
    if lines < 2 || lines > most {
        return width;
    }
    (1..width).rev().take_while(|&narrower| wrap(text, narrower).len() == lines).last().unwrap_or(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_at_blanks_and_where_it_must() {
        assert_eq!(wrap("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
        assert_eq!(wrap("", 4), Vec::<String>::new());
        assert_eq!(wrap_most("aa bb cc dd", 3, 2, "…"), ["aa", "bb…"]);
    }

    #[test]
    fn cuts_in_cells() {
        assert_eq!(fit("abcdef", 6, "…"), "abcdef");
        assert_eq!(fit("abcdef", 5, "…"), "abcd…");
        assert_eq!(fit("日本語", 4, "…"), "日…");
        assert_eq!(fit("abc", 0, "…"), "");
    }
}
