//! Clients behind a proxy: who they are, whom their data goes to, and who may say so.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use port21_proto::event::{ConnectionId, EventKind};
use port21_server::Settings;

use crate::hostile::connect_from;
use crate::site::{PATIENCE, Raw, Site};

/// The proxy; everybody else connects from 127.0.0.1.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 5);

fn site() -> Site {
    Site::with(Settings { proxies: vec!["127.0.0.5".parse().unwrap()], ..Site::settings() })
}

/// A connection by way of the proxy.
fn via_proxy(to: SocketAddr, header: &str) -> TcpStream {
    let mut stream = connect_from(PROXY, to);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(header.as_bytes()).unwrap();
    stream
}

/// A client at 203.0.113.7 that has connected to 198.51.100.1:21.
const CLIENT: &str = "PROXY TCP4 203.0.113.7 198.51.100.1 1025 21\r\n";

fn login(site: &Site) -> Raw {
    let mut raw = Raw::over(via_proxy(site.addr, CLIENT));
    raw.expect(220);
    raw.log_in();
    raw
}

fn read(mut stream: TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = Vec::new();
    // Who is dropped may be so by a RST.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

#[test]
fn the_session_is_that_of_the_client() {
    let site = site();
    let raw = login(&site);
    let opened = site.wait_for(|kind| matches!(kind, EventKind::Opened(c) if c.id == ConnectionId::CONTROL));
    let EventKind::Opened(connection) = opened.kind else { unreachable!() };
    assert_eq!(connection.client, Some("203.0.113.7:1025".parse().unwrap()));
    assert_eq!(connection.server, Some("198.51.100.1:21".parse().unwrap()));
    drop(raw);
}

#[test]
fn commands_right_behind_the_header_are_kept() {
    let site = site();
    let ahead = format!("{CLIENT}USER user\r\nPASS secret\r\nPWD\r\n");
    let mut raw = Raw::over(via_proxy(site.addr, &ahead));
    for code in [220, 331, 230, 257] {
        raw.expect(code);
    }
}

#[test]
fn data_comes_through_the_proxy_as_well() {
    let site = site();
    site.write("file", "for the client alone");
    let mut raw = login(&site);
    // The port is told at the address that the client has connected to, which is the proxy's.
    raw.send("PASV\r\n");
    let (code, text) = raw.reply();
    assert_eq!(code, 227);
    let (_, numbers) = text.split_once("(198,51,100,1,").unwrap();
    let (hi, lo) = numbers.trim_end().trim_end_matches([')', '.']).split_once(',').unwrap();
    let port = u16::from_be_bytes([hi.parse().unwrap(), lo.parse().unwrap()]);
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));

    // A proxy that says nothing holds nobody up; another client behind it, the proxy itself, one that comes past the proxy
    // and one that only claims to be a proxy are not the client.
    let _silent = connect_from(PROXY, to);
    let strangers = [
        via_proxy(to, "PROXY TCP4 203.0.113.8 198.51.100.1 1026 21\r\n"),
        via_proxy(to, "PROXY UNKNOWN\r\n"),
        via_proxy(to, "no header at all\r\n"),
        TcpStream::connect(to).unwrap(),
        {
            let mut past = TcpStream::connect(to).unwrap();
            let _ = past.write_all(CLIENT.as_bytes());
            past
        },
    ];
    for stranger in strangers {
        assert_eq!(read(stranger), b"");
    }
    let data = via_proxy(to, "PROXY TCP4 203.0.113.7 198.51.100.1 1027 50000\r\n");
    raw.command("RETR file", 150);
    assert_eq!(read(data), b"for the client alone");
    raw.expect(226);
}

#[test]
fn uploads_begin_behind_the_header() {
    let site = site();
    let mut raw = login(&site);
    let to = raw.epsv();
    let mut data = via_proxy(to, "PROXY TCP4 203.0.113.7 198.51.100.1 1027 50000\r\nthe first bytes");
    raw.command("STOR new", 150);
    data.write_all(b" and the last").unwrap();
    drop(data);
    raw.expect(226);
    assert_eq!(site.read("new"), b"the first bytes and the last");
}

#[test]
fn nobody_else_may_say_who_they_are() {
    let site = site();
    // From no proxy: it is a line that is none, and nothing behind it is done.
    let mut stream = TcpStream::connect(site.addr).unwrap();
    stream.write_all(format!("{CLIENT}USER user\r\nPASS secret\r\nMKD made\r\n").as_bytes()).unwrap();
    let told = read(stream);
    assert!(told.is_empty() || told.starts_with(b"220 "), "{}", String::from_utf8_lossy(&told));
    assert!(site.names().is_empty());
    // From the proxy, without a header: dropped, and nothing is said.
    assert_eq!(read(via_proxy(site.addr, "USER user\r\nPASS secret\r\nMKD made\r\n")), b"");
    assert!(site.names().is_empty());
}

#[test]
fn a_proxy_may_look_whether_the_server_is_well() {
    let site = site();
    let mut raw = Raw::over(via_proxy(site.addr, "PROXY UNKNOWN\r\n"));
    raw.expect(220);
    raw.command("QUIT", 221);
    let mut local = connect_from(PROXY, site.addr);
    local.write_all(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0").unwrap();
    Raw::over(local).expect(220);
    // And hang up.
    drop(connect_from(PROXY, site.addr));
    login(&site).command("NOOP", 200);
}

#[test]
fn limits_of_addresses_are_those_of_the_clients() {
    let site = Site::with(Settings {
        proxies: vec!["127.0.0.5".parse().unwrap()],
        max_connections_per_address: 1,
        ..Site::settings()
    });
    let _first = login(&site);
    let mut second = Raw::over(via_proxy(site.addr, CLIENT));
    second.expect(421);
    let mut other = Raw::over(via_proxy(site.addr, "PROXY TCP4 203.0.113.8 198.51.100.1 1025 21\r\n"));
    other.expect(220);
}

/// The server connects past the proxy, from its own machine, and only ever to the client itself.
#[test]
fn active_mode_passes_the_proxy_by() {
    let site = site();
    site.write("file", "text");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let [hi, lo] = listener.local_addr().unwrap().port().to_be_bytes();
    let mut raw = Raw::over(via_proxy(site.addr, "PROXY TCP4 127.0.0.1 198.51.100.1 1025 21\r\n"));
    raw.expect(220);
    raw.log_in();
    raw.command(&format!("PORT 127,0,0,5,{hi},{lo}"), 504);
    raw.command(&format!("PORT 127,0,0,1,{hi},{lo}"), 200);
    raw.command("RETR file", 150);
    let (data, from) = listener.accept().unwrap();
    assert_eq!(from.ip(), Ipv4Addr::LOCALHOST);
    assert_eq!(read(data), b"text");
    raw.expect(226);
}
