//! Transfers watched, stopped, pipelined and stalled.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use port21_proto::event::EventKind;
use port21_server::Settings;
use rustix::net::{SendFlags, send};

use crate::site::{PATIENCE, Raw, Site, noise};

/// More than fits into the buffers of two sockets: a transfer of it stalls while nobody reads.
const LARGE: usize = 64 * 1024 * 1024;

/// A client in the middle of a download that it does not read.
fn stalled(site: &Site) -> (Raw, TcpStream) {
    std::fs::File::create(site.file("large")).unwrap().set_len(LARGE as u64).unwrap();
    let mut raw = site.login();
    raw.command("TYPE I", 200);
    let data = raw.passive();
    raw.command("RETR large", 150);
    (raw, data)
}

fn rest(mut data: TcpStream) -> usize {
    let mut bytes = Vec::new();
    // An abort may end the connection with a RST.
    let _ = data.read_to_end(&mut bytes);
    bytes.len()
}

#[test]
fn questions_are_answered_while_a_transfer_stalls() {
    let site = Site::new();
    let (mut raw, mut data) = stalled(&site);
    raw.command("NOOP", 200);
    let status = raw.command("STAT", 211);
    assert!(status.contains("RETR large"), "{status}");
    // What waits for its turn is answered after the transfer.
    raw.send("PWD\r\n");
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), LARGE);
    drop(data);
    raw.expect(226);
    raw.expect(257);
}

#[test]
fn abor_stops_a_transfer() {
    let site = Site::new();
    let (mut raw, data) = stalled(&site);
    raw.command("ABOR", 426);
    raw.expect(226);
    assert!(rest(data) < LARGE);
    assert_eq!(raw.fetch("NLST"), b"large\r\n");
    raw.command("ABOR", 226);
}

#[test]
fn urgent_abor_stops_a_transfer() {
    let site = Site::new();
    let (mut raw, data) = stalled(&site);
    // As BSD's client does: IAC IP in band, the Telnet DM urgent, then the command.
    send(raw.socket(), b"\xff\xf4\xff", SendFlags::OOB).unwrap();
    raw.send(b"\xf2ABOR\r\n");
    raw.expect(426);
    raw.expect(226);
    assert!(rest(data) < LARGE);
    raw.command("NOOP", 200);
}

#[test]
fn abor_before_anybody_has_connected() {
    let site = Site::new();
    site.write("file", "x");
    let mut raw = site.login();
    let addr = raw.epsv();
    raw.command("RETR file", 150);
    raw.command("ABOR", 426);
    raw.expect(226);
    assert!(TcpStream::connect(addr).is_err(), "the port is closed");
    assert_eq!(raw.fetch("RETR file"), b"x");
}

#[test]
fn abor_of_an_upload_leaves_nothing() {
    let site = Site::new();
    site.write("file", "old");
    let mut raw = site.login();
    let mut data = raw.passive();
    raw.command("STOR file", 150);
    data.write_all(&noise(500_000)).unwrap();
    raw.command("ABOR", 426);
    raw.expect(226);
    assert_eq!(site.read("file"), b"old");
    raw.store("STOR file", b"new");
    assert_eq!(site.read("file"), b"new");
    assert_eq!(site.names(), ["file"]);
}

#[test]
fn quit_lets_the_transfer_end() {
    let site = Site::new();
    let (mut raw, mut data) = stalled(&site);
    raw.send("QUIT\r\n");
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), LARGE);
    drop(data);
    raw.expect(226);
    raw.expect(221);
    assert_eq!(raw.into_end(), (true, Vec::new()), "the server closes first, in order");
}

#[test]
fn quit_lets_an_upload_end() {
    let site = Site::new();
    let mut raw = site.login();
    let mut data = raw.passive();
    raw.command("STOR file", 150);
    raw.send("QUIT\r\n");
    data.write_all(b"whole").unwrap();
    drop(data);
    raw.expect(226);
    raw.expect(221);
    assert_eq!(site.read("file"), b"whole");
}

#[test]
fn a_client_that_has_said_quit_and_nothing_more_gets_its_file() {
    let site = Site::new();
    let (mut raw, mut data) = stalled(&site);
    raw.send("QUIT\r\n");
    raw.socket().shutdown(Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), LARGE);
    drop(data);
    raw.expect(226);
    raw.expect(221);
}

#[test]
fn commands_sent_ahead_are_answered_in_order() {
    let site = Site::new();
    site.write("a", "first");
    site.write("b", "second");
    let mut raw = site.login();
    raw.send("EPSV\r\nRETR a\r\nEPSV\r\nRETR b\r\n");
    for want in [&b"first"[..], b"second"] {
        let text = raw.expect(229);
        let port = port21_proto::addr::parse_epsv(text.trim_end().as_bytes()).unwrap();
        let mut data = TcpStream::connect((site.addr.ip(), port)).unwrap();
        raw.expect(150);
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, want);
        drop(data);
        raw.expect(226);
    }
}

