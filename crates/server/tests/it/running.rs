//! A server that is looked at, told to end sessions, and given new settings while it runs.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use port21_proto::server::LoginError;
use port21_server::storage::BoxFuture;
use port21_server::{
    Account, At, Attempt, Authenticator, Deed, Direction, Listen, Refusal, ReloadError, Reloaded, Server,
    ServerBuilder, Settings, Whom,
};

use crate::site::{Raw, Site, noise};

/// Lets nobody in.
struct Nobody;

impl Authenticator for Nobody {
    fn login<'a>(&'a self, _: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>> {
        Box::pin(std::future::ready(Err(LoginError::Refused)))
    }
}

fn stricter() -> ServerBuilder {
    let mut settings = Settings { max_connections: 2, ..Site::settings() };
    settings.session.greeting = "new".into();
    Server::builder(Arc::new(Nobody)).settings(settings)
}

fn reload(site: &Site, new: ServerBuilder, listen: &[SocketAddr]) -> Result<Reloaded, ReloadError> {
    let listen = listen.iter().map(|&addr| Listen::from(addr)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(site.handle.reload(new, listen))
}

fn any() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

#[test]
fn who_is_on_and_what_moves() {
    let site = Site::new();
    site.write("big", noise(40_000_000));
    let mut raw = site.login();
    raw.command("TYPE I", 200);
    let mut data = raw.passive();
    raw.command("RETR big", 150);
    // What the client has not read is not all in the system's buffers: the transfer cannot end before it is looked at.
    let session = loop {
        let [session] = site.handle.sessions().try_into().unwrap();
        if session.transfer.as_ref().is_some_and(|transfer| transfer.bytes > 0) {
            break session;
        }
        std::thread::yield_now();
    };
    assert_eq!((session.account.as_deref(), session.anonymous), (Some("user"), false));
    assert_eq!(session.peer, raw.socket().local_addr().unwrap());
    let transfer = session.transfer.unwrap();
    assert_eq!((transfer.direction, transfer.path.to_string().as_str()), (Direction::Down, "/big"));
    std::io::copy(&mut data, &mut std::io::sink()).unwrap();
    drop(data);
    raw.expect(226);
    let counts = site.handle.counts();
    let down = counts.by_direction[Direction::Down as usize];
    assert_eq!((down.whole, down.broken, down.bytes), (1, 0, 40_000_000));
    assert_eq!((counts.sessions, counts.transfers, counts.connections, counts.logins), (1, 0, 1, 1));
    raw.command("QUIT", 221);
    site.wait_for_the_end();
}

#[test]
fn a_session_that_is_kicked_ends_and_its_upload_never_happened() {
    let site = Site::new();
    site.write("file", "old");
    let (mut raw, mut other) = (site.login(), site.login());
    let mut data = raw.passive();
    raw.command("STOR file", 150);
    data.write_all(&noise(100_000)).unwrap();
    assert_eq!(site.handle.kick(&Whom::Session(99)), 0);
    // The reply comes a moment before the transfer.
    let uploads = loop {
        if let Some(session) = site.handle.sessions().into_iter().find(|session| session.transfer.is_some()) {
            break session;
        }
        std::thread::yield_now();
    };
    assert_eq!(site.handle.kick(&Whom::Session(uploads.number)), 1);
    let (_, last) = raw.into_end();
    assert!(String::from_utf8_lossy(&last).contains("421 The operator has ended this session."), "{last:?}");
    assert_eq!(site.read("file"), b"old");
    other.command("NOOP", 200);
    assert_eq!(site.handle.kick(&Whom::Account { name: "user".into(), at: At::Every }), 1);
    other.into_end();
    assert_eq!(site.handle.counts().refusals[Refusal::Kicked as usize], 2);
}

#[test]
fn new_settings_are_for_new_sessions_and_drop_nobody() {
    let site = Site::new();
    site.write("big", noise(30_000_000));
    let mut raw = site.login();
    raw.command("TYPE I", 200);
    let mut data = raw.passive();
    raw.command("RETR big", 150);
    assert_eq!(reload(&site, stricter(), &[any()]).unwrap(), Reloaded::default(), "the same place is kept");
    // What runs goes on under the settings that it began with.
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    drop(data);
    raw.expect(226);
    assert_eq!(bytes.len(), 30_000_000);
    raw.command("REIN", 220);
    raw.log_in();
    let mut new = Raw::silent(site.addr);
    assert!(new.expect(220).contains("new"));
    new.command("USER user", 331);
    new.command("PASS secret", 530);
    // The connections that were there before count under the new limits: the one that has not logged in makes room.
    let mut third = site.connect();
    assert!(String::from_utf8_lossy(&new.into_end().1).starts_with("421 "));
    third.command("PWD", 530);
}

#[test]
fn whoever_has_logged_out_is_on_no_list_and_takes_no_place() {
    for logout in ["USER anonymous", "REIN"] {
        let site = Site::new();
        let (mut raw, mut other, mut admin) = (site.connect(), site.connect(), site.connect());
        raw.log_in_as("single");
        admin.log_in_as("admin");
        other.command("USER single", 331);
        other.command("PASS secret", 421);
        raw.send(format!("{logout}\r\n"));
        raw.reply();
        let accounts: Vec<_> = site.handle.sessions().into_iter().filter_map(|session| session.account).collect();
        assert_eq!(accounts, ["admin".into()], "{logout}");
        assert!(!admin.command("SITE WHO", 200).contains("single"), "{logout}");
        assert_eq!(site.handle.kick(&Whom::Account { name: "single".into(), at: At::Every }), 0);
        // The one session that the account may have.
        let mut other = site.connect();
        other.log_in_as("single");
        raw.command("NOOP", 200);
        raw.command("PWD", 530);
    }
}

#[test]
fn listeners_are_opened_and_closed() {
    let site = Site::new();
    let mut raw = site.login();
    let other = TcpListener::bind(any()).unwrap();
    let free = other.local_addr().unwrap();
    // As a whole or not at all.
    let mut settings = Settings { passive_ports: Some(50_000..=50_099), ..Site::settings() };
    settings.advertise = Some(Ipv4Addr::new(192, 0, 2, 1));
    settings.guard.address_failures = 1;
    settings.session.greeting = "new".into();
    let error = reload(&site, Server::builder(Arc::new(Nobody)).settings(settings), &[any(), free]).unwrap_err();
    assert!(matches!(error, ReloadError::Listen(_)), "{error}");
    assert_eq!((site.handle.advertised(), site.handle.counts().passive_ports), (None, None));
    let mut wrong = site.connect();
    wrong.command("USER user", 331);
    wrong.command("PASS wrong", 530);
    assert!(!site.handle.guard().is_banned(site.addr.ip()));
    assert!(!Raw::silent(site.addr).expect(220).contains("new"));
    drop(other);
    let reloaded = reload(&site, stricter(), &[free]).unwrap();
    assert_eq!((reloaded.opened, reloaded.closed), (vec![free], vec![site.addr]));
    assert!(Raw::silent(free).expect(220).contains("new"));
    assert!(TcpStream::connect(site.addr).is_err(), "nobody listens there any more");
    raw.command("NOOP", 200);
}

#[test]
fn an_address_that_overlaps_needs_a_restart() {
    let site = Site::new();
    let every = SocketAddr::from((Ipv4Addr::UNSPECIFIED, site.addr.port()));
    let error = reload(&site, stricter(), &[every]).unwrap_err();
    assert!(error.to_string().starts_with("restart needed: "), "{error}");
    site.login().command("NOOP", 200);
}

#[test]
fn passive_ports_that_have_run_out_are_counted_and_told() {
    let other = TcpListener::bind(any()).unwrap();
    let port = other.local_addr().unwrap().port();
    let site = Site::with(Settings { passive_ports: Some(port..=port), ..Site::settings() });
    let text = site.login().command("EPSV", 425);
    assert!(text.contains("no passive port is free"), "{text}");
    let counts = site.handle.counts();
    assert_eq!((counts.passive_in_use, counts.passive_ports), (0, Some(1)));
    assert_eq!(counts.refusals[Refusal::NoPort as usize], 1);
}

#[test]
fn an_advertised_address_may_change_while_sessions_run() {
    let settings = Settings { local_networks: Vec::new(), ..Site::settings() };
    let site = Site::with(settings);
    let mut raw = site.login();
    assert!(raw.command("PASV", 227).contains("(127,0,0,1,"));
    site.handle.advertise(Some(Ipv4Addr::new(192, 0, 2, 7)));
    assert!(raw.command("PASV", 227).contains("(192,0,2,7,"));
}

#[test]
fn what_was_done_is_told_once_it_is_final() {
    let site = Site::new();
    let mut raw = site.connect();
    raw.command("USER user", 331);
    raw.command("PASS wrong", 530);
    raw.log_in();
    raw.store("STOR a", b"hello");
    raw.fetch("RETR a");
    raw.fetch("LIST");
    raw.command("RNFR a", 350);
    raw.command("RNTO c", 250);
    raw.command("MKD d", 257);
    raw.command("MKD d", 550);
    raw.command("RMD d", 250);
    raw.command("DELE c", 250);
    let mut data = raw.passive();
    raw.command("STOR b", 150);
    data.write_all(b"half").unwrap();
    raw.command("ABOR", 426);
    raw.expect(226);
    drop(data);
    raw.command("QUIT", 221);
    let mut told = Vec::new();
    while told.len() < 9 {
        told.push(match site.next_deed() {
            Deed::Login { result, .. } => format!("login {}", result.is_ok()),
            Deed::Transferred { direction, path, file, bytes, whole, .. } => {
                assert_eq!(
                    file.unwrap(),
                    site.file(&path.to_string()[1..])
                        .canonicalize()
                        .unwrap_or_else(|_| { site.file(&path.to_string()[1..]) })
                );
                let bytes = if whole { bytes.to_string() } else { "some".into() };
                format!("{} {path} {bytes} {whole}", direction.name())
            }
            Deed::Removed { path, .. } => format!("removed {path}"),
            Deed::Renamed { from, path, file } => {
                assert!(file.unwrap().ends_with("c"));
                format!("renamed {from} {path}")
            }
            Deed::DirectoryMade { path, .. } => format!("made {path}"),
            Deed::DirectoryRemoved { path, .. } => format!("removed directory {path}"),
            other => panic!("{other:?}"),
        });
    }
    let want = [
        "login false",
        "login true",
        "upload /a 5 true",
        "download /a 5 true",
        "renamed /a /c",
        "made /d",
        "removed directory /d",
        "removed /c",
        "upload /b some false",
    ];
    assert_eq!(told, want);
}
