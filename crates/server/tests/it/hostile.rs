//! Escapes, floods, bounces, port thieves.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;

use crate::site::{Raw, Site, noise};

#[test]
fn nothing_outside_the_root_is_reached() {
    let site = Site::new();
    std::fs::write(site.outside().join("secret"), "secret").unwrap();
    symlink(site.outside(), site.file("up")).unwrap();
    symlink(site.outside().join("secret"), site.file("direct")).unwrap();
    symlink("/proc/self/root", site.file("magic")).unwrap();
    site.write("here", "x");
    let mut raw = site.login();
    let absolute = site.outside().join("secret").into_os_string().into_string().unwrap();
    for name in ["../secret", "/../secret", "../../../../../../etc/passwd", "up/secret", "direct", "magic/etc/passwd"] {
        for command in ["RETR", "STOR", "APPE"] {
            let _data = raw.passive();
            raw.send(format!("{command} {name}\r\n"));
            let (code, text) = raw.reply();
            if code == 150 {
                // `..` stops at the root: an upload makes a file there, and none outside.
                assert_ne!(command, "RETR", "{name}");
                drop(_data);
                raw.reply();
            } else {
                assert!((500..600).contains(&code), "{command} {name}: {text}");
            }
        }
        raw.send(format!("SIZE {name}\r\nDELE {name}\r\n"));
        raw.reply();
        raw.reply();
    }
    for command in [format!("CWD {absolute}"), format!("SIZE {absolute}"), format!("RNFR {absolute}")] {
        raw.command(&command, 550);
    }
    raw.command("CWD up", 550);
    raw.command("RNFR here", 350);
    raw.send("RNTO up/here\r\n");
    assert!(raw.reply().0 >= 500);
    assert_eq!(std::fs::read(site.outside().join("secret")).unwrap(), b"secret");
    assert_eq!(std::fs::read_dir(site.outside()).unwrap().count(), 2, "nothing was added outside");
}

#[test]
fn an_endless_line_is_one_error() {
    let site = Site::new();
    let mut raw = site.login();
    let mut line = b"RETR ".to_vec();
    line.extend(std::iter::repeat_n(b'x', 1_000_000));
    line.extend(b"DELE file\r\n");
    raw.send(line);
    raw.expect(500);
    raw.command("NOOP", 200);
    assert!(!raw.has_more());
}

#[test]
fn data_goes_to_nobody_but_the_client() {
    let site = Site::new();
    let mut raw = site.login();
    let third = TcpListener::bind("127.0.0.9:0").unwrap();
    let port = third.local_addr().unwrap().port();
    let [hi, lo] = port.to_be_bytes();
    raw.command(&format!("PORT 127,0,0,9,{hi},{lo}"), 504);
    raw.command(&format!("EPRT |1|127.0.0.9|{port}|"), 504);
    raw.command("PORT 127,0,0,1,0,25", 504);
    raw.command("LIST", 425);
    third.set_nonblocking(true).unwrap();
    assert!(third.accept().is_err());
}

#[test]
fn a_stranger_at_the_data_port_gets_nothing() {
    let site = Site::new();
    site.write("file", "for the client alone");
    let mut raw = site.login();
    let addr = raw.epsv();
    let mut thief = connect_from(Ipv4Addr::new(127, 0, 0, 9), addr);
    let mut stolen = Vec::new();
    let _ = thief.read_to_end(&mut stolen);
    assert!(stolen.is_empty());
    let mut data = TcpStream::connect(addr).unwrap();
    raw.command("RETR file", 150);
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"for the client alone");
    drop(data);
    raw.expect(226);
}

#[test]
fn a_thousand_silent_connections_lock_nobody_out() {
    let site = Site::new();
    port21_server::raise_descriptor_limit();
    let silent: Vec<TcpStream> = (0..1000).map_while(|_| TcpStream::connect(site.addr).ok()).collect();
    let mut raw = site.login();
    raw.command("PWD", 257);
    // The oldest of them have made room.
    let mut first = &silent[0];
    let mut told = Vec::new();
    first.read_to_end(&mut told).unwrap();
    assert!(told.ends_with(b"not logged in.\r\n"), "{}", String::from_utf8_lossy(&told));
    drop(silent);
    raw.command("QUIT", 221);
}

