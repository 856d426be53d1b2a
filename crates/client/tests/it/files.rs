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
        peer.answer("MDTM f", "550 no").await;
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

/// Takes one STOR or APPE of these bytes.
async fn stor(peer: &mut Peer, command: &str, wanted: &[u8]) {
    let mut data = peer.passive().await;
    peer.answer(command, "150 go").await;
    let mut came = Vec::new();
    data.read_to_end(&mut came).await.unwrap();
    assert_eq!(came, wanted);
    drop(data);
    peer.say("226 ok").await;
}

/// A file of ten bytes, and a server that plays this part while it is sent.
async fn put(options: PutOptions, script: impl AsyncFnOnce(&mut Peer)) -> Result<(), Error> {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join(NAME);
    std::fs::write(&from, b"0123456789").unwrap();
    let serve = async {
        let mut peer = server.login().await;
        script(&mut peer).await;
        peer.quit().await;
    };
    let play = async {
        let mut client = server.client().probe(options.resume || options.aside).open().await.unwrap();
        let result = client.put_file(&from, NAME, &options, &mut |_| {}).await;
        client.quit().await.unwrap();
        result.map(drop)
    };
    tokio::join!(serve, play).1
}

/// Takes FEAT, as a server with these features.
async fn feat(peer: &mut Peer, features: &str) {
    peer.answer("FEAT", &format!("211-Features:\r\n EPSV\r\n{features}\r\n211 End")).await;
}

/// Takes the part, and refuses to give it the name of a file that is there.
async fn sent_aside(peer: &mut Peer, refusal: &str) {
    feat(peer, " SIZE").await;
    peer.answer("TYPE I", "200 ok").await;
    stor(peer, "STOR f.port21-part", b"0123456789").await;
    peer.answer("SIZE f.port21-part", "213 10").await;
    peer.answer("RNFR f.port21-part", "350 ok").await;
    peer.answer("RNTO f", refusal).await;
}

#[tokio::test]
async fn an_old_file_is_moved_out_of_the_way_and_removed_last() {
    let aside = PutOptions { aside: true, ..PutOptions::default() };
    let script = async |peer: &mut Peer| {
        sent_aside(peer, "553 it exists").await;
        peer.answer("RNFR f", "350 ok").await;
        peer.answer("RNTO f.port21-old", "250 ok").await;
        peer.answer("RNFR f.port21-part", "350 ok").await;
        peer.answer("RNTO f", "250 ok").await;
        peer.answer("DELE f.port21-old", "250 ok").await;
    };
    put(aside, script).await.unwrap();
}

#[tokio::test]
async fn an_old_file_gets_its_name_back_where_the_new_one_does_not_get_it() {
    let aside = PutOptions { aside: true, ..PutOptions::default() };
    let script = async |peer: &mut Peer| {
        sent_aside(peer, "550 no").await;
        peer.answer("RNFR f", "350 ok").await;
        peer.answer("RNTO f.port21-old", "250 ok").await;
        peer.answer("RNFR f.port21-part", "350 ok").await;
        peer.answer("RNTO f", "550 not so").await;
        peer.answer("RNFR f.port21-old", "350 ok").await;
        peer.answer("RNTO f", "250 ok").await;
        peer.answer("DELE f.port21-part", "250 ok").await;
        stor(peer, "STOR f", b"0123456789").await;
        peer.answer("SIZE f", "213 10").await;
    };
    put(aside, script).await.unwrap();
}

#[tokio::test]
async fn no_old_file_is_touched_where_a_refusal_is_of_something_else() {
    let aside = PutOptions { aside: true, ..PutOptions::default() };
    let script = async |peer: &mut Peer| {
        sent_aside(peer, "502 no renaming").await;
        peer.answer("DELE f.port21-part", "250 ok").await;
        stor(peer, "STOR f", b"0123456789").await;
        peer.answer("SIZE f", "213 10").await;
    };
    put(aside, script).await.unwrap();
}

