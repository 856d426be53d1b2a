//! Recordings of the client, and what is drawn of them.

use super::support::Site;

#[test]
fn a_client_records_and_trace_draws() {
    let site = Site::start();
    site.run(&["get", "--trace", "s.jsonl", &site.bob("pub/readme.txt")]).ok();
    let recording = std::fs::read_to_string(site.local("s.jsonl")).unwrap();
    assert!(!recording.contains("secret"), "{recording}");
    let text = site.run(&["trace", "s.jsonl"]).ok();
    assert!(text.contains("RETR pub/readme.txt") && !text.contains('\x1b'), "{text}");
    site.run(&["trace", "s.jsonl", "-o", "s.svg", "-o", "s.txt", "--date", "2005-05-02", "--title", "A title"]).ok();
    let svg = std::fs::read_to_string(site.local("s.svg")).unwrap();
    assert!(svg.starts_with("<svg") || svg.starts_with("<?xml"), "{}", &svg[..80]);
    assert!(svg.contains("A title") && std::fs::read_to_string(site.local("s.txt")).unwrap().contains("2005-05-02"));
    assert_eq!(site.feed(&["trace", "-", "--list"], &recording).ok().lines().count(), 1);
    let narrow = site.feed(&["trace", "-", "--ascii", "--width", "60", "--no-tcp"], &recording).ok();
    assert!(narrow.is_ascii() && narrow.lines().all(|line| line.len() <= 60) && !narrow.contains("SYN"), "{narrow}");
    // A password in clear text is worth a note, and nothing in this session is worse.
    assert!(text.contains("clear-password") && !text.contains("WARNING") && !text.contains("FAULT"), "{text}");
    site.run(&["trace", "s.jsonl", "--fail-on", "warning"]).ok();
    assert_eq!(site.run(&["trace", "s.jsonl", "--fail-on", "note"]).code, Some(8));
    site.run(&["trace", "s.jsonl", "-o", "s.html"]).ok();
    assert!(std::fs::read_to_string(site.local("s.html")).unwrap().starts_with("<!doctype html>"));
    let mermaid = site.run(&["trace", "s.jsonl", "--format", "mermaid"]).ok();
    assert!(mermaid.contains("\nsequenceDiagram\n") && mermaid.contains("RETR pub/readme.txt"), "{mermaid}");
    let fields = site.run(&["trace", "s.jsonl", "--fields", "--only", &format!("server:{}", site.port())]).ok();
    assert!(fields.contains("ftp.response.code"), "{fields}");
}

#[test]
fn every_format_is_the_same_bytes_each_time() {
    let site = Site::start();
    site.run(&["get", "--trace", "s.jsonl", &site.bob("pub/readme.txt")]).ok();
    for ending in ["txt", "svg", "pdf", "html", "mmd", "json", "jsonl"] {
        let [one, other] = ["one", "other"].map(|name| format!("{name}.{ending}"));
        for name in [&one, &other] {
            site.run(&["trace", "s.jsonl", "-o", name, "--date", "2005-05-02"]).ok();
        }
        let [one, other] = [one, other].map(|name| std::fs::read(site.local(&name)).unwrap());
        assert!(one == other && !one.is_empty(), "{ending}");
        let is_dated =
            one.windows(10).any(|part| part == b"2005-05-02") || one.windows(8).any(|part| part == b"20050502");
        // These have no heading with a date: what they show is the session's own.
        assert!(is_dated || ["mmd", "json", "jsonl"].contains(&ending), "{ending}");
    }
    let letter = ["trace", "s.jsonl", "-o", "letter.pdf", "--paper", "letter", "--only"];
    site.run(&[&letter[..], &[&format!("server:{}", site.port())]].concat()).ok();
    let letter = std::fs::read(site.local("letter.pdf")).unwrap();
    assert!(letter.windows(7).any(|part| part == b"792 612"));
    site.run(&["trace", "s.jsonl", "-o", "x.doc"]).fails(2);
}

