//! Against port21's own server: both IP versions, and what libunftp does not have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use port21_client::{Client, DataMode, GetOptions, Listed, PutOptions, Rate, Representation, Upload, Verify};
use port21_proto::Secret;
use port21_proto::verb::Permissions;
use port21_server::{Account, LocalSettings, Server, Settings, Users};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::Log;

const MODES: [DataMode; 2] = [DataMode::Passive, DataMode::Active];

/// A server with one user, who may do everything; it ends with the test's runtime.
pub(crate) fn serve(ip: IpAddr) -> (SocketAddr, TempDir) {
    let root = tempfile::tempdir().unwrap();
    let account = Account::local("joe", root.path(), Permissions::ALL, LocalSettings::default()).unwrap();
    let mut users = Users::default();
    users.add(Secret::new("opensesame"), account);
    let settings = Settings { passive_ports: None, ..Settings::default() };
    let mut server = Server::builder(Arc::new(users)).settings(settings).build();
    let addr = server.listen(std::net::SocketAddr::from((ip, 0))).unwrap();
    tokio::spawn(server.run(std::future::pending()));
    (addr, root)
}

async fn client(addr: SocketAddr, mode: DataMode, log: &Log) -> Client {
    let url = format!("ftp://joe:opensesame@{addr}/");
    let builder = Client::builder().target(&port21_client::Target::parse(&url).unwrap()).mode(mode);
    log.attach(builder).open().await.unwrap()
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 13 + i / 257) as u8).collect()
}

#[tokio::test]
async fn both_ways_over_both_ip_versions() {
    for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        let Ok(_) = std::net::TcpListener::bind((ip, 0)) else { continue };
        let (addr, root) = serve(ip);
        let local = tempfile::tempdir().unwrap();
        let (up, back) = (local.path().join("up"), local.path().join("back"));
        std::fs::write(&up, bytes(1_234_567)).unwrap();
        for mode in MODES {
            let log = Log::default();
            let mut client = client(addr, mode, &log).await;
            let put = PutOptions { keep_time: true, ..PutOptions::default() };
            let sent = client.put_file(&up, "a b", &put, &mut |_| {}).await.unwrap();
            assert!(sent.time_kept);
            let get = GetOptions { keep_time: true, resume: true, ..GetOptions::default() };
            let got = client.get_file("a b", &back, &get, &mut |_| {}).await.unwrap();
            assert!(got.time_kept && std::fs::read(&back).unwrap() == bytes(1_234_567));
            let seconds = |path: &std::path::Path| {
                let modified = std::fs::metadata(path).unwrap().modified().unwrap();
                modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
            };
            assert_eq!(seconds(&up), seconds(&back));
            let mut entries = client.list("").await.unwrap();
            let Some(Ok(Listed::Entry(entry))) = entries.next().await else { panic!() };
            assert_eq!((entry.name.as_slice(), entry.size), (&b"a b"[..], Some(1_234_567)));
            assert!(entries.next().await.is_none());
            client.remove("a b").await.unwrap();
            client.quit().await.unwrap();
            let verb = match (mode, ip.is_ipv4()) {
                (DataMode::Passive, _) => "EPSV",
                (DataMode::Active, true) => "PORT",
                (DataMode::Active, false) => "EPRT",
            };
            assert!(log.has(verb));
        }
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn an_upload_goes_on_with_what_it_begins_with_alone() {
    let (addr, root) = serve(Ipv4Addr::LOCALHOST.into());
    let local = tempfile::tempdir().unwrap();
    let (up, there) = (local.path().join("up"), root.path().join("f"));
    let whole = bytes(100_000);
    std::fs::write(&up, &whole).unwrap();
    let mut client = client(addr, DataMode::Passive, &Log::default()).await;
    for (part, from) in [(whole[..40_000].to_vec(), 40_000), (vec![0; 40_000], 0)] {
        std::fs::write(&there, part).unwrap();
        let resume = PutOptions { resume: true, ..PutOptions::default() };
        let sent = client.put_file(&up, "f", &resume, &mut |_| {}).await.unwrap();
        assert_eq!(sent.from, from);
        assert!(std::fs::read(&there).unwrap() == whole);
    }
    client.quit().await.unwrap();
}

/// From the disk, from its midst, and where nobody can tell how long it is.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_arrives_whole_however_it_is_read() {
    let (addr, root) = serve(Ipv4Addr::LOCALHOST.into());
    let local = tempfile::tempdir().unwrap();
    let up = local.path().join("up");
    let whole = bytes(9_000_001);
    std::fs::write(&up, &whole).unwrap();
    let file = std::fs::File::open(&up).unwrap();
    file.sync_all().unwrap();
    // Where the file system has a disk below it, the file is read from that.
    let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    let mut client = client(addr, DataMode::Passive, &Log::default()).await;
    let plain = PutOptions { verify: Verify::Nothing, ..PutOptions::default() };
    let mut seen = Vec::new();
    let done = client.put_file(&up, "f", &plain, &mut |progress| seen.push(progress.done)).await.unwrap();
    assert!(std::fs::read(root.path().join("f")).unwrap() == whole);
    assert!(seen.is_sorted() && seen.last() == Some(&done.bytes) && done.bytes == 9_000_001, "{seen:?}");

    let from = PutOptions { how: Upload::From(5_000_000), rate: Some(Rate::new(1 << 40)), ..plain.clone() };
    assert_eq!(client.put_file(&up, "f", &from, &mut |_| {}).await.unwrap().bytes, 4_000_001);
    assert!(std::fs::read(root.path().join("f")).unwrap() == whole);

    // The files of procfs have no size to tell.
    let version = std::fs::read("/proc/version").unwrap();
    client.put_file("/proc/version".as_ref(), "v", &plain, &mut |_| {}).await.unwrap();
    assert_eq!(std::fs::read(root.path().join("v")).unwrap(), version);
    client.quit().await.unwrap();
}