#[test]
fn sessions_that_are_logged_in_are_not_turned_out() {
    let mut settings = Site::settings();
    settings.max_connections_per_address = 2;
    let site = Site::with(settings);
    let (mut first, mut second) = (site.login(), site.login());
    let mut third = Raw::silent(site.addr);
    third.expect(421);
    assert_eq!(third.into_end(), (true, Vec::new()));
    first.command("NOOP", 200);
    second.command("QUIT", 221);
    assert!(second.into_end().0);
    // The place is given back when the session has ended, which the client cannot see: it may take another try.
    let mut tries = std::iter::repeat_with(|| {
        let mut raw = Raw::silent(site.addr);
        let (code, _) = raw.reply();
        (code, raw)
    });
    let (_, mut raw) = tries.find(|(code, _)| *code == 220).unwrap();
    raw.log_in();
}

#[test]
fn an_account_has_a_limit_of_its_own() {
    let site = Site::new();
    let mut first = site.connect();
    first.command("USER single", 331);
    first.command("PASS secret", 230);
    let mut second = site.connect();
    second.command("USER single", 331);
    second.command("PASS secret", 421);
    // Another login frees the place at once.
    first.command("USER user", 331);
    first.command("PASS secret", 230);
    let mut third = site.connect();
    third.command("USER single", 331);
    third.command("PASS secret", 230);
}

#[test]
fn guesses_end_the_connection() {
    let site = Site::new();
    let mut raw = site.connect();
    for code in [530, 530, 421] {
        raw.command("USER user", 331);
        raw.command("PASS guess", code);
    }
    assert_eq!(raw.into_end(), (true, Vec::new()));
}

#[test]
fn who_does_not_log_in_is_sent_away() {
    let mut settings = Site::settings();
    settings.session.login_timeout = std::time::Duration::from_millis(100);
    let site = Site::with(settings);
    let mut raw = site.connect();
    raw.expect(421);
    assert_eq!(raw.into_end(), (true, Vec::new()));
}

#[test]
fn a_browser_is_not_served() {
    let site = Site::new();
    let mut raw = site.connect();
    raw.send("POST / HTTP/1.1\r\nHost: x\r\n\r\nUSER user\r\nPASS secret\r\nDELE file\r\n");
    let (_, rest) = raw.into_end();
    assert_eq!(rest, b"");
}

#[test]
fn a_client_that_vanishes_leaves_nothing_running() {
    let site = Site::new();
    site.write("large", noise(10_000_000));
    for reset in [false, true] {
        let mut raw = site.login();
        raw.command("TYPE I", 200);
        let data = raw.passive();
        raw.command("RETR large", 150);
        if reset {
            socket2::SockRef::from(raw.socket()).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        }
        drop(raw);
        site.wait_for_the_end();
        drop(data);
    }
    site.login().command("QUIT", 221);
}

#[test]
fn replies_that_nobody_reads_end_the_session() {
    let mut settings = Site::settings();
    settings.write_timeout = std::time::Duration::from_millis(100);
    let site = Site::with(settings);
    let raw = site.login();
    let mut socket = raw.socket();
    // Asks until the server takes no more, and goes on until the connection ends.
    let flood = "HELP\r\n".repeat(1000);
    while socket.write_all(flood.as_bytes()).is_ok() {}
    site.wait_for_the_end();
}

#[test]
fn a_panic_ends_no_session() {
    let site = Site::new();
    let mut raw = site.connect();
    raw.command("USER panic", 331);
    raw.command("PASS x", 421);
    site.login().command("NOOP", 200);
}

#[test]
fn names_cannot_break_a_listing() {
    let site = Site::new();
    site.write("evil\r\n-rw-r--r--   1 ftp ftp 1 Jan 01 00:00 fake", "x");
    let mut raw = site.login();
    for command in ["LIST", "NLST", "MLSD"] {
        let text = raw.fetch(command);
        let lines = text.split(|&b| b == b'\n').filter(|line| !line.is_empty() && !line.ends_with(b".\r")).count();
        assert_eq!(lines, 1, "{}", String::from_utf8_lossy(&text));
    }
}

pub(crate) fn connect_from(ip: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((ip, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}
