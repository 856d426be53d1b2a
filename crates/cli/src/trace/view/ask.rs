//! A line that is typed at the bottom of the view.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The most characters that can be typed.
const MOST: usize = 500;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A text to look for.
    Search,
    /// Which rows are shown.
    Filter,
    /// A file's name.
    Save,
    /// Whether this file may be replaced.
    Replace(String),
}

/// A question, and what was typed so far.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) what: What,
    pub(super) typed: String,
    /// What is wrong with what was typed.
    pub(super) wrong: Option<String>,
}

/// What became of a question by a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is still being answered.
    Open,
    /// Nobody wants it any more.
    Left,
    /// It was answered.
    Given(String),
}

impl Ask {
    pub(super) fn new(what: What) -> Ask {
        Ask { what, typed: String::new(), wrong: None }
    }

    /// What stands before what is typed.
    pub(super) fn prompt(&self) -> String {
        match &self.what {
            What::Search => "/".to_owned(),
            What::Filter => "Filter: ".to_owned(),
            What::Save => "Save to (.txt .svg .pdf .html .mmd .json .jsonl): ".to_owned(),
            What::Replace(name) => format!("{name} is there already. Replace it? (y/n) "),
        }
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        self.wrong = None;
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if let What::Replace(name) = &self.what {
            let yes = matches!(key.code, KeyCode::Char('y' | 'Y')) && !control;
            return if yes { Answer::Given(name.clone()) } else { Answer::Left };
        }
        match key.code {
            KeyCode::Esc => return Answer::Left,
            KeyCode::Char('c' | 'g') if control => return Answer::Left,
            KeyCode::Enter => return Answer::Given(self.typed.clone()),
            KeyCode::Backspace if self.typed.is_empty() => return Answer::Left,
            KeyCode::Backspace => drop(self.typed.pop()),
            KeyCode::Char('u') if control => self.typed.clear(),
            KeyCode::Char('w') if control => {
                let kept = self.typed.trim_end().rfind([' ', '/']).map_or(0, |at| at + 1);
                self.typed.truncate(kept);
            }
            KeyCode::Char(c) if !control && !c.is_control() && self.typed.chars().count() < MOST => self.typed.push(c),
            _ => {}
        }
        Answer::Open
    }
}
