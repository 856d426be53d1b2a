//! Keys: one table for what they do, where, and what the help says of them.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The list of sessions.
    Sessions,
    /// The ladder of one.
    Ladder,
    /// What is wrong with it.
    Findings,
    /// One of its rows.
    Message,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Left,
    Right,
    Open,
    Back,
    Search,
    Next,
    Previous,
    Filter,
    NextFinding,
    PreviousFinding,
    NextSection,
    PreviousSection,
    Findings,
    Fold,
    FoldAll,
    UnfoldAll,
    Middles,
    Lanes,
    Tcp,
    Fields,
    Sort,
    Reverse,
    Pause,
    Save,
    Help,
    Suspend,
    Quit,
}

/// Keys that do one thing.
pub(super) struct Binding {
    /// What they do.
    pub(super) action: Action,
    /// Their names, as [`name`] gives them.
    pub(super) keys: &'static [&'static str],
    /// Where they do it.
    pub(super) on: &'static [Place],
    /// What it is, in a few words.
    pub(super) help: &'static str,
}

const ALL: &[Place] = &[Place::Sessions, Place::Ladder, Place::Findings, Place::Message];
const BELOW: &[Place] = &[Place::Ladder, Place::Findings, Place::Message];
const WIDE: &[Place] = &[Place::Sessions, Place::Ladder, Place::Message];
const LADDER: &[Place] = &[Place::Ladder];

const fn keys(action: Action, keys: &'static [&'static str], on: &'static [Place], help: &'static str) -> Binding {
    Binding { action, keys, on, help }
}

/// All keys, in the order of the help.
pub(super) const KEYS: &[Binding] = &[
    keys(Action::Down, &["Down", "j"], ALL, "down"),
    keys(Action::Up, &["Up", "k"], ALL, "up"),
    keys(Action::PageDown, &["PgDn", "^f"], ALL, "a page down"),
    keys(Action::PageUp, &["PgUp", "^b"], ALL, "a page up"),
    keys(Action::First, &["Home", "g"], ALL, "to the begin"),
    keys(Action::Last, &["End", "G"], ALL, "to the end; what goes on is followed from there"),
    keys(Action::Right, &["Right", "l"], WIDE, "what is further right; of a message: the next row"),
    keys(Action::Left, &["Left", "h"], WIDE, "what is further left; of a message: the row before"),
    keys(
        Action::Open,
        &["Enter"],
        &[Place::Sessions, Place::Ladder, Place::Findings],
        "open: a session, a row with its bytes, a section",
    ),
    keys(Action::Back, &["Esc", "Backspace"], BELOW, "back"),
    keys(Action::Search, &["/"], &[Place::Sessions, Place::Ladder], "search; small letters mean large ones, too"),
    keys(Action::Next, &["n"], &[Place::Sessions, Place::Ladder], "next hit"),
    keys(Action::Previous, &["N"], &[Place::Sessions, Place::Ladder], "hit before"),
    keys(Action::NextFinding, &["e"], LADDER, "next finding"),
    keys(Action::PreviousFinding, &["E"], LADDER, "finding before"),
    keys(Action::NextSection, &["]"], LADDER, "next section"),
    keys(Action::PreviousSection, &["["], LADDER, "section before"),
    keys(
        Action::Findings,
        &["Tab"],
        &[Place::Ladder, Place::Findings],
        "what is wrong: findings, their rows, what can be done",
    ),
    keys(
        Action::Filter,
        &["&"],
        LADDER,
        "filter: findings, control, data, a verb (RETR), a lane (server:21), an address; empty: all",
    ),
    keys(Action::Fold, &["f"], LADDER, "fold the section, or unfold it"),
    keys(Action::FoldAll, &["F"], LADDER, "fold all sections"),
    keys(Action::UnfoldAll, &["U"], LADDER, "unfold all sections"),
    keys(Action::Middles, &["u"], LADDER, "the middle of many like transfers: each row, or in one"),
    keys(Action::Lanes, &["w"], LADDER, "a lane for each port, or as many as there is room for"),
    keys(Action::Tcp, &["p"], LADDER, "rows of TCP: with or without"),
    keys(Action::Fields, &["x"], LADDER, "parameters under their display-filter names, or as text"),
    keys(Action::Sort, &["o"], &[Place::Sessions], "sort by the next column"),
    keys(Action::Reverse, &["O"], &[Place::Sessions], "sort the other way round"),
    keys(Action::Pause, &["Space"], ALL, "of what goes on: pause, and go on"),
    keys(
        Action::Save,
        &["s"],
        &[Place::Sessions, Place::Ladder],
        "save what is shown, in the format that the file's ending names",
    ),
    keys(Action::Help, &["?", "F1"], ALL, "these keys"),
    keys(Action::Suspend, &["^z"], ALL, "back to the shell for a while"),
    keys(Action::Quit, &["q", "^c"], ALL, "end"),
];

/// What a key does at a place.
pub(super) fn action(key: KeyEvent, place: Place) -> Option<Action> {
    let name = name(key);
    let bound = |binding: &&Binding| binding.on.contains(&place) && binding.keys.contains(&name.as_str());
    KEYS.iter().find(bound).map(|binding| binding.action)
}

/// A key's name: `q`, `^c`, `PgDn`.
pub(super) fn name(key: KeyEvent) -> String {
    match key.code {
        KeyCode::Char(' ') => "Space".to_owned(),
        KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) => format!("^{}", c.to_ascii_lowercase()),
        KeyCode::Char(c) => c.to_string(),
        KeyCode::F(n) => format!("F{n}"),
        KeyCode::PageUp => "PgUp".to_owned(),
        KeyCode::PageDown => "PgDn".to_owned(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things_at_one_place() {
        for place in ALL {
            let mut seen = Vec::new();
            for key in KEYS.iter().filter(|binding| binding.on.contains(place)).flat_map(|binding| binding.keys) {
                assert!(!seen.contains(&key), "{key}");
                seen.push(key);
            }
        }
    }

    #[test]
    fn the_manual_has_all_keys() {
        let manual = include_str!("../../../../../docs/view.md");
        for Binding { keys, help, .. } in KEYS {
            let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            let line = format!("| {} | {help} |", keys.join(", "));
            assert!(manual.lines().any(|has| has == line), "docs/view.md lacks: {line}");
        }
    }
}
