//! JSON: every member that docs/trace-json.md names, on the reference session and on captures.

use std::io::Cursor;

use port21_proto::event::{Closing, ConnectionId, End, EventKind, Purpose};
use port21_trace::drawing::{DrawError, Drawing, Format, Which};
use port21_trace::input::{self, Input};
use port21_trace::recording::Recording;
use port21_trace::{Session, render};
use serde_json::{Value, json};

use crate::events::{REFERENCE, Script};
use crate::packets::{Wire, addr, ethernet};

fn drawing(which: Which) -> Drawing {
    Drawing { format: Format::Json, which, ..Drawing::default() }
}

fn parsed(recording: &Recording, which: Which) -> Value {
    let text = drawing(which).draw(recording).unwrap();
    assert!(text.ends_with("}\n") && text.lines().count() == 1);
    serde_json::from_str(&text).unwrap()
}

fn captured(wire: &Wire) -> Recording {
    let bytes = Box::new(Cursor::new(ethernet(&wire.packets)));
    input::read([Input { name: "x.pcap".to_owned(), bytes }]).unwrap()
}

fn of(script: &Script) -> Value {
    let session = Session::from_events(script.events.iter().cloned());
    let text = render::json([("1".to_owned(), session)], &Session::default());
    serde_json::from_str::<Value>(&text).unwrap()["sessions"][0].take()
}

/// What has been said: each command with the codes of its replies.
fn said(session: &Value) -> Vec<String> {
    let commands = session["commands"].as_array().unwrap().iter();
    let told = commands.map(|command| {
        let codes: Vec<String> = command["replies"].as_array().unwrap().iter().map(|r| r["code"].to_string()).collect();
        let word = |name: &str| command[name].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", word("verb"), word("argument"), codes.join(" "))
    });
    told.collect()
}