#[test]
fn more_commands_than_may_wait_are_answered_all_the_same() {
    let site = Site::new();
    let (mut raw, data) = stalled(&site);
    // The first may not overtake the transfer, and so none of the others does.
    raw.send("PWD\r\n".repeat(1000));
    assert_eq!(rest(data), LARGE);
    raw.expect(226);
    for _ in 0..1000 {
        raw.expect(257);
    }
}

#[test]
fn the_final_reply_does_not_wait_for_a_client_that_closes_late() {
    let site = Site::new();
    site.write("file", noise(300_000));
    let mut raw = site.login();
    raw.command("TYPE I", 200);
    let mut data = raw.passive();
    raw.command("RETR file", 150);
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    // The connection is still open on this side.
    raw.expect(226);
    drop(data);
    assert_eq!(bytes.len(), 300_000);
}

#[test]
fn a_client_that_ends_its_side_early_gets_everything() {
    let site = Site::new();
    site.write("file", noise(3_000_000));
    let mut raw = site.login();
    raw.command("TYPE I", 200);
    let mut data = raw.passive();
    data.shutdown(Shutdown::Write).unwrap();
    raw.command("RETR file", 150);
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    raw.expect(226);
    assert!(bytes == site.read("file"));
}

#[test]
fn a_download_that_the_client_cuts_is_no_success() {
    let site = Site::new();
    let (mut raw, data) = stalled(&site);
    socket2::SockRef::from(&data).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(data);
    raw.expect(426);
    raw.command("NOOP", 200);
}

#[test]
fn a_file_that_shrinks_is_no_success() {
    let site = Site::new();
    let (mut raw, mut data) = stalled(&site);
    std::fs::OpenOptions::new().write(true).open(site.file("large")).unwrap().set_len(1).unwrap();
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    assert!(bytes.len() < LARGE);
    drop(data);
    raw.expect(451);
}

#[test]
fn a_transfer_that_stalls_is_given_up() {
    let mut settings = Site::settings();
    settings.session.stall_timeout = std::time::Duration::from_millis(200);
    let site = Site::with(settings);
    let (mut raw, data) = stalled(&site);
    raw.expect(426);
    drop(data);
    raw.command("NOOP", 200);
}

#[test]
fn a_data_connection_that_nobody_opens_is_given_up() {
    let mut settings = Site::settings();
    settings.session.data_open_timeout = std::time::Duration::from_millis(100);
    let site = Site::with(settings);
    site.write("file", "x");
    let mut raw = site.login();
    raw.epsv();
    raw.command("RETR file", 150);
    raw.expect(425);
    assert_eq!(raw.fetch("RETR file"), b"x");
}

