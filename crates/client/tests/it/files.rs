//! Whole files: what is left of those that did not become whole, and what becomes of it.

use std::path::Path;

use port21_client::{Client, Error, GetOptions, Phase, PutOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::{Peer, Server, close};

const NAME: &str = "f";

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 11 + i / 253) as u8).collect()
}

/// Serves one RETR of these bytes, and ends as is said.
async fn retr(peer: &mut Peer, announced: usize, bytes: &[u8], reply: &str) {
    let mut data = peer.passive().await;
    peer.answer("RETR f", &format!("150 Opening ({announced} bytes)")).await;
    data.write_all(bytes).await.unwrap();
    close(data).await;
    peer.say(reply).await;
}

async fn get(client: &mut Client, to: &Path, resume: bool) -> Result<u64, Error> {
    let options = GetOptions { resume, ..GetOptions::default() };
    client.get_file(NAME, to, &options, &mut |_| {}).await.map(|done| done.bytes)
}

#[tokio::test]
async fn half_a_file_never_has_a_whole_files_name() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join(NAME);
    std::fs::write(&to, b"the old one").unwrap();
    let whole = bytes(60_000);
    let serve = async {
        let mut peer = server.login().await;
        peer.answer("TYPE I", "200 ok").await;
        retr(&mut peer, 60_000, &whole[..30_000], "426 broken").await;
        // It says that all is well, and it is not.
        retr(&mut peer, 60_000, &whole[..40_000], "226 ok").await;
        peer.answer("SIZE f", "213 60000").await;
        peer.answer("MDTM f", "550 no").await;
        let mut data = peer.passive().await;
        let from = 40_000 - 16 * 1024;
        peer.answer(&format!("REST {from}"), "350 ok").await;
        peer.answer("RETR f", "150 go").await;
        data.write_all(&whole[from..]).await.unwrap();
        close(data).await;
        peer.say("226 ok").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = server.client().open().await.unwrap();
        let error = get(&mut client, &to, false).await.unwrap_err();
        let Error::Partial { bytes: 30_000, kept: Some(kept), source } = error else { panic!("{error}") };
        assert_eq!((kept, source.reply().unwrap().code().number()), (dir.path().join("f.port21-part"), 426));
        let error = get(&mut client, &to, false).await.unwrap_err();
        assert!(matches!(error, Error::Partial { bytes: 40_000, .. }), "{error}");
        assert_eq!(error.phase(), Some(Phase::FinalReply));
        assert_eq!(std::fs::read(&to).unwrap(), b"the old one");
        get(&mut client, &to, true).await.unwrap();
        assert!(std::fs::read(&to).unwrap() == whole);
        assert_eq!(names(dir.path()), [NAME]);
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test]
async fn a_server_without_rest_leaves_the_part_as_it_is() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join(NAME);
    std::fs::write(dir.path().join("f.port21-part"), bytes(50_000)).unwrap();
    let serve = async {
        let mut peer = server.login().await;
        peer.answer("TYPE I", "200 ok").await;
        peer.answer("SIZE f", "550 no").await;
        peer.answer("MDTM f", "550 no").await;
        let data = peer.passive().await;
        peer.answer("REST 33616", "502 what?").await;
        drop(data);
        peer.quit().await;
    };
    let play = async {
        let mut client = server.client().open().await.unwrap();
        let error = get(&mut client, &to, true).await.unwrap_err();
        assert!(matches!(error, Error::Refused { verb: "REST", .. }), "{error}");
        assert_eq!(std::fs::read(dir.path().join("f.port21-part")).unwrap(), bytes(50_000));
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test]
async fn an_upload_is_appended_to_where_there_is_no_rest() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join(NAME);
    std::fs::write(&from, b"0123456789").unwrap();
    let serve = async {
        let mut peer = server.login().await;
        peer.answer("TYPE I", "200 ok").await;
        peer.answer("SIZE f", "213 4").await;
        let data = peer.passive().await;
        peer.answer("REST 4", "502 what?").await;
        drop(data);
        let mut data = peer.passive().await;
        peer.answer("APPE f", "150 go").await;
        let mut rest = Vec::new();
        data.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"456789");
        drop(data);
        peer.say("226 ok").await;
        peer.answer("SIZE f", "213 10").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = server.client().open().await.unwrap();
        let resume = PutOptions { resume: true, ..PutOptions::default() };
        client.put_file(&from, NAME, &resume, &mut |_| {}).await.unwrap();
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test]
async fn local_errors_leave_the_session_in_order() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let serve = async {
        let mut peer = server.login().await;
        peer.answer("NOOP", "200 ok").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = server.client().open().await.unwrap();
        let nowhere = dir.path().join("none/f");
        assert!(matches!(get(&mut client, &nowhere, false).await, Err(Error::Local { .. })));
        assert!(matches!(get(&mut client, dir.path(), false).await, Err(Error::Local { .. })));
        let put = PutOptions::default();
        assert!(matches!(client.put_file(&nowhere, NAME, &put, &mut |_| {}).await, Err(Error::Local { .. })));
        assert!(matches!(client.put_file(dir.path(), NAME, &put, &mut |_| {}).await, Err(Error::Local { .. })));
        client.noop().await.unwrap();
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}