/// What is asked before an upload goes on with what is there: four bytes, of that digest.
async fn asked(peer: &mut Peer, xmd5: &str) {
    peer.answer("TYPE I", "200 ok").await;
    peer.answer("SIZE f", "213 4").await;
    peer.answer("MDTM f", "550 no").await;
    feat(peer, " XMD5").await;
    peer.answer("XMD5 \"f\"", xmd5).await;
}

/// Takes the last six bytes.
async fn gone_on_with(peer: &mut Peer) {
    let mut data = peer.passive().await;
    peer.answer("REST 4", "350 ok").await;
    peer.answer("STOR f", "150 go").await;
    let mut rest = Vec::new();
    data.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"456789");
    drop(data);
    peer.say("226 ok").await;
    peer.answer("SIZE f", "213 10").await;
}

/// Takes all ten.
async fn begun_anew(peer: &mut Peer) {
    stor(peer, "STOR f", b"0123456789").await;
    peer.answer("SIZE f", "213 10").await;
}

#[tokio::test]
async fn an_upload_goes_on_with_no_other_file() {
    let resume = PutOptions { resume: true, ..PutOptions::default() };
    let older = async |peer: &mut Peer| {
        peer.answer("TYPE I", "200 ok").await;
        peer.answer("SIZE f", "213 4").await;
        peer.answer("MDTM f", "213 20010203040506").await;
        begun_anew(peer).await;
    };
    put(resume.clone(), older).await.unwrap();
    let another = async |peer: &mut Peer| {
        // MD5 of "0000".
        asked(peer, "250 4a7d1ed414474e4033ac29ccb8653d9b").await;
        begun_anew(peer).await;
    };
    put(resume.clone(), another).await.unwrap();
    let same = async |peer: &mut Peer| {
        // MD5 of "0123".
        asked(peer, "250 eb62f6b9306db575c2d596b1279627a4").await;
        gone_on_with(peer).await;
    };
    put(resume.clone(), same).await.unwrap();
    let untold = async |peer: &mut Peer| {
        asked(peer, "550 no").await;
        gone_on_with(peer).await;
    };
    put(resume, untold).await.unwrap();
}

#[tokio::test]
async fn an_upload_that_cannot_go_on_begins_anew() {
    let resume = PutOptions { resume: true, ..PutOptions::default() };
    let script = async |peer: &mut Peer| {
        asked(peer, "550 no").await;
        let data = peer.passive().await;
        peer.answer("REST 4", "350 ok").await;
        peer.answer("STOR f", "554 not from there").await;
        drop(data);
        let mut data = peer.passive().await;
        peer.answer("REST 0", "350 ok").await;
        peer.answer("STOR f", "150 go").await;
        let mut all = Vec::new();
        data.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"0123456789");
        drop(data);
        peer.say("226 ok").await;
        peer.answer("SIZE f", "213 10").await;
    };
    put(resume, script).await.unwrap();
}

#[tokio::test]
async fn a_file_without_an_end_is_given_up() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join(NAME);
    let serve = async {
        let mut peer = server.login().await;
        peer.answer("TYPE I", "200 ok").await;
        let mut data = peer.passive().await;
        peer.answer("RETR f", "150 Opening (5 bytes)").await;
        let some = vec![0; 1 << 20];
        // It goes on beyond what is taken; whether the client still reads by then is its choice.
        for _ in 0..100 {
            if data.write_all(&some).await.is_err() {
                break;
            }
        }
    };
    let play = async {
        let mut client = server.client().open().await.unwrap();
        let error = get(&mut client, &to, false).await.unwrap_err();
        assert!(matches!(error, Error::TooMuch { phase: Phase::Transfer, .. }), "{error}");
        assert!(!error.is_passing() && names(dir.path()).is_empty());
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), async { tokio::join!(serve, play) }).await.unwrap();
}