/// Who has connected ahead of a command that is refused finds the connection open until then, and closed with the next one.
#[test]
fn the_connection_for_a_command_that_was_refused_is_closed_with_the_next() {
    let site = Site::new();
    let mut raw = site.login();
    for _ in 0..20 {
        let mut data = raw.passive();
        raw.command("RETR missing", 550);
        data.set_nonblocking(true).unwrap();
        assert_eq!(data.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        data.set_nonblocking(false).unwrap();
        raw.command("STAT /", 212);
        assert_eq!(data.read(&mut [0]).unwrap_or(0), 0);
    }
}

#[test]
fn an_upload_over_quota_can_be_sent_to_its_end() {
    let site = Site::over(Site::settings(), |files| {
        Arc::new(crate::storages::Capped { files, most: 100_000 }) as Arc<dyn port21_server::Storage>
    });
    let mut raw = site.login();
    for how in ["TYPE I", "TYPE A"] {
        raw.command(how, 200);
        let mut data = raw.passive();
        raw.command("STOR file", 150);
        data.write_all(&noise(5_000_000)).unwrap();
        data.shutdown(std::net::Shutdown::Write).unwrap();
        // The server has ended its side in order.
        assert_eq!(data.read(&mut [0]).unwrap(), 0);
        raw.expect(552);
        // Nothing that is sent to the old connection is for the next.
        assert_eq!(site.names(), [""; 0]);
    }
    // The reply does not wait for that end.
    let mut data = raw.passive();
    raw.command("STOR file", 150);
    data.write_all(&noise(200_000)).unwrap();
    raw.expect(552);
}

#[test]
fn a_refused_active_connection_is_told() {
    let site = Site::new();
    let mut raw = site.login();
    drop(raw.active());
    raw.command("LIST", 150);
    let text = raw.expect(425);
    assert!(text.contains("refused"), "{text}");
}

#[test]
fn a_missing_file_is_told_before_150() {
    let site = Site::new();
    let mut raw = site.login();
    let _data = raw.passive();
    raw.command("RETR missing", 550);
    let listener = raw.active();
    raw.command("RETR missing", 550);
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nothing was connected");
}

#[test]
fn ports_are_given_back_with_the_refusal_of_a_transfer() {
    let site = Site::with(Settings { passive_ports: Some(51_000..=51_099), ..Site::settings() });
    site.write("file", "x");
    let mut raw = site.connect();
    raw.command("USER anonymous", 331);
    raw.command("PASS me@", 230);
    for (line, code) in [("RETR missing", 550), ("STOR file", 550), ("REST 1\r\nRETR file", 350), ("LIST missing", 550)]
    {
        raw.command("EPSV", 229);
        assert_eq!(site.handle.counts().passive_in_use, 1);
        raw.command(line, code);
        if code == 350 {
            raw.expect(504);
        }
        raw.command("RETR file", 425);
        // Until the next operation begins a connection is still waited for, so that its client reads the reply.
        raw.command("DSIZ /", 213);
        while site.handle.counts().passive_in_use > 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn active_data_comes_from_the_control_connections_address() {
    let site = Site::new();
    site.write("file", "x");
    let mut raw = site.login();
    let listener = raw.active();
    raw.command("RETR file", 150);
    let (mut data, from) = listener.accept().unwrap();
    assert_eq!(from.ip(), site.addr.ip());
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    drop(data);
    assert_eq!(bytes, b"x");
    raw.expect(226);
}

#[test]
fn over_ipv6() {
    let Some(site) = Site::over_ipv6() else { return };
    site.write("file", "hello");
    let mut raw = site.login();
    let text = raw.command("PASV", 425);
    assert!(text.contains("EPSV"), "{text}");
    assert_eq!(raw.fetch("RETR file"), b"hello");
    let listener = TcpListener::bind((site.addr.ip(), 0)).unwrap();
    raw.command(&format!("EPRT {}", port21_proto::addr::write_eprt(listener.local_addr().unwrap())), 200);
    raw.command("RETR file", 150);
    let (mut data, _) = listener.accept().unwrap();
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    drop(data);
    raw.expect(226);
    assert_eq!(bytes, b"hello");
}

#[test]
fn the_advertised_address_is_for_those_outside() {
    let outside = [(Vec::new(), "192.0.2.7"), (port21_server::Network::private(), "127.0.0.1")];
    for (local_networks, told) in outside {
        let settings = Settings { advertise: Some("192.0.2.7".parse().unwrap()), local_networks, ..Site::settings() };
        let site = Site::with(settings);
        let mut raw = site.login();
        let text = raw.command("PASV", 227);
        let addr = port21_proto::addr::parse_pasv(text.as_bytes()).unwrap();
        assert_eq!(addr.ip().to_string(), told);
        raw.passive();
    }
}

#[test]
fn shutdown_lets_a_transfer_end() {
    let mut site = Site::new();
    let (mut raw, mut data) = stalled(&site);
    let mut idle = site.connect();
    site.shut_down();
    idle.expect(421);
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), LARGE);
    drop(data);
    raw.expect(226);
    raw.expect(421);
    drop((raw, idle));
    let addr: SocketAddr = site.addr;
    site.join();
    assert!(TcpStream::connect_timeout(&addr, PATIENCE).is_err());
}

#[test]
fn shutdown_has_a_limit() {
    let mut settings = Site::settings();
    settings.shutdown_grace = std::time::Duration::from_millis(50);
    let mut site = Site::with(settings);
    let (raw, data) = stalled(&site);
    site.join();
    assert!(rest(data) < LARGE);
    drop(raw);
}

#[test]
fn the_log_of_events_tells_a_cut_download() {
    let site = Site::new();
    let (mut raw, mut data) = stalled(&site);
    data.read_exact(&mut [0]).unwrap();
    raw.command("ABOR", 426);
    drop(data);
    let event = site.wait_for(|kind| matches!(kind, EventKind::Data { .. }));
    assert!(matches!(event.kind, EventKind::Data { bytes, .. } if bytes > 0 && bytes < LARGE as u64));
}

#[test]
fn a_rate_limit_holds_both_ways_and_in_both_forms() {
    let site = Site::new();
    let bytes = noise(300_000);
    site.write("down", &bytes);
    let mut raw = site.connect();
    raw.command("USER slow", 331);
    raw.command("PASS secret", 230);
    for form in ["TYPE I", "TYPE A"] {
        raw.command(form, 200);
        let begin = Instant::now();
        let got = raw.fetch("RETR down");
        assert!(form == "TYPE A" || got == bytes);
        // It can take longer, never less.
        assert!(begin.elapsed() >= Duration::from_millis(200), "{:?}", begin.elapsed());
        let begin = Instant::now();
        raw.store("STOR up", &bytes);
        assert!(begin.elapsed() >= Duration::from_millis(200), "{:?}", begin.elapsed());
        assert!(form == "TYPE A" || site.read("up") == bytes);
    }
}