#[tokio::test]
async fn transfers_are_stopped_without_a_new_session() {
    let (addr, root) = serve(Ipv4Addr::LOCALHOST.into());
    std::fs::write(root.path().join("big"), bytes(30_000_000)).unwrap();
    std::fs::write(root.path().join("old"), "the old one").unwrap();
    for mode in MODES {
        let log = Log::default();
        let mut client = client(addr, mode, &log).await;
        let mut stream = client.download("big", 0).await.unwrap();
        assert_eq!(stream.size_hint(), Some(30_000_000));
        stream.read_exact(&mut [0; 5000]).await.unwrap();
        stream.abort().await.unwrap();

        let mut stream = client.upload("old", Upload::Whole).await.unwrap();
        stream.write_all(&bytes(100_000)).await.unwrap();
        stream.abort().await.unwrap();
        let mut stream = client.upload("old", Upload::Whole).await.unwrap();
        stream.write_all(&bytes(100_000)).await.unwrap();
        drop(stream);
        assert_eq!(client.size("old").await.unwrap(), 11);

        let mut lines = client.list_lines("", Default::default()).await.unwrap();
        assert!(lines.next().await.is_some());
        drop(lines);
        client.noop().await.unwrap();
        client.quit().await.unwrap();
        assert_eq!(log.story().iter().filter(|line| *line == "220").count(), 1, "{:?}", log.story());
        assert_eq!(std::fs::read_to_string(root.path().join("old")).unwrap(), "the old one");
    }
}

#[tokio::test]
async fn what_else_an_upload_can_be() {
    let (addr, root) = serve(Ipv4Addr::LOCALHOST.into());
    let mut client = client(addr, DataMode::Passive, &Log::default()).await;
    for how in [Upload::Append, Upload::Append, Upload::From(2)] {
        let mut stream = client.upload("f", how).await.unwrap();
        stream.write_all(b"12345").await.unwrap();
        stream.finish().await.unwrap();
    }
    assert_eq!(std::fs::read(root.path().join("f")).unwrap(), b"1212345");
    let mut stream = client.upload("new", Upload::Unique).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    let name = String::from_utf8(stream.unique_name().unwrap()).unwrap();
    stream.finish().await.unwrap();
    assert_eq!(std::fs::read(root.path().join(name.trim_start_matches('/'))).unwrap(), b"x");

    client.set_representation(Representation::Ascii).await.unwrap();
    let mut stream = client.upload("text", Upload::Whole).await.unwrap();
    stream.write_all(b"a\nb\n").await.unwrap();
    stream.finish().await.unwrap();
    let mut text = String::new();
    let mut stream = client.download("text", 0).await.unwrap();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(stream.received(), 6);
    stream.finish().await.unwrap();
    assert_eq!(
        (text.as_str(), std::fs::read(root.path().join("text")).unwrap().as_slice()),
        ("a\nb\n", &b"a\nb\n"[..])
    );
    client.quit().await.unwrap();
}

#[tokio::test]
async fn the_rest_of_the_commands() {
    let (addr, root) = serve(Ipv4Addr::LOCALHOST.into());
    std::fs::write(root.path().join("f"), "12345").unwrap();
    let mut client = client(addr, DataMode::Passive, &Log::default()).await;
    client.chmod("f", 0o600).await.unwrap();
    let at = "2005-05-02T21:07:00Z".parse().unwrap();
    client.set_mtime("f", at).await.unwrap();
    assert_eq!(client.mtime("f").await.unwrap(), at);
    let entry = client.stat("f").await.unwrap();
    assert_eq!((entry.size, entry.mode), (Some(5), Some(0o600)));
    client.mkdir("d").await.unwrap();
    client.rename("f", "d/größe").await.unwrap();
    assert_eq!(client.stat("d/größe").await.unwrap().size, Some(5));
    assert!(client.stat("d").await.unwrap().is_directory());
    assert!(client.stat("").await.unwrap().is_directory());
    assert_eq!(client.quote("SITE HELP").await.unwrap().code().number() / 100, 2);
    assert_eq!(client.quote("NONE SUCH").await.unwrap().code(), 502);
    assert!(client.quote("retr f").await.is_err());
    client.quit().await.unwrap();
}