#[test]
fn a_console_records_each_of_its_sessions() {
    let site = Site::start();
    let open = format!("open 127.0.0.1 {}\nuser bob secret\nclose\n", site.port());
    site.feed(&["shell", "--trace", "s.jsonl"], &open.repeat(2)).ok();
    assert!(!std::fs::read_to_string(site.local("s.jsonl")).unwrap().contains("secret"));
    assert_eq!(site.run(&["trace", "s.jsonl"]).ok(), site.run(&["trace", "s.jsonl", "--session", "all"]).ok());
    let error = site.run(&["trace", "s.jsonl", "--format", "svg"]).fails(2);
    assert!(error.contains("2 sessions") && error.contains("--session"), "{error}");
    // Each has a file of its own where a file has room for one.
    let ran = site.run(&["trace", "s.jsonl", "-o", "x.svg", "-o", "x.pdf", "-o", "x.html", "-o", "x.txt"]);
    assert!(ran.err.contains("x-1.svg to x-2.svg"), "{}", ran.err);
    ran.ok();
    for (name, there) in
        [("x.svg", false), ("x-2.svg", true), ("x-1.html", true), ("x.pdf", true), ("x-1.pdf", false), ("x.txt", true)]
    {
        assert_eq!(site.local(name).exists(), there, "{name}");
    }
    assert_eq!(site.run(&["trace", "s.jsonl", "--list"]).ok().lines().count(), 2);
    site.run(&["trace", "s.jsonl", "--session", "2"]).ok();
    site.run(&["trace", "s.jsonl", "--session", "3"]).fails(2);
    let json = site.run(&["trace", "s.jsonl", "--format", "json"]).ok();
    assert!(json.starts_with(r#"{"version":1,"sessions":["#) && json.matches(r#""user":"bob""#).count() == 2, "{json}");
    let one = site.run(&["trace", "s.jsonl", "--format", "json", "--session", "2"]).ok();
    assert_eq!(one.matches(r#""user":"bob""#).count(), 1, "{one}");
    // A recording of a recording draws the same, session by session.
    site.run(&["trace", "s.jsonl", "-o", "again.jsonl"]).ok();
    let list = |file: &str, host: &str| site.run(&["trace", file, "--list", "--host", host]).ok().lines().count();
    assert_eq!((list("s.jsonl", "127.0.0.1"), list("again.jsonl", "::ffff:127.0.0.1")), (2, 2));
    let drawn = |file: &str| site.run(&["trace", file, "--session", "2"]).ok();
    assert_eq!(drawn("s.jsonl"), drawn("again.jsonl"));
    let nobody = site.run(&["trace", "s.jsonl", "--list", "--host", "192.0.2.1"]).fails(2);
    assert!(nobody.contains("192.0.2.1 is in none of the 2 sessions"), "{nobody}");
}

/// A packet of a capture of raw IPv4: what the server (from port 21) or its client sends.
fn packet(from_server: bool, flags: u8, seq: u32, ack: u32, data: &[u8]) -> Vec<u8> {
    let (client, server) = (([10, 0, 0, 2], 40_000u16.to_be_bytes()), ([10, 0, 0, 1], 21u16.to_be_bytes()));
    let (from, to) = if from_server { (server, client) } else { (client, server) };
    let length = 40 + data.len() as u16;
    let [hi, lo] = length.to_be_bytes();
    let ip = [&[0x45, 0, hi, lo, 0, 0, 0, 0, 64, 6, 0, 0][..], &from.0, &to.0].concat();
    let ports = [from.1, to.1].concat();
    let tcp = [&ports[..], &seq.to_be_bytes(), &ack.to_be_bytes(), &[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]].concat();
    let record = [&[1, 0, 0, 0, 0, 0, 0, 0][..], &u32::from(length).to_le_bytes(), &u32::from(length).to_le_bytes()];
    [record.concat(), ip, tcp, data.to_vec()].concat()
}

#[test]
fn a_capture_is_drawn_and_one_that_is_cut_off_is_drawn_as_far_as_it_goes() {
    let head = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 101].map(u32::to_le_bytes).concat();
    let packets = [
        packet(false, 0x02, 100, 0, b""),
        packet(true, 0x12, 500, 101, b""),
        packet(false, 0x10, 101, 501, b""),
        packet(true, 0x18, 501, 101, b"220 Ready.\r\n"),
        packet(false, 0x18, 101, 513, b"USER anna\r\nPASS geheim\r\n"),
        packet(true, 0x18, 513, 125, b"331 Password?\r\n"),
    ];
    let mut file = [head, packets.concat()].concat();
    file.truncate(file.len() - 3);
    let site = Site::start();
    std::fs::write(site.local("x.pcap"), file).unwrap();
    let ran = site.run(&["trace", "x.pcap", "--width", "120"]);
    assert!(ran.err.contains("cut off behind 5 packets"), "{}", ran.err);
    let text = ran.ok();
    assert!(text.contains("USER anna") && text.contains("PASS ***") && text.contains("SYN+ACK"), "{text}");
    assert!(!text.contains("geheim") && !text.contains("331"), "{text}");
    // To who asks for it the capture tells it, and nobody else can read the file.
    let shown = site.run(&["trace", "x.pcap", "--show-secrets", "--width", "120", "-o", "x.json", "-o", "-"]).ok();
    assert!(shown.contains("PASS geheim"), "{shown}");
    assert!(std::fs::read_to_string(site.local("x.json")).unwrap().contains(r#""argument":"geheim""#));
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(site.local("x.json")).unwrap().permissions().mode() & 0o777, 0o600);
    let error = site.run(&["trace", "x.pcap", "--show-secrets", "-o", "x.jsonl"]).fails(2);
    assert!(error.contains("a recording holds no passwords"), "{error}");
    assert_eq!(site.run(&["trace", "--live", "lo", "--show-secrets"]).code, Some(2));
}

#[test]
fn a_session_that_failed_is_named_and_fails() {
    let site = Site::start();
    site.run(&["get", "--trace", "s.jsonl", &site.bob("pub/nothing.txt")]).fails(5);
    let text = site.run(&["trace", "s.jsonl"]).ok();
    assert!(text.contains("FAULT    transfer-failed"), "{text}");
    assert_eq!(site.run(&["trace", "s.jsonl", "-o", "s.svg", "--fail-on", "fault"]).code, Some(8));
    assert!(site.local("s.svg").exists(), "it is drawn all the same");
    assert_eq!(site.run(&["trace", "s.jsonl", "--list", "--fail-on", "fault"]).code, Some(8));
    assert_eq!(site.run(&["trace", "s.jsonl", "--fail-on", "trouble"]).code, Some(2));
    // All sessions stand in JSON, and all are judged.
    site.run(&["get", "--trace", "t.jsonl", &site.bob("pub/readme.txt")]).ok();
    let both = ["trace", "t.jsonl", "s.jsonl", "--format", "json", "--fail-on", "fault"];
    let ran = site.run(&both);
    assert_eq!(ran.code, Some(8));
    assert!(ran.out.contains("\"rule\":\"transfer-failed\",\"severity\":\"fault\",\"session\":\"2\""), "{}", ran.out);
    assert_eq!(site.run(&["trace", "t.jsonl", "s.jsonl", "--fail-on", "fault"]).code, Some(8));
    assert_eq!(site.run(&["trace", "t.jsonl", "s.jsonl", "--session", "1", "--fail-on", "fault"]).code, Some(0));
}

#[test]
fn what_cannot_be_drawn() {
    let site = Site::start();
    let error = site.run(&["trace", "s.jsonl", "-o", "s.doc"]).fails(2);
    assert!(error.contains(".txt, .svg, .pdf, .html, .mmd, .json and .jsonl"), "{error}");
    assert!(site.run(&["trace", "nowhere.jsonl"]).fails(1).contains("nowhere.jsonl"));
    assert!(site.feed(&["trace", "-"], "hello\n").fails(1).contains("not a port21 recording"));
    assert!(site.run(&["trace", "-", "--only", "moon"]).fails(2).contains("moon"));
}
