//! HTML: one file that loads nothing, with everything in it that the ladder has.

use port21_trace::drawing::{Drawing, Format, Which};
use port21_trace::ladder::Options;
use port21_trace::recording::{Header, RecordedSession, Recorder, Recording};
use port21_trace::render::{self, HtmlOptions};
use port21_trace::{Ladder, Session};

use crate::anything::well_formed;
use crate::events::{Script, reference};

fn options() -> Options {
    Options { product: "port21 test".to_owned(), ..Options::default() }
}

fn page(script: &Script, options: &Options) -> String {
    let session = Session::from_events(script.events.iter().cloned());
    render::html(&Ladder::new(&session, options), &HtmlOptions::default())
}

/// What stands between two marks, the first of such.
fn between<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    page.split_once(from).and_then(|(_, rest)| rest.split_once(to)).unwrap_or_else(|| panic!("no {from}")).0
}

/// The page without its style and its script.
fn bare(page: &str) -> String {
    let style = between(page, "<style>", "</style>");
    let script = between(page, "<script>", "</script>");
    page.replace(style, "…").replace(script, "…")
}

/// The opening tags of the sections.
fn sections(page: &str) -> Vec<&str> {
    page.split("<details class=\"sec\" ").skip(1).map(|part| part.split_once('>').unwrap().0).collect()
}

#[test]
fn the_reference_session() {
    let ladder = Ladder::new(&Session::from_events(reference()), &options());
    let page = render::html(&ladder, &HtmlOptions::default());
    assert_eq!(page, render::html(&ladder, &HtmlOptions::default()));
    well_formed(&page).unwrap();
    assert_eq!(page.matches("<details class=\"row ").count(), ladder.rows.len());
    assert_eq!(sections(&page).len(), ladder.sections.len());
    assert!(sections(&page).iter().all(|tag| tag.ends_with(" open")));
    insta::assert_snapshot!(bare(&page));
}

#[test]
fn nothing_is_loaded() {
    let page = page(&Script::logged_in(), &options());
    for word in ["http:", "https:", "//fonts", "src=", "@import", "url(", "fetch(", "innerHTML", "eval("] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("default-src 'none'"));
    for link in page.split("href=\"").skip(1) {
        assert!(link.starts_with("#s") || link.starts_with("#r"), "{}", &link[..20]);
    }
}

#[test]
fn what_the_script_needs_is_in_the_page() {
    let page = page(&Script::logged_in(), &options());
    let script = between(&page, "<script>", "</script>");
    for id in script.split("get(\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
    }
    for key in ["/", "n", "N", "j", "k", "f", "F", "U", "p", "t", "?"] {
        assert!(script.contains(&format!("\n    {key}: ")) || script.contains(&format!("\n    \"{key}\": ")), "{key}");
    }
}

#[test]
fn every_colour_has_its_dark_side() {
    let page = page(&Script::logged_in(), &options());
    let style = between(&page, "<style>", "</style>");
    let names = style.split("var(--").skip(1).map(|rest| rest.split([')', ',']).next().unwrap());
    for name in names.filter(|name| !["n", "a", "b", "c"].contains(name)) {
        // Light, dark where the reader's system asks for it, dark where the reader does.
        assert_eq!(style.matches(&format!("--{name}:")).count(), 3, "--{name}");
    }
}

#[test]
fn peers_say_text_and_no_markup() {
    let mut script = Script::logged_in();
    script.command("CWD <script>alert(1)</script>").reply(550, &["\"><img onerror=x> & no </dd></details>"]);
    let page = page(&script, &Options { title: Some("</title><b>".to_owned()), ..options() });
    well_formed(&page).unwrap();
    assert_eq!((page.matches("<script").count(), page.matches("<img").count()), (1, 0));
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt;")
            && page.contains("<title>&lt;/title&gt;&lt;b&gt;</title>")
    );
    assert!(!page.contains("geheim"));
}

#[test]
fn a_finding_is_told_first_and_leads_to_its_row() {
    let mut script = Script::logged_in();
    for id in 1..=300 {
        script.download(id, &format!("file-{id}.bin"), 1000);
        if id == 150 {
            // A warning, where no reply is in red.
            script.command("TYPE A").reply(200, &["Ok."]).command("TYPE I").reply(200, &["Ok."]);
            script.command("PORT 198,51,100,9,0,80").reply(200, &["Ok."]);
        }
    }
    let session = Session::from_events(script.events.iter().cloned());
    let ladder = Ladder::new(&session, &Options { fold: false, ..options() });
    let page = render::html(&ladder, &HtmlOptions::default());
    well_formed(&page).unwrap();
    let list = between(&page, "<ul class=\"finds\" aria-label=\"Findings\">", "</ul>");
    let found = ladder.findings.iter().find(|marked| marked.finding.rule.name == "other-address").unwrap();
    let row = found.row.unwrap();
    assert!(list.contains(&format!("<li class=\"r4\"><b>Warning</b> <a href=\"#r{row}\">other-address at ")), "{list}");
    assert!(list.contains(&found.finding.text) && list.contains("<p class=\"do\">"), "{list}");
    let (before, _) = page.split_once(&format!(" id=\"r{row}\"")).unwrap();
    let around = before.rsplit_once("<details class=\"sec\" ").unwrap().1;
    assert!(around.split_once('>').unwrap().0.ends_with(" open"), "{}", &around[..40]);
}

#[test]
fn a_long_session_is_whole_and_opens_where_something_failed() {
    let mut script = Script::logged_in();
    for id in 1..=700 {
        script.download(id, &format!("file-{id}.bin"), 1000);
        if id == 350 {
            script.command("CWD nowhere").reply(550, &["No such directory."]);
        }
    }
    let header = Header::new(Recorder::Client, script.events[0].at);
    let recording = Recording {
        sessions: vec![RecordedSession { name: None, header, events: script.events }],
        ..Recording::default()
    };
    let drawing = Drawing { format: Format::Html, which: Which::All, ..Drawing::default() };
    let page = drawing.draw(&recording).unwrap();
    let mut rest = page.as_str();
    for id in 1..=700 {
        rest = rest.split_once(&format!("RETR file-{id}.bin</b>")).unwrap_or_else(|| panic!("no file-{id}")).1;
    }
    let open: Vec<&str> = sections(&page).into_iter().filter(|tag| tag.ends_with(" open")).collect();
    assert!(sections(&page).len() > 700 && (2..=4).contains(&open.len()), "{open:?}");
    let failed = between(&page, &format!("<details class=\"sec\" {}>", open[1]), "</details>\n</details>");
    assert!(failed.contains("550"), "{failed}");
    assert!(page.contains("data (700)") && page.len() < 20_000_000, "{}", page.len());
}
