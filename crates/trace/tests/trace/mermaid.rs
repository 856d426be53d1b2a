//! Mermaid: what is drawn keeps to its grammar, whatever peers say.

use port21_proto::SessionEvent;
use port21_trace::ladder::Options;
use port21_trace::{Ladder, Session, render};
use proptest::prelude::*;

use crate::events::{Script, event, reference, text};

fn drawn(events: impl IntoIterator<Item = SessionEvent>, options: &Options) -> String {
    render::mermaid(&Ladder::new(&Session::from_events(events), options))
}

/// Checks each line against the rules of Mermaid's sequence diagrams that matter here.
fn check(diagram: &str) {
    let mut lines = diagram.lines();
    assert_eq!(lines.next(), Some("---"));
    let title = lines.next().and_then(|line| line.strip_prefix("title: \"")?.strip_suffix('"')).unwrap();
    assert!(!title.contains('"') && !title.ends_with('\\'), "{title:?}");
    assert_eq!((lines.next(), lines.next()), (Some("---"), Some("sequenceDiagram")));
    let (mut participants, mut open) = (0, 0);
    for line in lines {
        let line = line.strip_prefix("    ").unwrap_or_else(|| panic!("not indented: {line:?}"));
        let (head, said) = match line.split_once(' ').unwrap_or((line, "")) {
            ("end", "") => {
                open -= 1;
                continue;
            }
            ("box", said) => {
                open += 1;
                ("", said)
            }
            ("rect", colour) => {
                open += 1;
                assert_eq!(colour, "rgba(127, 140, 155, 0.1)");
                continue;
            }
            ("participant", rest) => {
                let (id, said) = rest.split_once(" as ").unwrap();
                assert_eq!(id, format!("L{participants}"));
                participants += 1;
                ("", said)
            }
            _ => line.split_once(": ").unwrap_or_else(|| panic!("{line:?}")),
        };
        let bare = head.strip_prefix("Note over ").or_else(|| head.strip_prefix("Note right of ")).unwrap_or(head);
        for id in bare.split(['-', '>', ',']).filter(|id| !id.is_empty()) {
            let n: usize = id.strip_prefix('L').and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{line:?}"));
            assert!(n < participants, "{line:?}");
        }
        plain(said);
    }
    assert_eq!(open, 0);
    assert!(diagram.chars().count() < 50_000);
}

/// A text that nothing ends but its line: `#` and `;` only as an escape of a character by its number.
fn plain(said: &str) {
    let mut rest = said;
    while let Some((before, behind)) = rest.split_once('#') {
        assert!(!before.contains(';'), "{said:?}");
        let (number, behind) = behind.split_once(';').unwrap_or_else(|| panic!("{said:?}"));
        assert!(number.parse::<u32>().is_ok_and(|n| char::from_u32(n).is_some()), "{said:?}");
        rest = behind;
    }
    assert!(!rest.contains(';'), "{said:?}");
    assert!(!said.contains(['<', '>', '"', '`', '$', '%', '{', '}', '&', ':', '\\']), "{said:?}");
    assert!(!said.chars().any(char::is_control), "{said:?}");
}

#[test]
fn the_reference_session() {
    let options = Options { product: "port21 test".to_owned(), ..Options::default() };
    let diagram = drawn(reference(), &options);
    check(&diagram);
    insta::assert_snapshot!(diagram);
}

#[test]
fn what_peers_say_is_no_grammar() {
    let mut script = Script::logged_in();
    for name in
        ["end", "a;b", "#35;", "%%{init: {}}%%", "x\ny", "<script>", "a: b", "style: #a;", "\"q\"", "wrap:x", "$$x$$"]
    {
        script.command(&format!("CWD {name}")).reply(550, &[name]);
    }
    let diagram = drawn(script.events, &Options { title: Some("\"\n---\nx: <y>".to_owned()), ..Options::default() });
    check(&diagram);
    assert!(diagram.contains("CWD a#59;b") && diagram.contains("CWD #35;35#59;"), "{diagram}");
}

#[test]
fn a_session_that_mermaid_would_refuse_is_drawn_as_far_as_there_is_room() {
    let mut script = Script::logged_in();
    for id in 1..400 {
        script.download(id, &format!("file-{id}.bin"), 1000);
    }
    let diagram = drawn(script.events, &Options { fold: false, ..Options::default() });
    check(&diagram);
    assert!(diagram.trim_end().ends_with("rows are not drawn#58; Mermaid takes no more than 50,000 characters"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn anything_keeps_to_the_grammar(
        events in proptest::collection::vec(event(), 0..25),
        title in proptest::option::of(text()),
        fields in any::<bool>(),
    ) {
        check(&drawn(events, &Options { title, fields, ..Options::default() }));
    }
}