#[test]
fn the_reference_session() {
    let recording = Recording::read(REFERENCE).unwrap();
    let all = parsed(&recording, Which::All);
    assert_eq!((&all["version"], &all["findings"]), (&json!(1), &json!([])));
    assert_eq!(all.as_object().unwrap().len(), 4);
    let [session] = all["sessions"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!((&session["id"], &session["user"]), (&json!("1"), &json!("ftp")));
    assert_eq!(
        said(session),
        [
            "- - 220",
            "USER ftp 331",
            "PASS *** 230",
            "PORT 192,168,0,2,19,137 200",
            "LIST  150 226",
            "CWD pub 250",
            "PORT 192,168,0,2,19,138 200",
            "RETR readme.txt 150 226",
            "QUIT  221"
        ]
    );
    assert_eq!(session["commands"][2]["replies"][0]["lines"].as_array().unwrap().len(), 2);
    let client = session["client"].as_str().unwrap().to_owned();
    assert!(client.ends_with(":1175") && session["server"].as_str().unwrap().ends_with(":21"));
    let transfers = session["transfers"].as_array().unwrap();
    let told = |t: &Value| (t["verb"].clone(), t["name"].clone(), t["bytes"].clone(), t["destination"].clone());
    assert_eq!(told(&transfers[0]), (json!("LIST"), json!(""), json!(214), json!("192.168.0.2:5001")));
    assert_eq!(told(&transfers[1]), (json!("RETR"), json!("readme.txt"), json!(1715), json!("192.168.0.2:5002")));
    for transfer in transfers {
        assert_eq!(
            (&transfer["direction"], &transfer["mode"], &transfer["end"]),
            (&json!("down"), &json!("PORT"), &json!("fin"))
        );
        assert!(transfer["source"].as_str().unwrap().ends_with(":20"));
    }
    let [lookup] = all["dns"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!((&lookup["name"], &lookup["type"]), (&json!("ftp.any-domain.com"), &json!("A")));
    assert_eq!(lookup["answers"], json!([session["server"].as_str().unwrap().trim_end_matches(":21")]));
    assert!(lookup["t"].as_str() >= session["start"].as_str() && lookup["t"].as_str() < session["end"].as_str());
    let t = session["commands"][1]["t"].as_str().unwrap();
    assert!(t.len() == 30 && t.starts_with("2005-05-02T") && t.ends_with('Z'), "{t}");
    insta::assert_snapshot!(drawing(Which::All).draw(&recording).unwrap());
}

#[test]
fn a_capture() {
    let (client, server) = (addr("10.0.0.2:40000"), addr("10.0.0.1:21"));
    let mut wire = Wire::new();
    wire.login(client, server);
    wire.say(client, server, b"EPSV\r\n").say(server, client, b"229 Entering (|||5000|)\r\n");
    wire.say(client, server, b"STOR a.txt\r\n").say(server, client, b"150 Here\r\n");
    wire.data(addr("10.0.0.2:40001"), addr("10.0.0.1:5000"), addr("10.0.0.2:40001"), 3000);
    wire.say(server, client, b"226 Done\r\n");
    wire.say(client, server, b"PASV\r\n").say(server, client, b"227 At (10,0,0,1,19,137).\r\n");
    wire.say(client, server, b"RETR b.txt\r\n").say(server, client, b"150 Here\r\n226 Done\r\n");
    wire.say(client, server, b"NOOP\r\nQUIT\r\n").say(server, client, b"200 Yes\r\n221-Bye\r\n221 now\r\n");
    wire.close(server, client);
    let all = parsed(&captured(&wire), Which::All);
    let session = &all["sessions"][0];
    assert_eq!(
        said(session),
        [
            "- - 220",
            "USER anna 331",
            "PASS *** 230",
            "EPSV  229",
            "STOR a.txt 150 226",
            "PASV  227",
            "RETR b.txt 150 226",
            "NOOP  200",
            "QUIT  221"
        ]
    );
    assert_eq!((&session["client"], &session["server"]), (&json!("10.0.0.2:40000"), &json!("10.0.0.1:21")));
    let mut transfers = session["transfers"].clone();
    for transfer in transfers.as_array_mut().unwrap() {
        transfer.as_object_mut().unwrap().remove("t").unwrap();
    }
    let want = json!([
        {"verb": "STOR", "name": "a.txt", "direction": "up", "mode": "EPSV", "source": "10.0.0.2:40001",
            "destination": "10.0.0.1:5000", "bytes": 3000, "end": "fin"},
        {"verb": "RETR", "name": "b.txt", "direction": "down", "mode": "PASV", "source": null,
            "destination": null, "bytes": 0, "end": "missing"},
    ]);
    assert_eq!(transfers, want);
}

#[test]
fn what_is_wrong_with_each_session() {
    let mut script = Script::logged_in();
    script.command("EPSV").reply(229, &["Entering Extended Passive Mode (|||50000|)"]);
    script.opening(1, Purpose::Data, End::Client, None, Some("10.0.0.1:50000"));
    script.push(EventKind::OpenFailed { connection: ConnectionId(1), why: "no answer within 30 s".to_owned() });
    script.command("LIST").reply(425, &["Nobody\u{1b}[31m came."]);
    script.command("PASS geheim").reply(230, &["Welcome."]);
    let session = || Session::from_events(script.events.iter().cloned());
    let text =
        render::json([("well".to_owned(), Session::default()), ("ill".to_owned(), session())], &Session::default());
    assert!(!text.contains("geheim") && !text.contains("\\u001b[31m came.\",\"rule"), "{text}");
    let all = serde_json::from_str::<Value>(&text).unwrap();
    let findings = all["findings"].as_array().unwrap();
    assert!(findings.iter().all(|f| f["session"] == "ill" && f.as_object().unwrap().len() == 6), "{findings:?}");
    let first = &findings[0];
    assert_eq!((&first["rule"], &first["severity"]), (&json!("data-unanswered"), &json!("fault")));
    assert!(first["text"].as_str().unwrap().contains("10.0.0.1:50000"), "{first}");
    assert!(first["advice"].as_str().unwrap().contains("passive"), "{first}");
    let rows = first["rows"].as_array().unwrap();
    let told: Vec<String> =
        rows.iter().map(|r| format!("{}: {}", r["kind"].as_str().unwrap(), r["text"].as_str().unwrap())).collect();
    assert_eq!(
        told,
        [
            "command: EPSV",
            "reply: 229 Entering Extended Passive Mode (|||50000|)",
            "opening: the client opens the data connection",
            "open_failed: the data connection did not come to stand: no answer within 30 s",
            "command: LIST",
            "reply: 425 Nobody\\x1b[31m came.",
        ]
    );
    // What a program needs more of it finds by the time.
    let commands = all["sessions"][1]["commands"].as_array().unwrap();
    let listed = commands.iter().find(|c| c["verb"] == "LIST").unwrap();
    assert_eq!((&listed["t"], &listed["replies"][0]["t"]), (&rows[4]["t"], &rows[5]["t"]));
}

#[test]
fn data_without_its_control_connection() {
    let mut wire = Wire::new();
    wire.data(addr("10.0.0.1:20"), addr("10.0.0.2:40960"), addr("10.0.0.1:20"), 5000);
    let all = parsed(&captured(&wire), Which::All);
    let session = &all["sessions"][0];
    assert_eq!((&session["client"], &session["user"], &session["commands"]), (&Value::Null, &Value::Null, &json!([])));
    let transfer = &session["transfers"][0];
    assert_eq!((&transfer["verb"], &transfer["bytes"], &transfer["end"]), (&Value::Null, &json!(5000), &json!("fin")));
    assert_eq!((&transfer["source"], &transfer["direction"]), (&json!("10.0.0.1:20"), &json!("down")));
}

#[test]
fn how_data_ended() {
    let end = |events: &[(End, Closing)]| {
        let mut script = Script::logged_in();
        script.command("PASV").reply(227, &["Entering Passive Mode (10,0,0,1,200,1)."]);
        script.opened(1, Purpose::Data, End::Client, Some("10.0.0.2:41000"), Some("10.0.0.1:51201"));
        script.command("RETR a").reply(150, &["Here."]).data(1, End::Server, 10);
        for &(by, how) in events {
            script.push(EventKind::Closed { connection: ConnectionId(1), by, how });
        }
        of(&script)["transfers"][0]["end"].as_str().unwrap().to_owned()
    };
    let (fin, rst) = (Closing::Fin, Closing::Reset);
    assert_eq!(end(&[]), "none");
    assert_eq!(end(&[(End::Server, fin), (End::Client, rst)]), "fin");
    assert_eq!(end(&[(End::Client, fin)]), "fin");
    assert_eq!(end(&[(End::Client, fin), (End::Server, rst)]), "rst");
    assert_eq!(end(&[(End::Client, rst)]), "rst");
}

#[test]
fn bytes_that_are_no_text_and_characters_that_deceive() {
    let mut script = Script::logged_in();
    let argument = b"r\xe9sum\xe9".to_vec();
    script.push(EventKind::Command { connection: ConnectionId::CONTROL, verb: "DELE".to_owned(), argument });
    script.reply(250, &["a\u{202e}b\u{9b}c\u{7f}"]);
    let argument = b"geheim".to_vec();
    script.push(EventKind::Command { connection: ConnectionId::CONTROL, verb: "PASS".to_owned(), argument });
    let text =
        render::json([("1".to_owned(), Session::from_events(script.events.iter().cloned()))], &Session::default());
    assert!(text.contains(r#""argument":{"hex":"72e973756de9"}"#), "{text}");
    assert!(text.contains(r#"["a\u202eb\u009bc\u007f"]"#) && !text.contains("geheim"), "{text}");
    serde_json::from_str::<Value>(&text).unwrap();
}

#[test]
fn all_sessions_unless_one_is_named() {
    let second = String::from_utf8(REFERENCE.to_vec()).unwrap();
    let twice = format!("{second}{second}");
    let mut recording = Recording::read(twice.as_bytes()).unwrap();
    let ids = |all: &Value| -> Vec<String> {
        all["sessions"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = parsed(&recording, Which::All);
    assert_eq!((ids(&all), all["dns"].as_array().unwrap().len()), (vec!["1".to_owned(), "2".to_owned()], 1));
    assert_eq!(ids(&parsed(&recording, Which::One("2".to_owned()))), ["2"]);
    recording.sessions[0].name = Some("2".to_owned());
    assert_eq!(ids(&parsed(&recording, Which::All)), ["2", "2/"]);
    recording.sessions[1].name = Some("2".to_owned());
    assert_eq!(ids(&parsed(&recording, Which::All)), ["2", "2/2"]);
    let error = drawing(Which::One("9".to_owned())).draw(&recording).unwrap_err();
    assert_eq!(error, DrawError::NoSuchSession("9".to_owned()));
    assert_eq!(parsed(&Recording::default(), Which::All)["sessions"], json!([]));
}
