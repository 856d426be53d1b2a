//! The characters that lines are drawn with: those of Unicode, or ASCII alone.

/// The characters that lines are drawn with.
pub(super) struct Glyphs {
    pub(super) idle: char,
    pub(super) alive: char,
    /// Where an arrow leaves a lane to the right or to the left; of one that is alive.
    pub(super) leaves: [char; 2],
    pub(super) leaves_alive: [char; 2],
    pub(super) heads: [char; 2],
    pub(super) solid: char,
    pub(super) dashed: char,
    pub(super) heavy: char,
    pub(super) rule: char,
    pub(super) corners: [char; 2],
    pub(super) cross: &'static str,
    pub(super) dash: &'static str,
    pub(super) dot: &'static str,
    pub(super) ellipsis: &'static str,
}

pub(super) const UNICODE: Glyphs = Glyphs {
    idle: '│',
    alive: '┃',
    leaves: ['├', '┤'],
    leaves_alive: ['┠', '┨'],
    heads: ['▶', '◀'],
    solid: '─',
    dashed: '╌',
    heavy: '━',
    rule: '─',
    corners: ['╭', '╮'],
    cross: "✗",
    dash: "—",
    dot: "·",
    ellipsis: "…",
};

pub(super) const ASCII: Glyphs = Glyphs {
    idle: ':',
    alive: '|',
    leaves: [':', ':'],
    leaves_alive: ['|', '|'],
    heads: ['>', '<'],
    solid: '-',
    dashed: '~',
    heavy: '=',
    rule: '-',
    corners: ['.', '.'],
    cross: "x",
    dash: "--",
    dot: "-",
    ellipsis: "...",
};
